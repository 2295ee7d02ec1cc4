import copy

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from captum.attr import NoiseTunnel, Occlusion, Saliency
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.attribution import grad_cam, input_gradient, integrated_gradients, occlusion, relu_backward, saliency, smooth_grad
from helpers.nets import load_net

RELUS = {
    "module": nn.ReLU(), "module in place": nn.ReLU(inplace=True), "F.relu": F.relu, "F.relu_": F.relu_,
    "F.relu in place": lambda v: F.relu(v, True), "F.relu keyword": lambda v: F.relu(input=v, inplace=True), "torch.relu": torch.relu,
    "torch.relu_": torch.relu_, "method": lambda v: v.relu(), "method in place": lambda v: v.relu_(),
    "in place, result unused": lambda v: (v.relu_(), v)[1],
}


@pytest.fixture
def score(random_net):
    return lambda x: random_net(x)[:, 3]


def test_a_linear_network_has_its_weights_for_gradient(images):
    w = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(input_gradient(lambda x: (x * w).sum((1, 2, 3)), images), w.expand_as(images))


def test_finite_differences(random_net, images):
    net, x = random_net.double(), images[:1].double()
    try:
        score = lambda x: net(x)[:, 3]
        gradient = input_gradient(score, x)
        spot = (0, *[int(i) for i in torch.unravel_index(gradient[0].abs().argmax(), gradient[0].shape)])
        nudge = torch.zeros_like(x)
        nudge[spot] = 1e-6
        measured = (score(x + nudge) - score(x - nudge)) / 2e-6
        assert torch.allclose(measured, gradient[spot], rtol=1e-4)
    finally:
        net.float()


def test_saliency_is_captums_over_the_colours(random_net, images, score):
    theirs = captum.attr.Saliency(random_net).attribute(images.clone().requires_grad_(), target=3)
    assert torch.allclose(saliency(score, images), theirs.amax(1))


@pytest.mark.parametrize("baseline", [0.5, 0.0, "mean"])
def test_integrated_gradients_are_captums(random_net, images, score, baseline):
    start = images.mean((2, 3), keepdim=True).expand_as(images) if baseline == "mean" else torch.full_like(images, baseline)
    theirs = captum.attr.IntegratedGradients(random_net).attribute(images, start, target=3, n_steps=12, method="riemann_middle")
    ours = integrated_gradients(score, images, baseline=start if baseline == "mean" else baseline, steps=12)
    torch.testing.assert_close(ours, theirs.to(ours), rtol=1e-3, atol=1e-6)


def test_integrated_gradients_sum_to_the_difference(images):
    net = load_net()
    score = lambda x: net(x)[:, 3]
    gap = score(images) - score(torch.full_like(images, 0.5))
    errors = [(integrated_gradients(score, images, steps=n).sum((1, 2, 3)) - gap).abs().max() for n in (2, 512)]
    assert errors[1] < 0.05 * gap.abs().max() and errors[1] < errors[0] / 4
    w = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(1))         # of a linear score one step is exact
    torch.testing.assert_close(integrated_gradients(lambda x: (x * w).sum((1, 2, 3)), images, steps=1), (images - 0.5) * w)


def test_integrated_gradients_refuse_no_steps(images, score):
    with pytest.raises(ValueError, match="steps"):
        integrated_gradients(score, images, steps=0)


def test_batch_equals_loop(images, score):
    loop = torch.cat([saliency(score, x[None]) for x in images])
    assert torch.allclose(saliency(score, images), loop, atol=1e-7)


def test_it_is_the_gradient_of_the_score_not_of_a_loss(random_net, images):
    of_score = input_gradient(lambda x: random_net(x)[:, 3], images)
    of_loss = input_gradient(lambda x: F.cross_entropy(random_net(x), torch.full((3,), 3), reduction="none"), images)
    assert not torch.allclose(of_score, of_loss, rtol=0.1)
    jacobian = torch.autograd.functional.jacobian(lambda x: random_net(x)[0, 3], images[:1])
    assert torch.allclose(of_score[:1], jacobian, rtol=1e-4, atol=1e-8)


def test_works_inside_no_grad(images, score):
    with torch.no_grad():
        inside = saliency(score, images)
    assert torch.equal(inside, saliency(score, images))


@pytest.mark.parametrize("wrong, says", [
    (lambda x: x.sum(), r"shape \(\) for 3 image\(s\); expected one number per image, shape \(3,\)"),
    (lambda x: x.mean((2, 3)), r"shape \(3, 3\)"),
    (lambda x: 1.0, "a float"),
    (lambda x: x.detach().mean((1, 2, 3)), "does not depend on the image"),
])
def test_a_score_that_is_no_score(images, wrong, says):
    with pytest.raises(ValueError, match=says):
        input_gradient(wrong, images)


@pytest.mark.parametrize("x, error, says", [
    (torch.rand(3, 64, 64), ValueError, r"x\[None\]"),
    (torch.rand(1, 3, 8, 8) * 255, ValueError, r"expected \[0, 1\]"),
    (torch.randint(0, 255, (1, 3, 8, 8)), TypeError, "float"),
    (torch.full((1, 3, 8, 8), torch.nan), ValueError, "expected finite"),
])
def test_images_that_are_no_images(x, error, says, score):
    with pytest.raises(error, match=says):
        saliency(score, x)


def test_a_score_blind_to_the_image_has_zero_gradient(images):
    w = torch.ones(1, requires_grad=True)
    assert not input_gradient(lambda x: w.expand(3), images).any()


@pytest.mark.parametrize("name", RELUS)
@pytest.mark.parametrize("rule, expected", [("plain", [1, -1, 0, 0]), ("deconvnet", [1, 0, 2, 0]), ("guided", [1, 0, 0, 0])])
def test_three_rules_by_hand_for_every_kind_of_relu(name, rule, expected):
    f = torch.tensor([1.0, 2.0, -1.0, -1.0], requires_grad=True)      # two active, two not
    R = torch.tensor([1.0, -1.0, 2.0, -3.0])                          # the gradient from above
    with relu_backward(rule):
        y = RELUS[name](f * 1)
    assert y.tolist() == [1, 2, 0, 0]
    assert torch.autograd.grad(y, f, R)[0].tolist() == expected


@pytest.mark.parametrize("rule, theirs", [("guided", captum.attr.GuidedBackprop), ("deconvnet", captum.attr.Deconvolution)])
def test_equal_to_captum_where_relus_are_modules(random_net, images, score, rule, theirs):
    with relu_backward(rule):
        ours = input_gradient(score, images)
    expected = theirs(random_net).attribute(images.clone().requires_grad_(), target=3)
    assert not torch.allclose(ours, input_gradient(score, images), rtol=0.1)
    assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))


def test_plain_is_autograd_to_the_bit(random_net, images, score):
    with relu_backward("plain"):
        inside = input_gradient(score, images)
    assert torch.equal(inside, input_gradient(score, images))


@pytest.mark.parametrize("name", ["coursenet", "coursenet-robust"])
def test_plain_is_autograd_to_the_bit_on_every_shipped_network(name, images):
    net = load_net(name)
    x = images.clone().requires_grad_()
    expected, = torch.autograd.grad(net(x)[:, 7].sum(), x)
    with relu_backward("plain"):
        assert torch.equal(input_gradient(lambda x: net(x)[:, 7], images), expected)


def test_guided_backprop_through_one_convolution_by_hand():
    """One 2 x 2 filter slides over 3 x 3 pixels; of its four answers one is off, and one is spoken against from above."""
    filter, x = torch.tensor([[1.0, -1.0], [2.0, 0.0]]), torch.tensor([[0.2, 0.4, 0.9], [0.6, 0.1, 0.3], [0.0, 0.5, 0.7]])
    weight = torch.zeros(1, 3, 2, 2)
    weight[0, 0] = filter
    above = torch.tensor([[3.0, 5.0], [-2.0, 7.0]])
    image = torch.zeros(1, 3, 3, 3)
    image[0, 0] = x
    score = lambda x: (F.relu(F.conv2d(x, weight)) * above).sum((1, 2, 3))
    # Its answers are 1.0, -0.3, 0.5 and 0.8; from above come 3, 5, -2 and 7: the first and the last pass.
    expected = torch.zeros(3, 3)
    expected[:2, :2] += 3 * filter
    expected[1:, 1:] += 7 * filter
    with relu_backward("guided"):
        torch.testing.assert_close(input_gradient(score, image)[0, 0], expected)
    expected[1:, :2] += -2 * filter             # the plain gradient has this one too
    torch.testing.assert_close(input_gradient(score, image)[0, 0], expected)


def test_a_reused_functional_relu():
    class Twice(nn.Module):
        def forward(self, x):
            return F.relu(F.relu(x - 0.5) * -1 + 0.2).flatten(1).sum(1)
    x = torch.full((1, 3, 1, 1), 0.6)
    with relu_backward("guided"):
        assert not input_gradient(Twice(), x).any()      # the gradient -1 from above is cut at the inner ReLU
    assert input_gradient(Twice(), x).flatten().tolist() == [-1, -1, -1]


def test_the_rule_ends_with_the_block_even_after_an_exception(images, score):
    before = input_gradient(score, images)
    with pytest.raises(RuntimeError), relu_backward("guided"):
        raise RuntimeError
    assert torch.equal(input_gradient(score, images), before)


def test_unknown_rule():
    with pytest.raises(KeyError, match="Did you mean 'guided'"), relu_backward("guidde"):
        pass


def test_nothing_changes(random_net, images, score, unchanged):
    with unchanged(random_net, images):
        with relu_backward("guided"):
            saliency(score, images)
    with unchanged(random_net, images), pytest.raises(ZeroDivisionError):
        saliency(lambda x: 1 / 0, images)


@pytest.mark.parametrize("layer", ["conv3", "relu4", "relu5"])
def test_grad_cam_is_captums(random_net, images, layer):
    module = dict(random_net.named_modules())[layer]
    x = images.clone().requires_grad_()
    theirs = captum.attr.LayerGradCam(random_net, module).attribute(x, target=3, relu_attributions=True)
    theirs = F.interpolate(theirs, (64, 64), mode="bilinear")[:, 0].detach()
    found = grad_cam(random_net, images, layer, lambda y: y[:, 3])
    assert found.shape == (3, 64, 64) and not found.requires_grad
    torch.testing.assert_close(found, theirs, rtol=1e-3, atol=float(theirs.abs().max()) * 1e-4)


def test_grad_cam_by_hand():
    """Two channels, one of which raises the score by 2 a place and one lowers it: the first alone is seen."""
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = torch.nn.Conv2d(3, 2, 1, bias=False)
            self.maps.weight.data = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])[..., None, None]

        def forward(self, x):
            return (self.maps(x) * torch.tensor([2.0, -1.0])[:, None, None]).sum((2, 3)).sum(1, keepdim=True)

    x = torch.zeros(1, 3, 4, 4)
    x[0, 0, 1, 1], x[0, 1, 2, 2] = 0.5, 0.5
    expected = torch.zeros(1, 4, 4)
    expected[0, 1, 1] = 1.0
    torch.testing.assert_close(grad_cam(Two(), x, "maps", lambda y: y[:, 0]), expected)


def test_grad_cam_passes_an_in_place_layer(images):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(inplace=True), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    net(images)
    assert grad_cam(net, images, "0", lambda y: y[:, 0]).isfinite().all()


@pytest.mark.parametrize("layer, score, error, says", [
    ("relu55", lambda y: y[:, 0], KeyError, "Did you mean 'relu5'"), ("fc7", lambda y: y[:, 0], ValueError, "has no maps"),
    ("relu5", lambda y: y, ValueError, "one number per image"), ("relu5", lambda y: y.detach()[:, 0] + torch.ones(3, requires_grad=True),
                                                                 ValueError, "does not depend on layer 'relu5'"),
])
def test_grad_cam_refuses(random_net, images, unchanged, layer, score, error, says):
    with unchanged(random_net, images), pytest.raises(error, match=says):
        grad_cam(random_net, images, layer, score)


def test_grad_cam_works_inside_no_grad(random_net, images):
    with torch.no_grad():
        inside = grad_cam(random_net, images, "relu5", lambda y: y[:, 3])
    assert torch.equal(inside, grad_cam(random_net, images, "relu5", lambda y: y[:, 3]))


def test_grad_cam_changes_nothing(random_net, images, unchanged):
    def fails(y):
        raise RuntimeError("no score")

    with unchanged(random_net, images):
        grad_cam(random_net, images, "relu5", lambda y: y[:, 0])
        with pytest.raises(RuntimeError, match="no score"):
            grad_cam(random_net, images, "relu5", fails)


# ---- other activations ----

def test_relu6_by_hand():
    """ReLU6 is on between 0 and 6; f and R as in the notebook, with two values beyond 6."""
    f = torch.tensor([[1.0, -1, 7, 2], [2, -5, -7, 6], [-3, 2, 4, -2], [0, 9, -1, 0.5]])
    R = torch.tensor([[-2.0, 3, 4, 2], [6, -3, 1, -1], [2, -1, 3, 1], [4, 4, 2, 1]])
    expected = {"plain": [[-2, 0, 0, 2], [6, 0, 0, 0], [0, -1, 3, 0], [0, 0, 0, 1]],
                "deconvnet": [[0, 3, 4, 2], [6, 0, 1, 0], [2, 0, 3, 1], [4, 4, 2, 1]],
                "guided": [[0, 0, 0, 2], [6, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]}
    in_place = lambda z: F.relu6(z.clone(), inplace=True)
    for relu6 in (F.relu6, torch.nn.ReLU6(), in_place, lambda z: torch.nn.ReLU6(inplace=True)(z.clone())):
        for rule, passed in expected.items():
            z = f.clone().requires_grad_()
            with relu_backward(rule):
                h = relu6(z)
            assert torch.equal(h, f.clamp(0, 6)) and torch.autograd.grad(h, z, R)[0].tolist() == passed


@pytest.mark.parametrize("layer", [torch.nn.GELU(), torch.nn.SiLU(), torch.nn.LeakyReLU(), torch.nn.LeakyReLU(inplace=True), torch.nn.ELU(),
                                   torch.nn.Hardswish(), torch.nn.PReLU(), F.gelu, F.silu, F.leaky_relu, torch.nn.functional.mish])
def test_activations_without_such_a_rule_are_refused(layer):
    """The plain gradient under another name would be the worst answer."""
    x = torch.linspace(-1, 1, 8, requires_grad=True)
    for rule in ("guided", "deconvnet"):
        with relu_backward(rule), pytest.raises(ValueError, match="defined for ReLU and ReLU6 only. Try 'plain'"):
            layer(x * 1)
    with relu_backward("plain"):
        layer(x * 1)


# ---- occlusion ----

def linear(seed=0, size=12):
    w = torch.randn(3, size, size, generator=torch.Generator().manual_seed(seed))
    return w, lambda x: (x * w).sum((1, 2, 3))


def brute_force(score, x, window, stride, baseline):
    (height, width), (down, right), (h, w) = window, stride, x.shape[2:]
    total, times = torch.zeros(len(x), h, w), torch.zeros(h, w)
    tops = sorted({*range(0, h - height + 1, down), h - height})
    lefts = sorted({*range(0, w - width + 1, right), w - width})
    for n in range(len(x)):
        for top in tops:
            for left in lefts:
                covered = x[n:n + 1].clone()
                covered[..., top:top + height, left:left + width] = torch.as_tensor(baseline).expand_as(x)[n:n + 1][
                    ..., top:top + height, left:left + width]
                total[n, top:top + height, left:left + width] += (score(x[n:n + 1]) - score(covered)).item()
                times[top:top + height, left:left + width] += int(n == 0)
    return total / times


@pytest.mark.parametrize("window, stride", [((4, 4), (2, 2)), ((5, 3), (4, 2)), ((7, 12), (3, 1)), ((12, 12), (5, 5)), ((1, 1), (1, 1))])
@pytest.mark.parametrize("baseline", [0.5, 0.0, torch.tensor([0.1, 0.5, 0.9])[:, None, None], torch.rand(2, 3, 12, 12)])
def test_it_is_the_brute_force(window, stride, baseline):
    x, (_, score) = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1)), linear()
    found = occlusion(score, x, window=window, stride=stride, baseline=baseline)
    torch.testing.assert_close(found, brute_force(score, x, window, stride, baseline), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("window, stride", [(8, 8), (16, 8), (16, 16)])
def test_it_is_captums_where_all_windows_are_whole(random_net, images, window, stride):
    ours = occlusion(lambda x: random_net(x)[:, 3], images, window=window, stride=stride)
    theirs = Occlusion(random_net).attribute(images, sliding_window_shapes=(3, window, window), strides=(3, stride, stride),
                                             baselines=0.5, target=3)
    for colour in theirs.unbind(1):
        torch.testing.assert_close(ours, colour, rtol=1e-3, atol=1e-5)


def test_it_is_zero_where_the_network_is_blind():
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = occlusion(lambda x: x[:, :, :4, :4].sum((1, 2, 3)), x, window=4, stride=2)
    assert found[0, :4, :4].abs().min() > 0
    assert (found[0, 6:] == 0).all() and (found[0, :, 6:] == 0).all()


def test_one_window_over_all_is_the_whole_fall():
    x, (_, score) = torch.rand(1, 3, 12, 12), linear()
    found = occlusion(score, x, window=12, stride=1, baseline=0.0)
    torch.testing.assert_close(found, score(x).expand(1, 12, 12), rtol=1e-4, atol=1e-4)


def test_a_batch_is_a_loop(random_net, images):
    def score(x):
        return random_net(x).softmax(1)[:, 0]

    one_by_one = torch.cat([occlusion(score, x, window=24, stride=20) for x in images.split(1)])
    torch.testing.assert_close(occlusion(score, images, window=24, stride=20), one_by_one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "how, says",
    [
        ({"window": 13}, "window of 13 x 13 pixels for images of 12 x 12"),
        ({"window": (4, 13)}, "Try a smaller window"),
        ({"window": 4, "stride": 5}, "never be covered"),
        ({"window": 4, "stride": 0}, "at least 1"),
        ({"window": 4.5}, "whole pixels"),
        ({"baseline": torch.rand(5)}, r"a colour \(3, 1, 1\)"),
        ({"baseline": 1.5}, "0, 1"),
        ({"baseline": float("nan")}, "not a number"),
    ],
)
def test_it_refuses(how, says):
    with pytest.raises(ValueError, match=says):
        occlusion(linear()[1], torch.rand(1, 3, 12, 12), **how)


@pytest.mark.parametrize("attribute", [occlusion, smooth_grad, saliency])
def test_a_score_of_another_shape_is_refused(attribute, images):
    with pytest.raises(ValueError, match=r"one number per image, shape \(3,\)"):
        attribute(lambda x: x.mean((2, 3)), images)


def test_the_gradient_of_a_linear_network_is_its_weights():
    x, (w, score) = torch.rand(4, 3, 12, 12), linear()
    torch.testing.assert_close(input_gradient(score, x), w.expand(4, -1, -1, -1))
    torch.testing.assert_close(smooth_grad(score, x, sigma=0.3), w.abs().amax(0).expand(4, -1, -1))


def test_without_noise_it_is_saliency(random_net, images):
    def score(x):
        return random_net(x)[:, 1]

    torch.testing.assert_close(smooth_grad(score, images, samples=2, sigma=0), saliency(score, images))


def test_it_is_captums_noise_tunnel_where_only_the_mean_of_the_noise_counts():
    """The gradient of a square is linear in the noise: with many copies both come to the gradient without noise."""
    w, _ = linear()
    x = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(2))
    torch.manual_seed(0)
    theirs = NoiseTunnel(Saliency(lambda x: (w * x * x).sum((1, 2, 3)))).attribute(
        x, nt_type="smoothgrad", nt_samples=2000, stdevs=0.1, abs=False).abs().amax(1)
    ours = smooth_grad(lambda x: (w * x * x).sum((1, 2, 3)), x, samples=2000, sigma=0.1)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05)


def test_a_seed_gives_the_same_map_again(random_net, images):
    maps = [smooth_grad(lambda x: random_net(x)[:, 1], images, samples=2, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1]) and not torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("how", [{"samples": 0}, {"samples": 1.5}, {"sigma": -0.1}])
def test_smooth_grad_refuses(how, images):
    with pytest.raises(ValueError, match="expected a whole number, at least 1|as sigma; expected a number from 0"):
        smooth_grad(lambda x: x.sum((1, 2, 3)), images, **how)


def test_nothing_is_changed(random_net, images, unchanged):
    def fails(x):
        random_net(x)
        raise RuntimeError("no score")

    with unchanged(random_net, images):
        for attribute in (lambda s, x: occlusion(s, x, window=32, stride=32), smooth_grad):
            attribute(lambda x: random_net(x)[:, 0], images)
            with pytest.raises(RuntimeError, match="no score"):
                attribute(fails, images)


def test_a_linear_score_by_hand():
    """White turns black in each of four windows of 2 x 2, side by side or shared: the fall is the weight that is covered."""
    w = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    score = lambda x: (x[:, 0] * w).sum((1, 2))
    found = occlusion(score, torch.ones(1, 3, 3, 3), window=2, stride=1, baseline=0.0)
    assert found.tolist() == [[[12, 14, 16], [18, 20, 22], [24, 26, 28]]]      # of the falls 12, 16, 24 and 28
    found = occlusion(score, torch.ones(1, 3, 3, 3), window=(1, 2), stride=(1, 2), baseline=0.0)
    assert found.tolist() == [[[3, 4, 5], [9, 10, 11], [15, 16, 17]]]      # the second window begins at column 1, to end at the border


def test_the_sign_is_that_of_a_fall():
    x = torch.full((1, 3, 4, 4), 0.25)
    assert (occlusion(lambda x: x.mean((1, 2, 3)), x, window=2, stride=2, baseline=1.0) < 0).all()
    assert (occlusion(lambda x: x.mean((1, 2, 3)), x, window=2, stride=2, baseline=0.0) > 0).all()
    assert not occlusion(lambda x: x.mean((1, 2, 3)), x, window=2, stride=2, baseline=x).any()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("window, stride", [((4, 4), (4, 4)), ((5, 3), (4, 2)), ((7, 12), (3, 1)), ((3, 4), (2, 3))])
def test_every_window_is_whole(count, window, stride):
    seen = []

    def score(x):
        seen.append(x.clone())
        return x.sum((1, 2, 3))

    occlusion(score, torch.ones(count, 3, 12, 12), window=window, stride=stride, baseline=0.0)
    assert all(len(x) == count if count > 1 else len(x) <= 16 for x in seen)
    black = (torch.cat(seen)[count:] == 0).all(1)         # the first is the picture as it is
    assert (black.any(2).sum(1) == window[0]).all() and (black.any(1).sum(1) == window[1]).all()
    assert (black.sum((1, 2)) == window[0] * window[1]).all() and black.any(0).all()
    assert len(black.flatten(1).unique(dim=0)) * count == len(black)      # no window comes twice


def test_each_image_may_have_a_class_of_its_own(random_net, images):
    classes = torch.tensor([3, 0, 7])
    together = occlusion(lambda x: random_net(x)[range(3), classes], images, window=32, stride=32)
    for n, k in enumerate(classes):
        alone = occlusion(lambda x, k=k: random_net(x)[:, k], images[n:n + 1], window=32, stride=32)
        torch.testing.assert_close(together[n:n + 1], alone, rtol=1e-4, atol=1e-6)


def test_each_image_may_have_a_baseline_of_its_own():
    x, baseline, (_, score) = torch.ones(2, 3, 12, 12), torch.stack([torch.zeros(3, 12, 12), torch.ones(3, 12, 12)]), linear()
    found = occlusion(score, x, window=4, stride=4, baseline=baseline)
    assert found[0].abs().min() > 0 and not found[1].any()


@pytest.mark.parametrize("how", [{"baseline": -0.1}, {"baseline": torch.full((3, 1, 1), 2.0)}, {"baseline": torch.rand(3, 13, 12)},
                                 {"baseline": torch.rand(2, 3, 12, 12)}, {"baseline": torch.rand(1, 1, 3, 12, 12)},
                                 {"window": (4, 2), "stride": (2, 3)}, {"window": (13, 4)}, {"window": 0}, {"stride": -1}])
def test_it_refuses_these_too(how):
    with pytest.raises(ValueError, match="Got"):
        occlusion(linear()[1], torch.rand(1, 3, 12, 12), **how)


@pytest.mark.parametrize("attribute", [occlusion, smooth_grad])
@pytest.mark.parametrize("x, error", [(torch.rand(3, 12, 12), ValueError), (torch.rand(1, 3, 12, 12) + 1, ValueError),
                                      (torch.full((1, 3, 12, 12), torch.nan), ValueError), (torch.ones(1, 3, 12, 12).int(), TypeError)])
def test_occlusion_of_images_that_are_no_images(attribute, x, error):
    with pytest.raises(error, match="expected"):
        attribute(linear()[1], x)


@pytest.mark.parametrize("attribute", [occlusion, smooth_grad])
def test_the_type_is_kept_and_no_graph_hangs_on_the_map(attribute):
    w, x = linear()[0].double(), torch.rand(2, 3, 12, 12).double().requires_grad_()
    found = attribute(lambda x: (x * w).sum((1, 2, 3)), x)
    assert found.dtype == torch.float64 and found.shape == (2, 12, 12) and not found.requires_grad and x.grad is None


@pytest.mark.parametrize("sigma, samples, seed", [(0.1, 1, 0), (0.3, 5, 3), (2.0, 16, 1)])
def test_for_a_linear_network_it_is_captums_for_any_noise(sigma, samples, seed):
    w, score = linear()
    x = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(2))
    theirs = NoiseTunnel(Saliency(score)).attribute(x, nt_type="smoothgrad", nt_samples=samples, stdevs=sigma, abs=False)
    torch.testing.assert_close(smooth_grad(score, x, samples=samples, sigma=sigma, seed=seed), theirs.abs().amax(1))
    torch.testing.assert_close(theirs, w.expand_as(x))


def test_it_is_the_mean_over_the_very_copies_that_the_score_saw():
    seen, (w, _) = [], linear()

    def score(x):
        seen.append(x.detach().clone())
        return (w * x ** 3).sum((1, 2, 3))

    x = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    found = smooth_grad(score, x, samples=7, sigma=0.4)
    by_hand = torch.stack([3 * w * copy ** 2 for copy in seen]).mean(0).abs().amax(1)
    torch.testing.assert_close(found, by_hand)
    noise = torch.stack(seen) - x
    assert len(seen) == 7 and noise.std().item() == pytest.approx(0.4, rel=0.05) and abs(noise.mean()) < 0.02
    assert torch.stack(seen).min() < 0 and torch.stack(seen).max() > 1      # not clamped


def test_gradients_of_both_signs_cancel():
    x = torch.full((1, 3, 4, 4), 0.5)
    found = smooth_grad(lambda x: (x - 0.5).abs().sum((1, 2, 3)), x, samples=400)      # +1 or -1, by the noise
    assert found.max() < 0.25


def test_smooth_grad_works_inside_no_grad(images):
    w = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = smooth_grad(lambda x: (x * w).sum((1, 2, 3)), images, samples=2)
    torch.testing.assert_close(found, w.amax(0).expand(3, 64, 64))


def test_a_score_that_works_in_place_does_not_reach_the_images():
    x = torch.rand(1, 3, 12, 12)
    before = x.clone()
    occlusion(lambda x: x.sub_(0.5).sum((1, 2, 3)), x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("how", [{"samples": float("inf")}, {"sigma": float("inf")}])
def test_smooth_grad_refuses_infinity(how, images):
    with pytest.raises(ValueError, match="expected a whole number, at least 1|as sigma; expected a number from 0"):
        smooth_grad(lambda x: (x ** 2).sum((1, 2, 3)), images, **how)


def test_in_a_batch_each_image_has_noise_of_its_own():
    """It is drawn for the whole batch: the first copy of the first image is that of the image alone, the others are not."""
    x = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    score = lambda x: (x ** 2).sum((1, 2, 3))
    alone, batch = (smooth_grad(score, some, samples=1, sigma=0.3, seed=4) for some in (x[:1], x))
    torch.testing.assert_close(batch[:1], alone)
    assert not torch.allclose(batch[1], batch[0]) and not torch.allclose(batch[2], batch[1])
    alone, batch = (smooth_grad(linear()[1], some, samples=3, sigma=0.3) for some in (x[:1], x))
    torch.testing.assert_close(batch, alone.expand(3, -1, -1))      # where noise does not matter, a batch is a loop


class Backwards(TorchDispatchMode):
    """Records for each convolution on the way back which gradients were asked for: of its input, its weights, its bias."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution_backward.default:
            self.asked.append(args[-1])
        return func(*args, **kwargs or {})


def test_only_the_gradients_that_are_needed_are_computed(random_net, images):
    net = copy.deepcopy(random_net).requires_grad_()        # as torchvision gives networks: to be trained
    with Backwards() as seen:
        saliency(lambda x: net(x)[:, 3], images)
        with relu_backward("guided"):
            input_gradient(lambda x: net(x)[:, 3], images)
    assert seen.asked == 10 * [[True, False, False]] and all(p.grad is None for p in net.parameters())
    with Backwards() as seen:
        grad_cam(net, images, "conv4", lambda y: y[:, 3])
    assert seen.asked == [[True, False, False]]             # of conv5, which alone comes after it


@pytest.mark.parametrize("images, side, rounds", [(1, 64, [9, 8]), (1, 224, [6, 6, 5]), (1, 700, [1] * 17), (2, 64, [2] * 17)])
def test_how_many_copies_are_scored_at_once(images, side, rounds):
    """Up to 16 copies of a single image, of no more pixels than 8 copies of 224 x 224 have, in rounds of one size."""
    asked = []
    score = lambda x: (asked.append(len(x)), x.mean((1, 2, 3)))[1]
    occlusion(score, torch.zeros(images, 3, side, side), window=side // 4, stride=side // 4)
    assert asked == rounds
