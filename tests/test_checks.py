import re

import pytest
import torch
import torch.nn.functional as F

import helpers.exercises.checks as check
from helpers.activations import activations
from helpers.attribution import input_gradient, occlusion
from helpers.evaluation import mass_inside
from helpers.features import nearest_neighbors
from helpers.nets import class_index


def p(net, x, name):
    return net(x).softmax(1)[:, class_index(net, name)]


def colour(W):
    return (W - W.mean(1, keepdim=True)).square().sum((1, 2, 3))


PROBABILITY = [
    (p, "✓ right"),
    (lambda net, x, name: None, "○ not tried yet"),
    (lambda net, x, name: ..., "○ not tried yet"),
    (lambda net, x, name: net(x)[:, class_index(net, name)], "these are the scores"),
    (lambda net, x, name: net(x).sigmoid()[:, class_index(net, name)], "a sigmoid"),
    (lambda net, x, name: net(x).softmax(0)[:, class_index(net, name)], "over the images"),
    (lambda net, x, name: 100 * p(net, x, name), "per cent"),
    (lambda net, x, name: p(net, x, name)[:1], r"the shape is \(1,\), expected \(3,\)"),
    (lambda net, x, name: torch.zeros(3), "not yet"),
]
COLOURFUL = [
    (lambda W: (colour(W) / W.square().sum((1, 2, 3))).argmax(), "✓ right"),
    (lambda W: int((colour(W) / W.square().sum((1, 2, 3))).argmax()), "✓ right"),
    (lambda W: ..., "○ not tried yet"),
    (lambda W: colour(W).argmax(), "the most colour in all"),
    (lambda W: (colour(W) / W.square().sum((1, 2, 3))).argmin(), "the greyest"),
]
SPARSITY = [
    (lambda net, x, layer: (activations(net, x, layer)[layer] == 0).float().mean(), "✓ right"),
    (lambda net, x, layer: (activations(net, x, layer)[layer] > 0).float().mean(), "units that fire"),
    (lambda net, x, layer: (activations(net, x, layer)[layer] == 0).sum(), "a count"),
    (lambda net, x, layer: ..., "○ not tried yet"),
]
SIGNED = [
    (lambda score, x: input_gradient(score, x).mean(1), "✓ right"),
    (lambda score, x: input_gradient(score, x).abs().amax(1), "`saliency` itself"),
    (lambda score, x: input_gradient(score, x).abs().mean(1), "signs are gone"),
    (lambda score, x: input_gradient(score, x).sum(1), "the sum"),
    (lambda score, x: input_gradient(score, x).mean((2, 3)), "the shape is"),
    (lambda score, x: ..., "○ not tried yet"),
]


@pytest.mark.parametrize("mine, says", PROBABILITY)
def test_probability(mine, says, random_net, images, capsys):
    check.probability(mine, random_net, images, "class 3")
    assert_says(capsys, says)


@pytest.mark.parametrize("mine, says", COLOURFUL)
def test_most_colourful(mine, says, capsys):
    W = torch.zeros(4, 3, 7, 7)
    W[0], W[1, 0], W[2], W[3] = 1.0, 1.0, 9.0, torch.tensor([5.0, 1.0, 5.0])[:, None, None]     # grey, red, strong grey, strong violet
    check.most_colourful(mine, W)
    assert_says(capsys, says)


@pytest.mark.parametrize("mine, says", SPARSITY)
def test_sparsity(mine, says, random_net, images, capsys):
    check.sparsity(mine, random_net, images, "relu4")
    assert_says(capsys, says)


@pytest.mark.parametrize("mine, says", SIGNED)
def test_signed_saliency(mine, says, random_net, images, capsys):
    check.signed_saliency(mine, lambda x: random_net(x)[:, 3], images)
    assert_says(capsys, says)


def assert_says(capsys, says):
    import re
    assert re.search(says, capsys.readouterr().out)


def neighbours(features, labels, first=1, count=6):
    indices = nearest_neighbors(features, features, count).indices[:, first:]
    return (labels[indices] == labels[:, None]).float()


SHARED = [
    (lambda f, y: neighbours(f, y).mean(), "✓ right"),
    (lambda f, y: ..., "○ not tried yet"),
    (lambda f, y: neighbours(f, y, 0).mean(), "its own nearest neighbour"),
    (lambda f, y: neighbours(f, y, 0, 5).mean(), "its own nearest neighbour"),
    (lambda f, y: neighbours(f, y).sum(1).mean(), "divide by five"),
]
COMPONENTS = [
    (lambda x, share: 3, "✓ right"),
    (lambda x, share: None, "○ not tried yet"),
    (lambda x, share: 2, "one too few"),
    (lambda x, share: 4, "squares of the singular values"),
    (lambda x, share: 1, "take off the mean first"),
]
FIELD = [
    (lambda windows: 31, "✓ right"),
    (lambda windows: ..., "○ not tried yet"),
    (lambda windows: 15, "strides are missing"),
    (lambda windows: 30, "one pixel short"),
]


@pytest.mark.parametrize("mine, says", SHARED)
def test_shared_neighbors(mine, says, capsys):
    generator = torch.Generator().manual_seed(0)
    check.shared_neighbors(mine, torch.randn(40, 6, generator=generator), torch.randint(3, (40,), generator=generator))
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("mine, says", COMPONENTS)
def test_components_for(mine, says, capsys):
    q, _ = torch.linalg.qr(torch.randn(50, 5, generator=torch.Generator().manual_seed(0)))
    q, _ = torch.linalg.qr(torch.cat([torch.ones(50, 1), q], 1))
    x = q[:, 1:] * torch.tensor([3.0, 2.5, 2.0, 1.2, 0.6]) + 10
    check.components_for(mine, x)
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("mine, says", FIELD)
def test_field_size(mine, says, capsys):
    check.field_size(mine, [(7, 2), (5, 2), (5, 1)])               # 1 + 6 + 4 * 2 + 4 * 4 = 31
    assert says in capsys.readouterr().out


def falls(score, x, window, sign=1):
    return sign * occlusion(score, x, window=window, stride=window)[0, ::window, ::window]


@pytest.mark.parametrize(
    "mine, says",
    [
        (falls, "✓ right"),
        (lambda score, x, window: falls(score, x, window, -1), "the sign"),
        (lambda score, x, window: score(x) - falls(score, x, window), "the covered scores"),
        (lambda score, x, window: falls(score, x, window).T, "exchanged"),
        (lambda score, x, window: ..., "○ not tried yet"),
    ],
)
def test_occlusion_map(mine, says, random_net, images, capsys):
    check.occlusion_map(mine, lambda x: random_net(x)[:, 1], images[:1], 16)
    assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    "mine, says",
    [
        (mass_inside, "✓ right"),
        (lambda m, k: (m * k).sum((1, 2)) / m.sum((1, 2)), "negative values count"),
        (lambda m, k: mass_inside(m.abs(), k), "absolute value"),
        (lambda m, k: (m.clamp(min=0) * k).sum() / m.clamp(min=0).sum(), r"shape"),
        (lambda m, k: k.float().mean((1, 2)), "the object's share"),
        (lambda m, k: ..., "○ not tried yet"),
    ],
)
def test_mass(mine, says, capsys):
    generator = torch.Generator().manual_seed(0)
    check.mass(mine, torch.randn(3, 8, 8, generator=generator) + 0.3, torch.rand(3, 8, 8, generator=generator) > 0.6)
    assert says in capsys.readouterr().out


IOU = [
    (lambda a, b: (a & b).sum((1, 2)) / (a | b).sum((1, 2)), "✓ right"),
    (lambda a, b: 2 * (a & b).sum((1, 2)) / (a.sum((1, 2)) + b.sum((1, 2))), "Dice"),
    (lambda a, b: (a & b).sum((1, 2)) / (a.sum((1, 2)) + b.sum((1, 2))), "counts the intersection twice"),
    (lambda a, b: (a & b).sum((1, 2)) / b.sum((1, 2)), "the second mask that was found"),
    (lambda a, b: (a == b).float().mean((1, 2)), "pixels that agree"),
    (lambda a, b: (a & b).sum() / (a | b).sum(), "shape"),
    (lambda a, b: ..., "○ not tried yet"),
]
GUIDED = [
    (lambda f, R: (f > 0) * (R > 0) * R, "✓ right"), (lambda f, R: (f > 0) * R, "plain backprop"),
    (lambda f, R: R.clamp(min=0), "deconvnet"),
    (lambda f, R: (f > 0) * R.abs(), "not turned round"), (lambda f, R: ..., "○ not tried yet"),
]
FGSM = [
    (lambda x, g, e: (x + e * g.sign()).clamp(0, 1), "✓ right"), (lambda x, g, e: x + e * g.sign(), "left [0, 1]"),
    (lambda x, g, e: (x - e * g.sign()).clamp(0, 1), "lowers the loss"),
    (lambda x, g, e: (x + e * g).clamp(0, 1), "the sign of the gradient"),
    (lambda x, g, e: ..., "○ not tried yet"),
]
VARIATION = [
    (lambda x: x.diff(dim=3).square().sum((1, 2, 3)) + x.diff(dim=2).square().sum((1, 2, 3)), "✓ right"),
    (lambda x: x.diff(dim=3).abs().sum((1, 2, 3)) + x.diff(dim=2).abs().sum((1, 2, 3)), "beta = 1"),
    (lambda x: x.diff(dim=3).square().sum((1, 2, 3)), "pixel below"), (lambda x: x.diff(dim=2).square().sum((1, 2, 3)), "on the right"),
    (lambda x: x.diff(dim=3).square().sum() + x.diff(dim=2).square().sum(), "shape"), (lambda x: ..., "○ not tried yet"),
]


@pytest.mark.parametrize("mine, says", IOU)
def test_iou(mine, says, capsys):
    g = torch.Generator().manual_seed(0)
    check.iou(mine, torch.rand(4, 9, 9, generator=g) > 0.6, torch.rand(4, 9, 9, generator=g) > 0.4)
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("mine, says", GUIDED)
def test_guided_relu(mine, says, capsys):
    check.guided_relu(mine, torch.tensor([[1.0, -1, 5], [2, -5, -7]]), torch.tensor([[-2.0, 3, 1], [6, -3, 1]]))
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("mine, says", FGSM)
def test_fgsm(mine, says, capsys):
    g = torch.Generator().manual_seed(0)
    check.fgsm(mine, torch.randn(2, 3, 8, 8, generator=g), torch.rand(2, 3, 8, 8, generator=g), 0.1)
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("mine, says", VARIATION)
def test_variation(mine, says, images, capsys):
    check.variation(mine, images)
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("pool, says", [
    (lambda a: a.mean((1, 2)), "✓ right"), (lambda a: a.amax((1, 2)), "the strongest place"), (lambda a: a.sum((1, 2)), "does not grow"),
    (lambda a: a.mean(), "shape"), (lambda a: ..., "○ not tried yet"),
])
def test_channel_score(pool, says, random_net, images, capsys):
    a = activations(random_net, images, "conv3")["conv3"][:, 5]
    check.channel_score(lambda x: pool(a), random_net, "conv3", 5, images)
    assert says in capsys.readouterr().out


def channel(a, k, value=None):
    g = torch.zeros_like(a)
    g[:, k] = a[:, k] if value is None else value
    return g


@pytest.mark.parametrize("mine, says", [
    (lambda a: channel(a, 7), "✓ right"), (lambda a: a, "lets all channels dream"), (lambda a: channel(a, 7, 1), "the channel's sum"),
    (lambda a: 2 * channel(a, 7), "half of it"), (lambda a: channel(a, 6), "count from 0"), (lambda a: ..., "○ not tried yet"),
    (lambda a: a[:, 7], "the shape is"), (lambda a: -a, "not yet"),
])
def test_dream_gradient(mine, says, capsys):
    check.dream_gradient(mine, torch.rand(1, 9, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert says in capsys.readouterr().out


def mixed_up(f):
    return f.permute(0, 2, 3, 1).reshape(len(f), f.shape[1], -1)


@pytest.mark.parametrize("mine, says", [
    (lambda f: torch.einsum("bchw,bdhw->bcd", f, f) / f[0, 0].numel(), "✓ right"),
    (lambda f: torch.einsum("bchw,bdhw->bcd", f, f), "the sum over the places"),
    (lambda f: torch.einsum("bchw,bdhw->bcd", f, f) / f[0].numel(), "by the channels too"),
    (lambda f: torch.einsum("bcm,bcn->bmn", f.flatten(2), f.flatten(2)) / f[0, 0].numel(), "compares places|the shape is"),
    (lambda f: mixed_up(f) @ mixed_up(f).transpose(1, 2) / f[0, 0].numel(), "mixed channels and places"),
    (lambda f: torch.stack([x.flatten(1).cov(correction=0) for x in f]), "covariance"),
    (lambda f: ..., "○ not tried yet"),
])
def test_gram(mine, says, capsys):
    for shape in ((2, 4, 2, 3), (1, 6, 2, 3)):      # the second has as many channels as places
        check.gram(mine, torch.rand(shape, generator=torch.Generator().manual_seed(0)))
    assert re.search(says, capsys.readouterr().out)


LUMA = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)


@pytest.mark.parametrize("mine, says", [
    (lambda c, p: c + (LUMA * (p - c)).sum(1, keepdim=True), "✓ right"),
    (lambda c, p: (c + (LUMA * (p - c)).sum(1, keepdim=True)).clamp(0, 1), "right, and clamped"),
    (lambda c, p: c + (p - c).mean(1, keepdim=True), "green counts most"),
    (lambda c, p: p + (LUMA * (c - p)).sum(1, keepdim=True), "the colours of the painting"),
    (lambda c, p: (LUMA * p).sum(1, keepdim=True).expand_as(c), "the painting in grey"),
    (lambda c, p: ..., "○ not tried yet"), (lambda c, p: c, "not yet"),
])
def test_keep_colours(mine, says, capsys):
    g = torch.Generator().manual_seed(0)
    check.keep_colours(mine, torch.rand(1, 3, 5, 6, generator=g), torch.rand(1, 3, 5, 6, generator=g))
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("mine, says", [
    (F.instance_norm, "✓ right"), (lambda x: F.batch_norm(x, None, None, training=True), "batch norm"),
    (lambda x: F.layer_norm(x, x.shape[1:]), "layer norm"), (lambda x: x - x.mean((2, 3), keepdim=True), "the variance is still"),
    (lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, correction=0) + 1e-5), "the root of the variance"),
    (lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt(), "correction=0"),
    (lambda x: ..., "○ not tried yet"),
])
def test_instance_norm(mine, says, capsys):
    check.instance_norm(mine, torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0)))
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("mine, says", [
    (lambda t, s, w: torch.einsum("nchw,hw->n", (s - t) ** 2, w) / w.sum(), "✓ right"),
    (lambda t, s, w: ((s - t) ** 2 * w).sum((1, 2, 3)), "few known pixels"),
    (lambda t, s, w: ((s - t) ** 2).sum((1, 2, 3)) / w.sum(), "missing"),
    (lambda t, s, w: ((s - t).abs() * w).sum((1, 2, 3)) / w.sum(), "square"),
    (lambda t, s, w: ((s - t) ** 2 * w).mean((1, 2, 3)), "a mean"),
    (lambda t, s, w: (((s - t) ** 2 * w).sum((1, 2, 3)) / w.sum()).sqrt(), "the root"), (lambda t, s, w: ..., "○ not tried yet"),
    (lambda t, s, w: ((s - t) ** 2 * w).sum((1, 2, 3)) / (3 * w.sum()), "divided by 3"),
])
def test_window_distance(mine, says, capsys):
    check.window_distance(mine)
    assert says in capsys.readouterr().out


class Head:
    """Names a picture by its corner, or by its first pixel."""

    def __init__(self, by_tag):
        self.by_tag = by_tag

    def accuracy(self, x, labels):
        said = x[:, 0, -1, -1] if self.by_tag else x[:, 0, 0, 0]
        return (said == labels).float().mean().item()


@pytest.mark.parametrize("answer, says", [("B", "✓ right: without the tag B loses 75 points, A 0"), ("A", "✗ that one is honest"),
                                          ("C", "no suspect"), (..., "○ not tried yet"), (None, "○ not tried yet")])
def test_cheat(answer, says, capsys):
    plain, labels = torch.zeros(4, 3, 2, 2), torch.arange(4)
    plain[:, :, 0, 0] = labels[:, None]
    tagged = plain.clone()
    tagged[:, :, -1, -1] = labels[:, None]
    check.cheat(answer, {"A": Head(False), "B": Head(True)}, tagged, plain, labels)
    assert says in capsys.readouterr().out
