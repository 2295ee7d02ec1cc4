import copy
import weakref

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from helpers.activations import activations
from helpers.attribution import input_gradient, relu_backward
from helpers.images import pair
from helpers.nets import load_net
from helpers.patches import ReceptiveField, receptive_field, shrunk, top_patches, unit_gradient


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


@pytest.fixture(scope="module")
def nets(random_net):
    others = ("alexnet", "vgg11", "squeezenet1_1", "resnet18", "googlenet", "efficientnet-lite0")
    return {"coursenet": random_net} | {name: load_net(name, weights=None) for name in others}


@pytest.fixture(scope="module")
def many():
    some = torch.rand(11, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    return torch.cat([some, some[:4]])      # four come twice: ties


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


def test_nothing_is_changed(random_net, images, unchanged):
    with unchanged(random_net, images):
        top_patches(random_net, images, "conv2", 2)
        receptive_field(random_net, "conv2")
        with pytest.raises(KeyError):
            top_patches(random_net, images, "conv9")
        with pytest.raises(ValueError):
            top_patches(random_net, images, "conv2", 9)


def bare(net):
    """A copy in which every pixel that a unit can see moves it: one channel, positive weights, no bias. From nothing comes nothing."""
    net = copy.deepcopy(net).double()
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
            elif isinstance(child, nn.Conv2d):
                child.weight, child.bias, child.groups = nn.Parameter(torch.ones(1, 1, *child.kernel_size).double(), False), None, 1
                child.register_forward_pre_hook(lambda _, inputs: (inputs[0].sum(1, keepdim=True),))
    return net


def moved(net, layer, side, spots, i, j):
    """Whether unit (i, j) is moved, for every pixel (row, column) of `spots` alone."""
    h, w = pair(side)
    x = net.normalize.mean.double().expand(len(spots), 3, h, w).clone()         # normalised, it is nothing
    for n, (row, column) in enumerate(spots):
        x[n, :, row, column] += 1000
    return (activations(net, x, layer)[layer][:, :, i, j] != 0).any(1).tolist()


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
    "resnet18": ["conv1", "maxpool", "layer1.0.conv1", "layer1.0.relu", "layer1.0", "layer1", "layer2.0.downsample", "layer2.0",
                 "layer3.0.conv2", "layer4"],
    "efficientnet-lite0": ["stem", "block1", "block2", "block3", "block4.depthwise", "block5", "block6.depthwise", "block9", "block12",
                           "block16", "head"],
    "googlenet": ["conv3", "maxpool2", "inception3a.branch3", "inception3a", "inception4a", "inception5b"],
}
MINIMUM = {"alexnet": 127, "squeezenet1_1": 127, "googlenet": 128}     # a side at which no layer leaves a row over


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("place", ["inner", "first", "last"])
def test_boxes_are_exact_to_the_pixel_in_deep_layers_and_at_both_ends(nets, name, place):
    copied = bare(nets[name])
    for layer in LAYERS[name]:
        side = MINIMUM.get(name, 128)
        f = receptive_field(nets[name], layer, image=side)
        unit = -(f.offset // f.stride) + 1                             # the first that is clear of the border
        if place == "inner":
            while side < f.box(unit, unit)[2] + f.stride:
                side += 32 if side % 2 == 0 else 64                     # what was even stays even, or odd
        many = activations(copied, torch.rand(1, 3, side, side).double(), layer)[layer].shape[2]
        unit = {"inner": unit, "first": 0, "last": many - 1}[place]
        box = f.box(unit, unit, side)
        assert place != "inner" or box == f.box(unit, unit)
        inside, outside = around(box, side)
        assert place != "inner" or len(outside) == 6
        assert moved(copied, layer, side, inside + outside, unit, unit) == [True] * len(inside) + [False] * len(outside), layer


def test_rows_and_columns_are_not_exchanged(random_net):
    f, copied = receptive_field(random_net, "conv3"), bare(random_net)
    top, left, bottom, right = f.box(5, 18, (64, 96))
    assert (top, left, bottom, right) == (9, 61, 32, 84)
    inside = [(top, left), (bottom - 1, right - 1)]
    outside = [(top - 1, left), (top, left - 1), (bottom, right - 1), (bottom - 1, right)]
    assert moved(copied, "conv3", (64, 96), inside + outside, 5, 18) == [True] * 2 + [False] * 4


def test_padding_that_depends_on_the_image(nets):
    """TensorFlow's "same" begins a pixel earlier on an odd side; where rows and columns differ, one box cannot say it."""
    even, odd = (receptive_field(nets["efficientnet-lite0"], "stem", image=side) for side in (224, 225))
    assert field(even) == (3, 2, 0) and field(odd) == (3, 2, -1)
    with pytest.raises(ValueError, match="multiples of 32"):
        receptive_field(nets["efficientnet-lite0"], "stem", image=(224, 225))


def test_a_sum_sees_the_larger_of_both_ways():
    class Block(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)
    net = nn.Sequential(nn.Conv2d(3, 4, 2, 2), Block(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1)))
    assert [field(receptive_field(net, layer)) for layer in ("0", "1.0", "1")] == [(2, 2, 0), (6, 2, -2), (10, 2, -4)]


def test_a_network_that_cannot_be_followed():
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x) if x.sum() > 0 else x
    with pytest.raises(ValueError, match="steps of this Moody cannot be followed"):
        receptive_field(Moody(), "conv")


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
    with pytest.raises(KeyError, match="Did you mean 'fire2.squeeze'"):
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


# ---- One unit's gradient ----


def whole_gradient(net, x, layer, channel, units):
    return input_gradient(lambda z: activations(net, z, layer)[layer][torch.arange(len(z)), channel, *torch.as_tensor(units).T], x)


@pytest.mark.parametrize("rule", ["plain", "guided"])
@pytest.mark.parametrize("name, layer, size", [
    ("coursenet", "conv1", 64), ("coursenet", "pool2", 64), ("coursenet", "relu5", 64), ("coursenet", "conv3", (96, 64)),
    ("coursenet", "conv3", (70, 61)), ("vgg11", "relu3_2", 96), ("squeezenet1_1", "fire2", 96), ("resnet18", "layer1", 96),
    ("googlenet", "maxpool2", 128),
    ("efficientnet-lite0", "block3", 96), ("efficientnet-lite0", "block5", 192), ("efficientnet-lite0", "block2", 97)])
def test_a_unit_s_gradient_is_that_of_the_whole_picture(nets, rule, name, layer, size):
    net, generator = copy.deepcopy(nets[name]).double(), torch.Generator().manual_seed(0)
    h, w = pair(size)
    x = torch.rand(1, 3, h, w, generator=generator).double().expand(6, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    a = activations(net, x[:1], layer)[layer][0]
    i, j = a.shape[1:]
    units = [[0, 0], [i - 1, j - 1], [0, j // 2], [i // 2, 1], [i // 2, j // 2], [i // 3, 2 * j // 3]]
    channel = a[:, *torch.tensor(units).T].sum(1).argmax().item()       # one that is on: the weights are drawn by chance
    with relu_backward(rule):
        found, wanted = (f(net, x, layer, channel, units) for f in (unit_gradient, whole_gradient))
    assert wanted.flatten(1).norm(dim=1).gt(0).any() and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_only_what_the_unit_sees_is_computed(random_net):
    seen, x = [], torch.rand(2, 3, 224, 224)
    hook = random_net.conv1.register_forward_hook(lambda module, inputs, output: seen.append(tuple(inputs[0].shape)))
    try:
        unit_gradient(random_net, x, "conv2", 0, [[40, 40], [0, 111]])
    finally:
        hook.remove()
    assert seen == [(2, 3, 12, 12)]         # it sees 11 pixels, and moves by 2


def test_windows_by_hand():
    field = ReceptiveField(size=11, stride=2, offset=-5)        # unit 20 sees pixels 35 to 45
    assert field.windows([20, 0, 31], 64) == ([34, 0, 52], 12)
    assert field.windows([20, 0], 63) == ([0, 0], 63)           # an odd side: strides would fall on other pixels from its end
    assert field.windows([1], 12) == ([0], 12)


@pytest.mark.parametrize("units", [[[16, 0], [0, 0]], [[0, -1], [0, 0]], [[0, 0]], [[0.5, 0], [0, 0]]])
def test_units_outside_the_map(random_net, units):
    with pytest.raises(ValueError, match="units"):
        unit_gradient(random_net, torch.rand(2, 3, 64, 64), "relu5", 0, units)


def test_units_of_the_best_patches_have_their_values(random_net, many):
    found = top_patches(random_net, many, "relu3", 4, batch=5)
    a = activations(random_net, many, "relu3")["relu3"]
    channels = torch.arange(a.shape[1])[:, None].expand(-1, 4)
    torch.testing.assert_close(a[found.indices, channels, found.units[..., 0], found.units[..., 1]], found.values)
    assert top_patches(random_net, many, "fc7", 2).units.eq(0).all()


@pytest.mark.parametrize("side", range(9, 16))
def test_how_many_units_a_layer_has(side):
    for module in (nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(1, 1, 3, 1, 2, dilation=2), nn.AvgPool2d(3, 2), nn.MaxPool2d(3, 3),
                   nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.MaxPool2d(2, 3, ceil_mode=True), nn.MaxPool2d(2, 2, 1, ceil_mode=True)):
        assert shrunk(module, side) == module(torch.zeros(1, 1, side, side)).shape[2], module


def test_a_map_of_two_places_has_two_boxes():
    net = nn.Sequential(nn.Conv2d(3, 1, 4, stride=4)).requires_grad_(False)
    nn.init.constant_(net[0].weight, 1)
    x = torch.zeros(1, 3, 8, 8)
    x[..., 4:, :4] = 1
    found = top_patches(net, x, "0", 1)
    assert found.boxes.tolist() == [[[4, 0, 8, 4]]] and found.units.tolist() == [[[1, 0]]]


def test_a_channel_that_is_not_there(random_net, images):
    with pytest.raises(ValueError, match="Got channel 64 .*one of the 64 channels of 'conv2'"):
        unit_gradient(random_net, images, "conv2", 64, torch.zeros(3, 2).long())
