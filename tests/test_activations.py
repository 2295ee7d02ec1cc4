import threading

import pytest
import torch
from torch import nn

from helpers.activations import activations, layers
from helpers.attribution import grad_cam


def test_equal_to_running_the_layers_by_hand(random_net, images):
    x, by_hand = images, {}
    for name, module in random_net.named_children():
        x = by_hand[name] = module(x)
    got = activations(random_net, images, ["conv1", "pool2", "fc7", "fc8"])
    assert list(got) == ["conv1", "pool2", "fc7", "fc8"]
    assert all(torch.equal(got[name], by_hand[name]) for name in got)


def test_one_name_and_repeated_names(random_net, images):
    assert list(activations(random_net, images, "relu3")) == ["relu3"]
    assert list(activations(random_net, images, ["relu3", "conv1", "relu3"])) == ["relu3", "conv1"]


def test_stops_after_the_last_layer_asked_for(random_net, images):
    ran = []
    hook = random_net.conv3.register_forward_hook(lambda *_: ran.append("conv3"))
    try:
        activations(random_net, images, ["conv1", "conv2"])
        assert ran == []
        activations(random_net, images, ["relu3"])
        assert ran == ["conv3"]
    finally:
        hook.remove()


def test_differentiable(random_net, images):
    x = images.requires_grad_()
    gradient, = torch.autograd.grad(activations(random_net, x, "conv2")["conv2"].sum(), x)
    assert gradient.abs().sum() > 0


def test_an_in_place_layer_does_not_overwrite():
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(inplace=True)).requires_grad_(False)
    nn.init.constant_(net[0].weight, -1), nn.init.zeros_(net[0].bias)      # so that all is below 0, whatever x
    x = torch.rand(1, 3, 4, 4)
    assert torch.equal(activations(net, x, ["0", "1"])["0"], net[0](x))
    assert net[0](x).min() < 0


def test_batch_equals_loop(random_net, images):
    batch = activations(random_net, images, "conv5")["conv5"]
    loop = torch.cat([activations(random_net, x[None], "conv5")["conv5"] for x in images])
    assert torch.allclose(batch, loop, atol=1e-6)


def test_unknown_layer_names_the_close_ones(random_net, images):
    with pytest.raises(KeyError, match="no layer 'convv4'. Did you mean 'conv4'"):
        activations(random_net, images, "convv4")


def test_nothing_changes(random_net, images, unchanged):
    with unchanged(random_net, images):
        activations(random_net, images, ["conv1", "fc8"])


def test_nothing_changes_when_the_network_raises(random_net, unchanged):
    wrong = torch.rand(1, 1, 64, 64)
    with unchanged(random_net, wrong), pytest.raises(ValueError, match=r"shape \(1, 1, 64, 64\)"):
        activations(random_net, wrong, ["conv1", "fc8"])


def test_layers_leave_out_what_is_no_layer(random_net):
    assert list(layers(random_net))[:3] == ["conv1", "relu1", "conv2"]
    assert not {"normalize", "flatten"} & set(layers(random_net))


class Elsewhere(nn.Module):
    """Passes its input on, and meanwhile lets another thread use the network."""

    def __init__(self):
        super().__init__()
        self.meanwhile = None

    def forward(self, x):
        if self.meanwhile and threading.current_thread() is threading.main_thread():
            other = threading.Thread(target=self.meanwhile)
            other.start(), other.join()
        return x


def test_another_thread_may_use_the_network_meanwhile():
    pause = Elsewhere()
    net = nn.Sequential(pause, nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    x, other = torch.rand(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    wanted, seen = net(x), []
    pause.meanwhile = lambda: seen.append(net(other))       # without care it would be kept in place of x's, or stopped short
    assert torch.equal(activations(net, x, "2")["2"], wanted) and torch.equal(seen[0], net(other))
    cam = grad_cam(net, x, "1", lambda y: y.sum((1, 2, 3)))
    pause.meanwhile = None
    assert torch.equal(cam, grad_cam(net, x, "1", lambda y: y.sum((1, 2, 3))))


def test_a_layer_that_passes_on_the_picture_gives_a_copy():
    net, x = nn.Sequential(nn.Dropout(), nn.Conv2d(3, 4, 3)).eval(), torch.rand(1, 3, 8, 8)
    found = activations(net, x, "0")["0"]
    assert torch.equal(found, x) and found.data_ptr() != x.data_ptr()


def test_the_last_layer_asked_for_is_not_copied(random_net, images):
    made = {}
    hooks = [random_net.get_submodule(name).register_forward_hook(lambda m, i, y, name=name: made.update({name: y}))
             for name in ("conv1", "conv2")]
    found = activations(random_net, images, ["conv1", "conv2"])
    [hook.remove() for hook in hooks]
    assert found["conv2"] is made["conv2"] and found["conv1"] is not made["conv1"]


def test_a_network_that_is_training_is_refused(images):
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Dropout()).train()
    with pytest.raises(ValueError, match="Got a network in training mode, with batch norm or dropout; expected eval mode"):
        activations(net, images, "0")
    assert activations(net.eval(), images, "0")["0"].shape == (3, 2, 62, 62)
