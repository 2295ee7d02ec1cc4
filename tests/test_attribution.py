import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.attribution import (
    grad_cam,
    input_gradient,
    integrated_gradients,
    occlusion,
    relu_backward,
    saliency,
    smooth_grad,
)
from helpers.transforms import gaussian_blur

WEIGHT = torch.randn(3, 12, 12, generator=torch.Generator().manual_seed(1))


def linear(x):
    return (x * WEIGHT).sum((1, 2, 3))


@pytest.fixture
def small():
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def score(random_net):
    return lambda x: random_net(x)[:, 3]


# ---- Gradients ----

def test_gradient_of_a_linear_score_is_its_weights(small):
    torch.testing.assert_close(input_gradient(linear, small), WEIGHT.expand_as(small))
    with torch.no_grad():
        torch.testing.assert_close(saliency(linear, small), WEIGHT.abs().amax(0).expand(2, -1, -1))


def test_saliency_equals_captum(random_net, images, score):
    expected = captum.attr.Saliency(random_net).attribute(images.clone(), target=3)
    torch.testing.assert_close(saliency(score, images), expected.amax(1))


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_smooth_grad_averages_the_gradients_of_the_copies_it_scores(small, batch):
    seen = []

    def cubic(x):
        seen.append(x.detach())
        return (WEIGHT * x ** 3).sum((1, 2, 3))

    found = smooth_grad(cubic, small[:1], samples=5, sigma=0.4, batch=batch)
    copies = torch.cat(seen)
    expected = (3 * WEIGHT * copies ** 2).mean(0, keepdim=True).abs().amax(1)
    torch.testing.assert_close(found, expected)
    assert len(copies) == 5 and len(seen[0]) == batch
    assert (copies - small[0]).std().item() == pytest.approx(0.4, rel=0.1)


def test_integrated_gradients_equal_captum(random_net, images, score):
    start = images.mean((2, 3), keepdim=True).expand_as(images)
    method = captum.attr.IntegratedGradients(random_net)
    expected = method.attribute(images, start, target=3, n_steps=12, method="riemann_middle")
    found = integrated_gradients(score, images, baseline=start, steps=12)
    torch.testing.assert_close(found, expected.to(found), rtol=1e-3, atol=1e-6)


def test_integrated_gradients_are_complete(images, score):
    x = images[:1]
    found = integrated_gradients(score, x, steps=64).sum((1, 2, 3))
    expected = score(x) - score(torch.full_like(x, 0.5))
    torch.testing.assert_close(found, expected, rtol=0.02, atol=1e-3)


# ---- Grad-CAM ----

@pytest.mark.parametrize("layer", ["conv3", "relu5"])
def test_grad_cam_equals_captum(random_net, images, layer):
    method = captum.attr.LayerGradCam(random_net, random_net.get_submodule(layer))
    expected = method.attribute(images, target=3, relu_attributions=True).detach()
    expected = F.interpolate(expected, (64, 64), mode="bilinear")[:, 0]
    found = grad_cam(random_net, images, layer, 3)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * expected.max().item())
    for target in (torch.tensor([3, 3, 3]), lambda y: y[:, 3]):
        assert torch.equal(grad_cam(random_net, images, layer, target), found)


def test_grad_cam_by_hand():
    """One channel raises the score by 1 per position, one lowers it; each is on at one of 16."""
    maps = nn.Conv2d(3, 2, 1, bias=False)
    maps.weight.data = torch.tensor([[2.0, 0, 0], [0, 1, 0]])[..., None, None]
    head = nn.Linear(32, 1, bias=False)
    head.weight.data = torch.tensor([1.0] * 16 + [-1] * 16)[None]
    x = torch.zeros(1, 3, 4, 4)
    x[0, 0, 1, 1] = 0.5
    x[0, 1, 2, 2] = 0.5
    net = nn.Sequential(maps, nn.ReLU(inplace=True), nn.Flatten(), head)
    found = grad_cam(net, x, "0", 0)
    assert found[0, 1, 1] == found.sum() == 1 / 16


def test_grad_cam_refuses_layers_without_maps(random_net, images):
    class ChannelsLast(nn.Module):      # as in Swin: (b,h,w,c)
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    net = nn.Sequential(nn.Conv2d(3, 32, 4, 4), ChannelsLast(), nn.Flatten())
    with pytest.raises(ValueError, match="maps"):
        grad_cam(net, images, "1", 0)
    with pytest.raises(ValueError, match="maps"):
        grad_cam(random_net, images, "fc7", 0)
    with pytest.raises(KeyError, match="relu5"):
        grad_cam(random_net, images, "relu55", 0)


# ---- Occlusion ----

def brute_force(score, x, window, stride, fill):
    total, count = torch.zeros(12, 12), torch.zeros(12, 12)
    for top in sorted({*range(0, 13 - window[0], stride[0]), 12 - window[0]}):
        for left in sorted({*range(0, 13 - window[1], stride[1]), 12 - window[1]}):
            place = slice(top, top + window[0]), slice(left, left + window[1])
            occluded = x.clone()
            occluded[(..., *place)] = fill
            total[place] += (score(x) - score(occluded)).item()
            count[place] += 1
    return total / count


@pytest.mark.parametrize("window, stride", [((4, 4), (2, 2)), ((5, 3), (4, 2)), ((12, 7), (1, 3))])
def test_occlusion_equals_a_brute_force(small, window, stride):
    found = occlusion(linear, small, window=window, stride=stride, baseline=0.25)
    alone = occlusion(linear, small[:1], window=window, stride=stride, baseline=0.25, batch=3)
    expected = [brute_force(linear, x, window, stride, 0.25) for x in small.split(1)]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(alone, found[:1], rtol=1e-4, atol=1e-4)


def test_occlusion_by_hand():
    """White turns black in four windows of 2 x 2, whose drops are 12, 16, 24, and 28."""
    weight = torch.arange(1.0, 10).view(3, 3)
    found = occlusion(lambda x: (x[:, 0] * weight).sum((1, 2)), torch.ones(1, 3, 3, 3), window=2,
                      stride=1, baseline=0.0)
    assert found.tolist() == [[[12, 14, 16], [18, 20, 22], [24, 26, 28]]]


def test_occlusion_scores_copies_of_one_image_at_once_and_batches_as_they_are():
    sizes = []

    def score(x):
        sizes.append(len(x))
        return x.mean((1, 2, 3))

    occlusion(score, torch.zeros(1, 3, 64, 64), window=16, stride=16)
    occlusion(score, torch.zeros(2, 3, 64, 64), window=32, stride=32)
    assert sizes == [1, 16] + 5 * [2]


# ---- Rules for ReLU ----

RELUS = [
    nn.ReLU(), nn.ReLU(inplace=True), F.relu, torch.relu, torch.relu_, torch.Tensor.relu,
    lambda f: F.relu(f, inplace=True), lambda f: F.relu(input=f), lambda f: (f.relu_(), f)[1],
]


def test_rules_by_hand_for_every_kind_of_relu():
    R = torch.tensor([1.0, -1, 2, -3])
    expected = {"plain": [1, -1, 0, 0], "deconvnet": [1, 0, 2, 0], "guided": [1, 0, 0, 0]}
    for relu in RELUS:
        for rule, passed in expected.items():
            f = torch.tensor([1.0, 2, -1, -1], requires_grad=True)
            with relu_backward(rule):
                h = relu(f * 1)
            assert h.tolist() == [1, 2, 0, 0]
            assert torch.autograd.grad(h, f, R)[0].tolist() == passed


def test_rules_by_hand_for_relu6():
    R = torch.tensor([1.0, -1, 2, 3])
    expected = {"plain": [1, -1, 0, 0], "deconvnet": [1, 0, 2, 3], "guided": [1, 0, 0, 0]}
    for relu6 in (nn.ReLU6(), nn.ReLU6(inplace=True), F.relu6):
        for rule, passed in expected.items():
            f = torch.tensor([1.0, 2, -1, 7], requires_grad=True)
            with relu_backward(rule):
                h = relu6(f * 1)
            assert h.tolist() == [1, 2, 0, 6]
            assert torch.autograd.grad(h, f, R)[0].tolist() == passed


def test_rules_equal_captum(random_net, images, score):
    methods = {"guided": captum.attr.GuidedBackprop, "deconvnet": captum.attr.Deconvolution}
    for rule, method in methods.items():
        with relu_backward(rule):
            found = input_gradient(score, images)
        expected = method(random_net).attribute(images.clone(), target=3)
        scale = expected.abs().max().item()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * scale)


def test_rules_refuse_other_activations():
    x = torch.linspace(-1, 1, 8)
    for activation in (nn.GELU(), nn.LeakyReLU(inplace=True), nn.Hardtanh(0, 1), F.silu, F.elu_):
        with relu_backward("guided"), pytest.raises(ValueError, match="plain"):
            activation(x * 1)
        with relu_backward("plain"):
            activation(x * 1)
    with pytest.raises(KeyError, match="guided"):
        relu_backward("guidde")


# ---- All methods ----

METHODS = [
    saliency,
    lambda score, x: smooth_grad(score, x, samples=2),
    lambda score, x: integrated_gradients(score, x, steps=3),
    lambda score, x: occlusion(score, x, window=24, stride=20),
]


def test_a_batch_equals_a_loop(images, score):
    for method in (METHODS[0], *METHODS[2:]):       # SmoothGrad draws other noise for each image
        loop = torch.cat([method(score, x) for x in images.split(1)])
        torch.testing.assert_close(method(score, images), loop, rtol=1e-3, atol=1e-6)


def test_nothing_is_changed(random_net, images, unchanged):
    def fails(x):
        raise ZeroDivisionError

    with unchanged(random_net, images):
        for method in METHODS:
            with relu_backward("guided"):
                assert not method(lambda x: random_net(x)[:, 0], images).requires_grad
            with pytest.raises(ZeroDivisionError):
                method(fails, images)
        grad_cam(random_net, images, "relu5", 0)
        with pytest.raises(ZeroDivisionError):
            grad_cam(random_net, images, "relu5", fails)


def test_wrong_scores_and_pixels_are_refused(random_net, images, score):
    for method in METHODS:
        with pytest.raises(ValueError, match="score"):
            method(random_net, images)
        with pytest.raises(ValueError, match="pixels"):
            method(score, images * 255)
    white = torch.ones_like(images[:1])
    for method in (lambda b: integrated_gradients(score, white, baseline=b, steps=1),
                   lambda b: occlusion(score, white, window=64, baseline=b)):
        method(gaussian_blur(white, 8))         # rounding takes it above 1
        with pytest.raises(ValueError, match="pixels"):
            method(127)
