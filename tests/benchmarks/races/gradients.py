"""Rows for notebook 2: guided backprop, Grad-CAM, one unit's gradient, class pictures, inversion."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from races.common import LAST, alive, cat, error, in_half, network, ranks, there_and_back, world
from races.race import Race, close

from helpers.activations import activations
from helpers.ascent import ascend
from helpers.attribution import grad_cam, input_gradient, relu_backward
from helpers.inversion import invert
from helpers.losses import relative, total_variation
from helpers.nets import fast
from helpers.optimize import NormalizedGradient, descend, last
from helpers.param import FourierImage, PixelImage
from helpers.patches import top_patches, unit_gradient

ADAM = lambda p: torch.optim.Adam(p, lr=0.05)
STEPS = lambda p: NormalizedGradient(p, lr=1.0)     # Adam makes a large step of a rounding: results could not be compared


def guided_maps():
    from captum.attr import GuidedBackprop

    net, x, rows, y = network("coursenet"), world(32), torch.arange(32), torch.arange(32) % 8 + 64
    score = lambda z: net(z)[rows, y]

    def guided():
        with relu_backward("guided"):
            return input_gradient(score, x)

    yield Race("guided backprop, coursenet, 32 pictures", guided, {"Captum": lambda: GuidedBackprop(net).attribute(x, target=y)},
               bare=lambda: there_and_back(score, x), half=in_half(guided), agree=lambda a, b: ranks(a.abs().amax(1), b.abs().amax(1)))


def class_maps():
    from captum.attr import LayerGradCam
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net, x, rows, y = network("coursenet"), world(32), torch.arange(32), torch.arange(32) % 8 + 64
    ours = lambda: grad_cam(net, x, "relu5", lambda out: out[rows, y])
    here = list(dict(net.named_children())).index("relu5") + 1
    body, head = torch.nn.Sequential(*list(net)[:here]), torch.nn.Sequential(*list(net)[here:])

    def captum():
        small = LayerGradCam(net, net.relu5).attribute(x, target=y, relu_attributions=True)
        return F.interpolate(small, x.shape[2:], mode="bilinear")[:, 0]

    def others(net, frozen):
        def run():
            with GradCAM(net, [net.relu5]) as made:
                made.compute_input_gradient = frozen        # or nothing would have a gradient
                return torch.from_numpy(made(x, [ClassifierOutputTarget(k) for k in y.tolist()]))
        return run

    def head_alone():
        with torch.no_grad():
            maps = body(x)
        maps.requires_grad_()
        torch.autograd.grad(head(maps)[rows, y].sum(), maps)

    def stretched(ours, theirs):        # theirs are from 0 to 1, and enlarged by OpenCV
        low, high = ours.amin((1, 2), keepdim=True), ours.amax((1, 2), keepdim=True)
        close((ours - low) / (high - low).clamp(min=1e-7), theirs, atol=0.02)

    peers = {"Captum": captum, "pytorch-grad-cam": others(alive("coursenet"), False), "pytorch-grad-cam, frozen": others(net, True)}
    yield Race("Grad-CAM, coursenet, 32 pictures", ours, peers, {"pytorch-grad-cam": 2}, head_alone, in_half(ours),
               {"pytorch-grad-cam": stretched, "pytorch-grad-cam, frozen": stretched}, ranks)


def unit(name, layer, channel, title):
    """The guided gradient of one channel's strongest unit in its nine best patches: by whole pictures, and of what the unit sees alone."""
    net, pictures = network(name), torch.cat([cat(224).roll((31 * n, 17 * n), (2, 3)) for n in range(12)])
    tops = top_patches(net, pictures, layer, batch=4)
    x, at, rows = pictures[tops.indices[channel]], tops.units[channel], torch.arange(9)

    def ours():
        with relu_backward("guided"):
            return unit_gradient(net, x, layer, channel, at)

    def whole():
        with relu_backward("guided"):
            return input_gradient(lambda z: activations(net, z, layer)[layer][rows, channel, *at.T], x)

    def same(ours, theirs):
        apart = ((ours - theirs).norm() / theirs.norm()).item()
        assert apart <= 1e-5, apart

    return Race(f"guided gradient of one unit of {title}, nine pictures of 224 px", ours, {"whole pictures": whole},
                {"whole pictures": 8}, same=same)


def units():
    yield unit("vgg16", "conv3_3", 5, "VGG-16's conv3_3")
    yield unit("efficientnet-lite0", "block5", 3, "efficientnet-lite0's block5")


def climb(work, name, size, objective, asked, ours, agree):
    """Ten steps with the same parametrisation, optimizer and loss; lucent has the network as it comes, and as ours is."""
    from lucent.optvis.render import render_vis

    def start():
        return FourierImage.noise(size, size, generator=torch.Generator().manual_seed(0))

    def lucent(net, layout):
        def run():
            image = start()
            picture = lambda: (list(image.parameters()), lambda: image().contiguous(**layout))
            made = render_vis(net, objective, picture, ADAM, transforms=[], thresholds=(10,), preprocess=False, progress=False,
                              show_image=False, fixed_image_size=size if size < 224 else None)
            for module in net.modules():        # its hooks stay
                module._forward_hooks.clear()
            return torch.from_numpy(made[0]).permute(0, 3, 1, 2)
        return run

    peers = {"lucent": lucent(alive(name), {}), "lucent, frozen, channels last": lucent(network(name), LAST)}
    return Race(work, lambda: ours(start(), True), peers, {"lucent": asked}, half=lambda: ours(start(), False), same=alike, agree=agree)


def ascents():
    from lucent.optvis import objectives

    def of_class(image, exact):
        return last(ascend(network("coursenet"), [3], image=image, steps=10, optimizer=ADAM, exact=exact)).image

    def of_layer(name, layer, loss):
        def ours(image, exact):
            def whole(x):
                with fast(x.device, exact=exact):
                    return loss(activations(network(name), x.contiguous(**LAST), layer)[layer].float())
            return last(descend(image, whole, steps=10, optimizer=ADAM)).image
        return ours

    yield climb("class picture, coursenet, 64 px, 10 steps", "coursenet", 64, objectives.channel("fc8", 3), 1.2, of_class, error)
    yield climb("channel of conv3_3, VGG-16, 224 px, 10 steps", "vgg16", 224, objectives.channel("conv3_3", 5), 1.6,
                of_layer("vgg16", "conv3_3", lambda a: -a[:, 5].mean()), None)
    yield climb("DeepDream of block6, efficientnet-lite0, 224 px, 10 steps", "efficientnet-lite0", 224,
                lambda T: -T("block6").square().mean(), 1.6, of_layer("efficientnet-lite0", "block6", lambda a: -a.square().mean()), error)


def alike(ours, theirs):
    """Pictures after some steps, on which roundings grow: to 1% of their length."""
    apart = ((ours - theirs).norm() / ours.norm()).item()
    assert apart < 0.01, f"They are {apart:.1%} apart."


def inversion(name, layer, size):
    x, net = cat(size), network(name)

    def start():
        return PixelImage.noise(size, size, generator=torch.Generator().manual_seed(0))

    def ours():
        return last(invert(net, x, layer, image=start(), steps=10, optimizer=STEPS)).image

    def aim():      # all begin with the features of x
        with torch.no_grad():
            target = activations(net, x, layer)[layer]
        return lambda found, z: relative(found[layer] - target, target) + 3e-4 * total_variation(z)

    return Race(f"inversion of {layer}, {name}, {size} px, 10 steps", ours, loops(name, [layer], start, aim), ASKED, same=alike)


def inversions():
    yield inversion("coursenet", "relu3", 64)
    yield inversion("efficientnet-lite0", "block5", 224)


ASKED = {"a plain loop": 1.5}


def loops(name, layers, start, aim):
    """A loop as it is often written, and one that cuts the network short, freezes it, and lays pictures out as its weights are.

    `start()` gives the image, `aim()` the loss, a function of the layers' features and of the image.
    """
    net = network(name)
    last_one = max(list(dict(net.named_children())).index(layer) for layer in layers)
    short = torch.nn.Sequential(OrderedDict(list(net.named_children())[:last_one + 1]))
    return {"a plain loop": lambda: loop(alive(name), layers, start(), aim(), {}),
            "the same, short, frozen, channels last": lambda: loop(short, layers, start(), aim(), LAST)}


def loop(net, layers, image, loss, layout, steps=10):
    """Hooks keep the layers; backward() reaches all parameters that are alive."""
    found, modules = {}, dict(net.named_modules())
    hooks = [modules[layer].register_forward_hook(lambda module, inputs, output, layer=layer: found.update({layer: output}))
             for layer in layers]
    optimizer = STEPS(image.parameters())
    for _ in range(steps):
        optimizer.zero_grad(), net.zero_grad()
        z = image()
        net(z.contiguous(**layout))
        loss(found, z).sum().backward()
        optimizer.step()
        image.project()
    for hook in hooks:
        hook.remove()
    return image().detach()


RACES = [guided_maps, class_maps, units, ascents, inversions]
