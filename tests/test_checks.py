import pytest
import torch

import helpers.checks as check
from helpers.activations import activations
from helpers.attribution import input_gradient
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
