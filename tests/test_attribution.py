import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.attribution import grad_cam, input_gradient, relu_backward, saliency
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


def test_grad_cam_changes_nothing(random_net, images, unchanged):
    def fails(y):
        raise RuntimeError("no score")

    with unchanged(random_net, images):
        grad_cam(random_net, images, "relu5", lambda y: y[:, 0])
        with pytest.raises(RuntimeError, match="no score"):
            grad_cam(random_net, images, "relu5", fails)
