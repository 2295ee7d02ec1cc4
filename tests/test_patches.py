import copy
import weakref

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from helpers.activations import activations
from helpers.nets import load_net
from helpers.patches import ReceptiveField, receptive_field, top_patches


def field(f):
    return f.size, f.stride, f.offset


def test_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, dilation=2))
    assert [field(receptive_field(net, str(k))) for k in range(4)] == [(3, 1, -1), (3, 1, -1), (4, 2, -1), (12, 2, -1)]


@pytest.mark.parametrize(
    "layer, expected",
    [("conv1", (7, 2, -3)), ("conv2", (11, 2, -5)), ("pool2", (15, 4, -7)), ("conv3", (23, 4, -11)), ("relu4", (31, 4, -15)),
     ("conv5", (39, 4, -19))],
)
def test_coursenet(random_net, layer, expected):
    assert field(receptive_field(random_net, layer)) == expected


def test_a_box_reaches_over_the_border_unless_the_image_is_given():
    f = ReceptiveField(7, 2, -3)
    assert f.box(0, 1) == (-3, -1, 4, 6)
    assert f.box(0, 1, 64) == (0, 0, 4, 6)
    assert f.box(31, 2, (64, 8)) == (59, 1, 64, 8)


NETS = [("coursenet", layer) for layer in ("conv1", "pool2", "conv4", "conv5")]
NETS += [("alexnet", "conv1"), ("alexnet", "pool2"), ("alexnet", "conv5"), ("vgg11", "conv2_1")]
NETS += [("squeezenet1_1", "conv1"), ("squeezenet1_1", "fire2"), ("squeezenet1_1", "fire3.squeeze"), ("squeezenet1_1", "fire5.expand1x1")]


@pytest.fixture(scope="module")
def nets(random_net):
    return {"coursenet": random_net} | {name: load_net(name, weights=None) for name in ("alexnet", "vgg11", "squeezenet1_1")}


def positive(net):
    """A copy in which every pixel that a unit can see moves it: positive weights, and means in place of maxima."""
    net = copy.deepcopy(net).double()
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d):
                child.weight.data.uniform_(0.5, 1, generator=torch.Generator().manual_seed(0)).div_(child.weight[0].numel())
                child.bias.data.fill_(10)       # away from ReLU's kink
            elif isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode))
    return net


@pytest.mark.parametrize("place", ["middle", "corner"])
@pytest.mark.parametrize("name, layer", NETS)
def test_a_pixel_just_inside_changes_the_unit_and_one_just_outside_does_not(nets, name, layer, place):
    net, real, side = positive(nets[name]), copy.deepcopy(nets[name]).double(), 80
    x = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    a, b = activations(net, x, layer)[layer], activations(real, x, layer)[layer]
    i = j = a.shape[2] // 2 if place == "middle" else 0
    top, left, bottom, right = receptive_field(nets[name], layer).box(i, j)
    middle = (max(top, 0) + min(bottom, side)) // 2
    for row, column, inside in [(top, middle, True), (bottom - 1, middle, True), (middle, left, True), (middle, right - 1, True),
                                (top - 1, middle, False), (bottom, middle, False), (middle, left - 1, False), (middle, right, False)]:
        if not (0 <= row < side and 0 <= column < side):
            continue
        y = x.clone()
        y[:, :, row, column] = 1 - y[:, :, row, column]
        assert bool((activations(net, y, layer)[layer][0, :, i, j] != a[0, :, i, j]).any()) == inside, (row, column)
        assert inside or torch.equal(activations(real, y, layer)[layer][0, :, i, j], b[0, :, i, j])


@pytest.mark.parametrize("layer", ["avgpool", "fc6", "fc8"])
def test_layers_that_see_everything_are_refused(random_net, layer):
    with pytest.raises(ValueError, match="Try the last convolution"):
        receptive_field(random_net, layer)


def test_other_networks_and_layers_are_refused(random_net):
    with pytest.raises(ValueError, match="not in a row"):
        receptive_field(load_net("resnet18", weights=None), "layer1")
    with pytest.raises(KeyError, match="conv5"):
        receptive_field(random_net, "conv55")
    for module in (nn.Conv2d(3, 1, (3, 5)), nn.Conv2d(3, 1, 3, padding="same"), nn.Conv2d(3, 1, 3, padding=(0, 1))):
        with pytest.raises(ValueError, match="square window"):
            receptive_field(nn.Sequential(module), "0")


@pytest.fixture(scope="module")
def many():
    some = torch.rand(11, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    return torch.cat([some, some[:4]])      # four come twice: ties


def brute_force(net, images, layer, k):
    a = activations(net, images, layer)[layer]
    values, indices = a.flatten(2).amax(2).T.sort(dim=1, descending=True, stable=True) if a.ndim == 4 else a.T.sort(
        dim=1, descending=True, stable=True)
    return values[:, :k], indices[:, :k]


@pytest.mark.parametrize("layer, k", [("conv3", 1), ("relu5", 5), ("conv1", 15), ("fc7", 3)])
def test_patches_are_those_of_a_brute_force(random_net, many, layer, k):
    values, indices = brute_force(random_net, many, layer, k)
    found = top_patches(random_net, many, layer, k, batch=15)
    assert torch.equal(found.values, values) and torch.equal(found.indices, indices)


@pytest.mark.parametrize("give", [
    lambda x: x.split(4),
    lambda x: (part for part in x.split(4)),
    lambda x: DataLoader(x, batch_size=4),
    lambda x: DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(len(x))), batch_size=4),
])
def test_any_way_to_give_images(random_net, many, give):
    found, expected = top_patches(random_net, give(many), "conv4", 3), top_patches(random_net, many, "conv4", 3, batch=4)
    assert torch.equal(found.values, expected.values) and torch.equal(found.indices, expected.indices)
    assert torch.equal(found.boxes, expected.boxes)


def test_what_lies_outside_the_box_does_not_matter(random_net, many):
    found = top_patches(random_net, many, "conv3", 2)
    for channel in (0, 50, 127):
        image = many[found.indices[channel, 0]][None]
        top, left, bottom, right = found.boxes[channel, 0].tolist()
        other = 1 - image
        other[..., top:bottom, left:right] = image[..., top:bottom, left:right]
        a = activations(random_net, other, "conv3")["conv3"][0, channel]
        assert (a - found.values[channel, 0]).abs().min() < 1e-5


def test_boxes_by_brute_force(random_net, many):
    found, f = top_patches(random_net, many, "conv5", 2), receptive_field(random_net, "conv5")
    a = activations(random_net, many, "conv5")["conv5"]
    for channel in (0, 7, 100):
        for index, box in zip(found.indices[channel], found.boxes[channel], strict=True):
            i, j = divmod(int(a[index, channel].argmax()), a.shape[3])
            assert tuple(box.tolist()) == f.box(i, j, 64)


def test_a_fully_connected_unit_sees_the_whole_image(random_net, many):
    assert (top_patches(random_net, many, "fc8", 2).boxes == torch.tensor([0, 0, 64, 64])).all()


def test_batches_are_read_once_and_not_kept(random_net):
    alive = []

    def stream():
        for seed in range(6):
            x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
            alive.append(weakref.ref(x))
            yield x
            del x
            assert sum(ref() is not None for ref in alive) <= 1

    top_patches(random_net, stream(), "relu2", 3)
    assert len(alive) == 6


@pytest.mark.parametrize("images, k", [(torch.rand(3, 3, 64, 64), 4), (torch.rand(3, 3, 64, 64), 0), ([], 1)])
def test_patches_refuse(random_net, images, k):
    with pytest.raises(ValueError, match="expected 1 to as many as there are"):
        top_patches(random_net, images, "conv1", k)


def test_nothing_is_changed(random_net, images, unchanged):
    with unchanged(random_net, images):
        top_patches(random_net, images, "conv2", 2)
        receptive_field(random_net, "conv2")
        with pytest.raises(KeyError):
            top_patches(random_net, images, "conv9")
        with pytest.raises(ValueError):
            top_patches(random_net, images, "conv2", 9)
