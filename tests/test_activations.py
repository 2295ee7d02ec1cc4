"""Activations equal running the layers by hand, and leave nothing behind."""

import pytest
import torch
from torch import nn

from helpers.activations import activations, find_layer, layer_names


def test_equal_to_running_the_layers_by_hand(random_net, images):
    x = images
    by_hand = {}
    for name, module in random_net.named_children():
        x = by_hand[name] = module(x)
    found = activations(random_net, images, ["fc7", "conv1", "pool2", "fc7"])
    assert list(found) == ["fc7", "conv1", "pool2"]
    assert all(torch.equal(found[name], by_hand[name]) for name in found)
    assert torch.equal(activations(random_net, images, "conv1"), by_hand["conv1"])


def test_no_layer_after_the_last_runs(random_net, images):
    ran = []
    with random_net.conv3.register_forward_hook(lambda *_: ran.append("conv3")):
        activations(random_net, images, ["conv1", "conv2"])
        assert not ran
        activations(random_net, images, "relu3")
        assert ran == ["conv3"]


def test_differentiable(random_net, images):
    x = images.requires_grad_()
    gradient, = torch.autograd.grad(activations(random_net, x, "conv2").sum(), x)
    assert gradient.abs().sum() > 0


def test_an_in_place_layer_does_not_overwrite():
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True)).requires_grad_(False)
    net[0].weight.fill_(-1)
    x = torch.rand(1, 3, 4, 4)
    assert torch.equal(activations(net, x, ["0", "1"])["0"], net[0](x))


def test_nothing_is_left_behind(random_net, images, unchanged):
    with unchanged(random_net, images):
        activations(random_net, images, ["conv1", "fc8"])
        with pytest.raises(KeyError, match="conv4"):
            activations(random_net, images, ["conv1", "convv4"])
        with pytest.raises(ValueError, match="expects"):
            activations(random_net, images[0], "conv1")


def test_training_mode_is_refused():
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    with pytest.raises(ValueError, match="eval"):
        activations(net, torch.rand(1, 3, 4, 4), "0")


def test_a_layer_of_tokens_is_refused():
    net = nn.Sequential(nn.Flatten(2), nn.Linear(16, 4)).eval()       # (b, c, d)
    with pytest.raises(ValueError, match="expected"):
        activations(net, torch.rand(1, 3, 4, 4), "1")


def test_names(random_net):
    assert layer_names(random_net)[:3] == ["conv1", "relu1", "conv2"]
    assert not {"normalize", "flatten"} & set(layer_names(random_net))
    assert find_layer(random_net, "fc6") is random_net.fc6
