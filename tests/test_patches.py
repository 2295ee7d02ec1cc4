import copy
from itertools import product

import pytest
import torch
from torch import nn

from helpers.activations import activations
from helpers.networks import layer_names, load_net
from helpers.patches import ReceptiveField, receptive_field, top_patches


def test_fields_by_hand(random_net):
    for layer, field in {"conv1": (7, 2, -3), "pool2": (15, 4, -7), "conv5": (39, 4, -19)}.items():
        assert receptive_field(random_net, layer) == field
    pool = nn.MaxPool2d(2)      # used twice, it counts twice
    net = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), pool, nn.Conv2d(1, 1, 3, dilation=2), pool)
    assert receptive_field(net, "2") == (12, 2, -1)
    assert receptive_field(nn.Sequential(net, nn.ReLU()), "0") == (14, 4, -1)


def test_a_box_ends_at_the_border():
    field = ReceptiveField(7, 2, -3)
    assert field.box(0, 1, 64) == (0, 0, 4, 6)
    assert field.box(31, 2, (64, 8)) == (59, 1, 64, 8)


def seen_by_gradient(net, layer, side):
    """The box of pixels that the middle unit of a layer depends on, and its index."""
    x = torch.zeros(1, 3, side, side, dtype=torch.double, requires_grad=True)
    a = activations(net, x, layer)
    i = a.shape[2] // 2
    gradient, = torch.autograd.grad(a[..., i, i].sum(), x)
    rows = gradient[0].sum(0).nonzero()
    return i, (*rows.amin(0).tolist(), *(rows.amax(0) + 1).tolist())


def without_weights(name):
    with torch.device("meta"):      # takes no time and no memory
        return load_net(name, weights=None)


def positive(net):
    """With positive weights and averages in place of maxima, each pixel of a field counts."""
    averages = copy.deepcopy(net)
    for parent in list(averages.modules()):
        for key, module in parent.named_children():
            if isinstance(module, nn.MaxPool2d):
                sides = (module.kernel_size, module.stride, module.padding)
                setattr(parent, key, nn.AvgPool2d(*sides))
            if isinstance(module, (nn.ReLU, nn.ReLU6, nn.Linear)):
                setattr(parent, key, nn.Identity())
    averages = averages.to_empty(device="cpu").double()
    for module in averages.modules():
        for values in [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
            values.fill_(1 / max(1, values[0].numel()))
    return averages


@pytest.mark.parametrize("name", ["coursenet", "efficientnet-lite0", "alexnet", "vgg11"])
def test_fields_are_what_the_gradient_reaches(name):
    net = without_weights(name)
    averages = positive(net)
    names = layer_names(net)
    names = names[:names.index("avgpool")]
    for layer in names[2::len(names) // 4]:
        i, box = seen_by_gradient(averages, layer, 192)
        assert receptive_field(net, layer).box(i, i, 192) == box, layer


def test_fields_are_refused_where_they_are_not_exact(random_net):
    residual = without_weights("resnet18")
    for net, layer in [(random_net, "fc7"), (random_net, "avgpool"), (residual, "layer1")]:
        with pytest.raises(ValueError, match="chains"):
            receptive_field(net, layer)
    with pytest.raises(ValueError, match="square"):
        receptive_field(nn.Sequential(nn.Conv2d(3, 1, (1, 7))), "0")
    with pytest.raises(KeyError, match="conv5"):
        receptive_field(random_net, "conv55")


# ---- Top patches ----

@pytest.fixture
def many(images):
    return torch.cat([images, 1 - images, images[:2], images.roll(9, 3)])      # two come twice


@pytest.mark.parametrize("layer", ["conv1", "relu3"])
def test_top_patches_equal_a_brute_force(random_net, many, layer):
    found = top_patches(random_net, many, layer, 4, batch=5)
    maps = torch.cat([activations(random_net, x, layer) for x in many.split(5)])
    field = receptive_field(random_net, layer)
    boxes = [field.box(i, j, 64) for i, j in product(range(maps.shape[2]), repeat=2)]
    inside = torch.tensor([bottom - top == right - left == field.size
                           for top, left, bottom, right in boxes])
    assert 0 < inside.sum() < len(inside)
    for c in range(0, maps.shape[1], 9):
        peaks = maps[:, c].flatten(1)[:, inside].amax(1).tolist()
        best = sorted(range(len(many)), key=lambda n: -peaks[n])[:4]
        assert found.indices[c].tolist() == best
        assert found.values[c].tolist() == pytest.approx([peaks[n] for n in best], abs=1e-6)
        for n, box in zip(best, found.boxes[c].tolist()):
            unit = maps[n, c].flatten().masked_fill(~inside, -torch.inf).argmax()
            assert tuple(box) == boxes[unit]


def test_a_patch_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 1, 4, stride=4))
    nn.init.ones_(net[0].weight)
    x = torch.zeros(2, 3, 8, 12)
    x[1, :, 4:, :4] = 1
    found = top_patches(net, x, "0", 1)
    assert found.indices.tolist() == [[1]]
    assert found.boxes.tolist() == [[[4, 0, 8, 4]]]


def test_nothing_is_changed_and_wrong_input_is_refused(random_net, images, unchanged):
    with unchanged(random_net, images):
        assert not top_patches(random_net, images, "conv2", 2).values.requires_grad
        with pytest.raises(ValueError, match="pixels"):
            top_patches(random_net, images * 255, "conv2")
        with pytest.raises(ValueError, match="chains"):
            top_patches(random_net, images, "fc7")
