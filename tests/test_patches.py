import copy
import weakref
from collections import OrderedDict

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
    with pytest.raises(ValueError, match="the number of images"):
        top_patches(random_net, images, "conv1", k)


def test_nothing_is_changed(random_net, images, unchanged):
    with unchanged(random_net, images):
        top_patches(random_net, images, "conv2", 2)
        receptive_field(random_net, "conv2")
        with pytest.raises(KeyError):
            top_patches(random_net, images, "conv9")
        with pytest.raises(ValueError):
            top_patches(random_net, images, "conv2", 9)


def thin(net, x):
    """The positive copy with two channels a layer and no fully connected part: the same windows, at a fraction of the cost."""
    copies = {}
    for name, child in net.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d):
            break
        copies[name] = child if isinstance(child, nn.Conv2d) else copy.deepcopy(child)
    net = nn.Sequential(OrderedDict(copies))
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d):
                setattr(module, name, nn.LazyConv2d(2, child.kernel_size, child.stride, child.padding, child.dilation))
            elif isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode))
    net.double()(x)                          # now the lazy ones know their inputs
    net.eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.uniform_(0.5, 1, generator=generator).div_(module.weight[0].numel())
            module.bias.fill_(0)
    return net


def moved(net, layer, x, spots, i, j):
    """Whether unit (i, j) changes, for every pixel (row, column) of `spots` alone."""
    y = x.repeat(len(spots) + 1, 1, 1, 1)
    for n, (row, column) in enumerate(spots):
        y[n, :, row, column] += 1000
    a = activations(net, y, layer)[layer][:, :, i, j]
    return (a[:-1] != a[-1]).any(1).tolist()


def around(box, side):
    """Pixels just inside a box (its edges and its corners), and those just outside it that the image has."""
    top, left, bottom, right = box
    middle, centre = (top + bottom) // 2, (left + right) // 2
    inside = [(row, column) for row in (top, middle, bottom - 1) for column in (left, centre, right - 1)]
    outside = [(top - 1, centre), (bottom, centre), (middle, left - 1), (middle, right), (top - 1, left - 1), (bottom, right)]
    return inside, [spot for spot in outside if min(spot) >= 0 and max(spot) < side]


LAYERS = {
    "coursenet": ["conv1", "relu2", "pool2", "conv3", "conv5", "pool5"],
    "alexnet": ["conv1", "pool1", "conv2", "pool2", "conv5", "pool5"],
    "vgg11": ["conv1_1", "pool1", "conv2_1", "conv3_2", "pool3", "conv4_2", "conv5_2"],
    "squeezenet1_1": ["conv1", "pool1", "fire2.squeeze", "fire2.squeeze_activation", "fire2.expand1x1", "fire2.expand3x3", "fire3",
                      "fire3.expand1x1", "pool3", "fire5.expand3x3_activation", "fire9.squeeze", "fire9", "conv10"],
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("place", ["inner", "first", "last"])
def test_boxes_are_exact_to_the_pixel_in_deep_layers_and_at_both_ends(nets, name, place):
    copied = thin(nets[name], torch.rand(1, 3, 64, 64).double())
    for layer in LAYERS[name]:
        f = receptive_field(nets[name], layer)
        side = 128 if name in ("coursenet", "vgg11") else 127          # at these no layer leaves a row over
        unit = -(f.offset // f.stride) + 1                             # the first that is clear of the border
        if place == "inner":
            side = f.box(unit, unit)[2] + f.stride + 33
        x = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1)).double()
        unit = {"inner": unit, "first": 0, "last": activations(copied, x, layer)[layer].shape[2] - 1}[place]
        box = f.box(unit, unit, side)
        assert place != "inner" or box == f.box(unit, unit)
        inside, outside = around(box, side)
        assert place != "inner" or len(outside) == 6
        assert moved(copied, layer, x, inside + outside, unit, unit) == [True] * len(inside) + [False] * len(outside), layer


def test_rows_and_columns_are_not_exchanged(random_net):
    f, copied = receptive_field(random_net, "conv3"), thin(random_net, torch.rand(1, 3, 64, 64).double())
    x = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)).double()
    top, left, bottom, right = f.box(5, 18, (64, 96))
    assert (top, left, bottom, right) == (9, 61, 32, 84)
    inside = [(top, left), (bottom - 1, right - 1)]
    assert moved(copied, "conv3", x, [*inside, (top - 1, left), (top, left - 1), (bottom, right - 1), (bottom - 1, right)], 5, 18) == \
        [True, True, False, False, False, False]


def test_a_module_that_is_used_twice_counts_twice():
    pool = nn.MaxPool2d(2)
    net = nn.Sequential(nn.Conv2d(3, 1, 3), pool, nn.Conv2d(1, 1, 3), pool, nn.Conv2d(1, 1, 3))
    assert field(receptive_field(net, "4")) == (18, 4, 0)


@pytest.mark.parametrize("modules, expected", [
    ([nn.Conv2d(3, 1, 1)], (1, 1, 0)),
    ([nn.Conv2d(3, 1, 5, 3, 2)], (5, 3, -2)),
    ([nn.Conv2d(3, 1, 3, dilation=4, padding=4)], (9, 1, -4)),
    ([nn.MaxPool2d(3)], (3, 3, 0)),
    ([nn.MaxPool2d(3, 2, 1, dilation=2)], (5, 2, -1)),
    ([nn.AvgPool2d(2), nn.AvgPool2d(2), nn.AvgPool2d(2)], (8, 8, 0)),
    ([nn.Conv2d(3, 1, 7, 2, 3), nn.BatchNorm2d(1), nn.ReLU(), nn.Dropout(), nn.Identity(), nn.MaxPool2d(3, 2, 1)], (11, 4, -5)),
])
def test_more_by_hand(modules, expected):
    assert field(receptive_field(nn.Sequential(*modules), str(len(modules) - 1))) == expected


@pytest.mark.parametrize("layer, says", [
    ("conv6", "Did you mean 'conv"), ("", "There is no layer ''"), ("conv1.weight", "There is no layer"), ("fc66", "Did you mean 'fc6'")])
def test_unknown_layers(random_net, layer, says):
    with pytest.raises(KeyError, match=says):
        receptive_field(random_net, layer)


def test_layers_beyond_the_last_window_are_refused_elsewhere_too(nets):
    for name, layer in [("alexnet", "fc7"), ("vgg11", "avgpool"), ("squeezenet1_1", "avgpool")]:
        with pytest.raises(ValueError, match="AdaptiveAvgPool2d .* Try the last convolution"):
            receptive_field(nets[name], layer)
    with pytest.raises(KeyError, match="Did you mean 'fire2'"):
        receptive_field(nets["squeezenet1_1"], "fire2.squeez")


@pytest.mark.parametrize("module", [nn.Conv2d(3, 1, 3, (1, 2)), nn.Conv2d(3, 1, 3, dilation=(1, 2)), nn.MaxPool2d((2, 3)),
                                    nn.AvgPool2d(3, 2, (1, 0)), nn.Conv2d(3, 1, 3, padding="valid")])
def test_windows_that_are_not_square(module):
    with pytest.raises(ValueError, match="expected a square window, with its padding as a number"):
        receptive_field(nn.Sequential(module, nn.ReLU()), "1")


@pytest.mark.parametrize("image", [0, -3, (64, 0), 6.5, (64, 64, 3)])
def test_a_box_in_no_image(image):
    with pytest.raises(ValueError, match="expected whole pixels"):
        ReceptiveField(7, 2, -3).box(0, 0, image)


@pytest.fixture(scope="module")
def whole():
    """A network and images of whole numbers: exact in any order of summing, and full of ties."""
    generator = torch.Generator().manual_seed(4)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3)).eval().requires_grad_(False)
    for module in (net[0], net[3]):
        module.weight.copy_(torch.randint(-1, 2, module.weight.shape, generator=generator))
        module.bias.fill_(0)
    net[0].weight[0] = -1                    # one that never fires
    x = torch.randint(0, 2, (13, 3, 10, 14), generator=generator).float()
    x = x[[0, 1, 2, 3, 4, 0, 6, 7, 8, 3, 10, 11, 0]]                                     # two that come again
    return net, x


@pytest.mark.parametrize("batch", [1, 2, 5, 12, 13, 32])
@pytest.mark.parametrize("k", [1, 4, 13])
@pytest.mark.parametrize("layer", ["0", "1", "2", "3"])
def test_everything_equals_a_brute_force_with_ties(whole, layer, k, batch):
    net, x = whole
    a, f, found = net[:int(layer) + 1](x), receptive_field(net, layer), top_patches(net, x, layer, k, batch=batch)
    assert found.values.shape == found.indices.shape == (a.shape[1], k) and found.boxes.shape == (a.shape[1], k, 4)
    for channel in range(a.shape[1]):
        peaks = [float(b[channel].max()) for b in a]
        order = sorted(range(len(x)), key=lambda n: (-peaks[n], n))[:k]                  # of equals the first
        assert found.indices[channel].tolist() == order
        assert found.values[channel].tolist() == [peaks[n] for n in order]
        places = [(a[n, channel] == peaks[n]).nonzero()[0].tolist() for n in order]
        assert [tuple(box) for box in found.boxes[channel].tolist()] == [f.box(i, j, (10, 14)) for i, j in places]


def test_a_channel_that_never_fires_gives_zeros_of_the_first_images(whole):
    net, x = whole
    found = top_patches(net, x, "1", 3, batch=2)
    assert found.values[0].tolist() == [0, 0, 0] and found.indices[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("layer", ["relu2", "conv5", "fc7"])
@pytest.mark.parametrize("batch", [1, 7])
def test_values_are_sorted_and_those_of_a_brute_force_at_any_batch_size(random_net, many, layer, batch):
    a = activations(random_net, many, layer)[layer]
    peaks = a.flatten(2).amax(2).T if a.ndim == 4 else a.T
    found = top_patches(random_net, many, layer, 6, batch=batch)
    assert (found.values.diff(dim=1) <= 0).all()
    assert all(len(set(row)) == 6 for row in found.indices.tolist())                     # an image counts once
    assert torch.allclose(found.values, peaks.sort(dim=1, descending=True).values[:, :6], atol=1e-5)
    assert torch.allclose(found.values, peaks.gather(1, found.indices), atol=1e-5)


@pytest.mark.parametrize("layer", ["0", "2", "3"])
def test_the_unit_keeps_its_value_whatever_lies_outside_its_field(whole, layer):
    net, x = whole
    found, f, shape = top_patches(net, x, layer, 3), receptive_field(net, layer), x.shape[2:]
    a = activations(net, x, layer)[layer]
    for channel in range(a.shape[1]):
        for value, index, box in zip(found.values[channel], found.indices[channel], found.boxes[channel].tolist(), strict=True):
            i, j = divmod(int(a[index, channel].argmax()), a.shape[3])
            top, left, bottom, right = (max(v, 0) for v in f.box(i, j))                  # slices end with the image by themselves
            other = 7 - x[index]
            other[:, top:bottom, left:right] = x[index][:, top:bottom, left:right]
            assert activations(net, other[None], layer)[layer][0, channel, i, j] == value
            assert box == [top, left, min(bottom, shape[0]), min(right, shape[1])]


def test_batches_may_differ_in_size_and_shape(whole):
    net, x = whole
    found = top_patches(net, [x[:2], x[2:3, :, :8, :9], x[3:]], "0", 13)
    for channel in range(6):
        slot = found.indices[channel].tolist().index(2)
        top, left, bottom, right = found.boxes[channel, slot].tolist()
        assert 0 <= top < bottom <= 8 and 0 <= left < right <= 9


def test_what_is_kept_does_not_grow(whole):
    net, x = whole
    few, lots = (top_patches(net, (x[:4] for _ in range(n)), "3", 3) for n in (3, 60))
    for name in ("values", "indices", "boxes"):
        assert getattr(few, name).untyped_storage().nbytes() == getattr(lots, name).untyped_storage().nbytes()


def test_one_pass_is_enough(whole):
    net, x = whole

    class Once:
        passes = 0

        def __iter__(self):
            self.passes += 1
            return iter(x.split(4))
    source = Once()
    found = top_patches(net, source, "2", 2)
    assert source.passes == 1 and torch.equal(found.indices, top_patches(net, x, "2", 2).indices)


@pytest.mark.parametrize("k", [-1, 0, 14])
def test_k_out_of_range(whole, k):
    with pytest.raises(ValueError, match=f"Got k={k}; expected 1 to 13"):
        top_patches(*whole, "2", k, batch=5)


@pytest.mark.parametrize("nothing", [(x for x in ()), [], torch.empty(0, 3, 64, 64)])
def test_no_images(random_net, nothing):
    with pytest.raises(ValueError, match="Got k=2; expected 1 to 0"):
        top_patches(random_net, nothing, "conv2", 2)


def test_layers_without_patches(random_net, images):
    with pytest.raises(ValueError, match="Try the last convolution"):
        top_patches(random_net, images, "avgpool", 1)
    with pytest.raises(KeyError, match="Did you mean 'conv"):
        top_patches(random_net, images, "conv22", 1)
    with pytest.raises(ValueError, match=r"x\[None\]"):
        top_patches(random_net, images[0], "conv2", 1)


def test_nothing_is_changed_by_a_stream_that_breaks(random_net, images, unchanged):
    def breaks():
        yield images
        raise ZeroDivisionError

    x = images.clone().requires_grad_()
    with unchanged(random_net, images, x):
        for source, error in [(breaks(), ZeroDivisionError), ([images, images[:, :2]], ValueError), ([images, None], TypeError)]:
            with pytest.raises(error):
                top_patches(random_net, source, "conv2", 1)
        assert torch.is_grad_enabled()
        assert not top_patches(random_net, x, "conv2", 1).values.requires_grad
    with torch.inference_mode():
        assert top_patches(random_net, images, "conv2", 1).indices.shape == (64, 1)
