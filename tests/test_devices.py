"""A device that has no float64, as Apple's GPUs: everything runs on it, and gives what the CPU gives."""

import copy

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from helpers import adversarial, ascent, attribution, dream, evaluation, features, inversion, losses, patches, style, texture
from helpers.activations import activations
from helpers.optimize import last
from helpers.param import FourierImage, PixelImage

DEVICE = torch.device("meta")     # a device that autograd knows and this computer has: only its name is used


class OnDevice(torch.Tensor):
    """A tensor that says it lies on the device, and keeps its numbers on the CPU."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(cls, held.size(), strides=held.stride(), dtype=held.dtype, device=DEVICE)

    def __init__(self, held):
        self.held = held

    def tolist(self):       # the one way to read numbers that asks no operation
        return self.held.tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def compute(func, args, kwargs):
    """Computes on the CPU; the result lies on the device if an input does or it was asked for, and then may not be float64."""
    inputs = [x for x in torch.utils._pytree.tree_leaves((args, kwargs)) if torch.is_tensor(x)]
    target = kwargs.get("device")
    there = DEVICE.type == torch.device(target).type if target is not None else any(isinstance(x, OnDevice) for x in inputs)
    if target is not None and there:
        kwargs = kwargs | {"device": "cpu"}
    plain = lambda x: x.held if isinstance(x, OnDevice) else x
    out = func(*tree_map(plain, args), **tree_map(plain, kwargs))
    held = {id(x.held): x for x in inputs if isinstance(x, OnDevice)}

    def wrap(x):
        if not torch.is_tensor(x) or not there:
            return x
        if x.dtype in (torch.float64, torch.complex128):
            raise TypeError("Cannot convert a tensor of this device to float64: the device has none.")
        return held.get(id(x)) if id(x) in held else OnDevice(x)     # what works in place gives its input back
    return tree_map(wrap, out)


class Device(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def to_device(x):
    return OnDevice(x.clone())


@pytest.fixture
def there(random_net):
    """The random network on the device."""
    net = copy.deepcopy(random_net)
    for module in net.modules():
        for name, p in list(module._parameters.items()):
            if p is not None:
                module._parameters[name] = nn.Parameter(to_device(p.detach()), requires_grad=False)
        for name, b in list(module._buffers.items()):
            module._buffers[name] = to_device(b)
    with Device():
        yield net


def test_the_device_refuses_float64():
    with Device():
        x = to_device(torch.ones(2))
        assert x.device == DEVICE and (x + 1).device == DEVICE and (x + 1).cpu().tolist() == [2, 2]
        with pytest.raises(TypeError, match="float64"):
            x.double()
        with pytest.raises(TypeError, match="float64"):
            torch.zeros(3, dtype=torch.float64, device=x.device)


def guided(score, x):
    with attribution.relu_backward("guided"):
        return attribution.input_gradient(score, x)


SCORE = lambda net: lambda x: net(x)[:, 2]
CASES = {
    "activations": lambda net, x: activations(net, x, "conv3")["conv3"],
    "codes": lambda net, x: features.codes(net, x, "relu3")["relu3"],
    "neighbours": lambda net, x: features.nearest_neighbors(x, torch.cat([x, x]), 3).distances,
    "neighbours' indices": lambda net, x: features.nearest_neighbors(x, torch.cat([x, x]), 3).indices,
    "pca": lambda net, x: features.pca(x, 2)(x).abs(),
    "probe": lambda net, x: features.linear_probe(x, torch.arange(3, device=x.device))[0],
    "patches": lambda net, x: patches.top_patches(net, x, "conv2", 2).boxes,
    "one unit": lambda net, x: patches.unit_gradient(net, x, "conv2", 1, patches.top_patches(net, x, "conv2", 3).units[1].flip(0)),
    "guided backprop": lambda net, x: guided(SCORE(net), x),
    "gram matrices": lambda net, x: attribution.gradient_of(lambda z: losses.gram_matrix(z).square().sum((1, 2)), x),
    "saliency": lambda net, x: attribution.saliency(SCORE(net), x),
    "smooth-grad": lambda net, x: attribution.smooth_grad(SCORE(net), x, samples=2),
    "grad-cam": lambda net, x: attribution.grad_cam(net, x, "conv5", lambda y: y[:, 2]),
    "occlusion": lambda net, x: attribution.occlusion(SCORE(net), x[:1], window=32, stride=32),
    "mass": lambda net, x: evaluation.mass_inside(x[:, 0], x[:, 1] > 0.5),
    "pointing": lambda net, x: evaluation.pointing_game(x[:, 0], x[:, 1] > 0.5),
    "deletion": lambda net, x: evaluation.deletion(SCORE(net), x, x[:, 0], steps=2),
    "bootstrap": lambda net, x: torch.stack(evaluation.bootstrap(x[:, 0, 0])),
    "rank correlation": lambda net, x: evaluation.rank_correlation(x[:, 0], x[:, 1]),
    "ascent": lambda net, x: last(ascent.ascend(net, [1, 2, 3], steps=2, image=PixelImage(x))).image,
    "waves": lambda net, x: last(ascent.ascend(net, [1, 2, 3], steps=1, image=FourierImage(x))).image,
    "fool": lambda net, x: adversarial.fool(net, x, net(x).argmax(1), steps=2, step=0.1).images,
    "perturb": lambda net, x: adversarial.perturb(SCORE(net), x, epsilon=0.1, steps=2),
    "inversion": lambda net, x: last(inversion.invert(net, x[:1], "conv2", image=PixelImage(x[1:2]), steps=2)).image,
    "dream": lambda net, x: last(dream.dream(net, x[:1], "conv2", steps=1, octaves=2)).image,
    "texture": lambda net, x: texture.efros_leung(x[:1, :, :12, :12], size=8, window=5),
    "transfer": lambda net, x: next(style.style_transfer(net, x[:1], style.style_grams(net, x[1:2], ["conv2"]), content_layer="conv3",
                                                         optimizer=lambda p: torch.optim.SGD(p, lr=1e-3))).image,
}


@pytest.mark.parametrize("name", CASES)
def test_it_runs_there_and_gives_what_the_cpu_gives(name, there, random_net, images):
    case, x = CASES[name], to_device(images)
    found = case(there, x)
    found = found.cpu() if isinstance(found, OnDevice) else found
    expected = case(random_net, images)
    torch.testing.assert_close(found.to(expected), expected, rtol=1e-3, atol=1e-3)
