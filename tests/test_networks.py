"""The networks: ours as shipped, EfficientNet-Lite0 against its own tensors, torchvision's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from helpers.activations import activations
from helpers.networks import (
    class_index,
    imagenet_classes,
    layer_names,
    load_net,
    random_network,
    read_weights,
    top_classes,
    write_weights,
)
from helpers.networks.efficientnet import (
    EPSILON,
    MEAN,
    STD,
    InvertedResidual,
    SameConv2d,
    read_checkpoint,
)
from helpers.photos import photos
from helpers.scenes import SHAPES, scenes

OURS = ["coursenet", "coursenet-robust"]


@pytest.fixture(scope="module")
def effnet():
    return load_net("efficientnet-lite0")


@pytest.fixture(scope="module")
def album():
    return torch.cat([photos()[name].load(224) for name in ("cat", "espresso", "temple", "dahlia")])


# ---- CourseNet ----

@pytest.mark.parametrize("name", OURS)
def test_shipped_networks(name):
    net = load_net(name)
    assert len(net.classes) == 72
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    some = scenes()[list(range(0, 1500, 5))]
    with torch.no_grad():
        predicted = net(some.images).argmax(1)
        assert net(torch.rand(2, 3, 65, 97)).shape == (2, 72)
    wanted = torch.tensor([class_index(net, SHAPES[k]) for k in some.labels])
    assert (predicted == wanted).float().mean() > 0.94


def test_normalization_is_inside(random_net, images):
    x = (images - random_net.normalize.mean) / random_net.normalize.std
    assert torch.equal(activations(random_net, images, "conv1"), random_net.conv1(x))


@pytest.mark.parametrize("x", [
    torch.rand(3, 64, 64),
    torch.rand(1, 1, 64, 64),
    torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
])
def test_the_first_layer_refuses_wrong_shapes_and_types(random_net, x):
    with pytest.raises(ValueError, match="expects"):
        random_net(x)


def test_weights_come_back_and_damage_is_found(tmp_path, random_net):
    path = tmp_path / "net.safetensors"
    write_weights(random_net.state_dict(), path, classes=random_net.classes, mean=(0.5, 0.5, 0.5))
    tensors, metadata = read_weights(path)
    assert metadata["mean"] == [0.5, 0.5, 0.5]
    assert torch.equal(tensors["conv1.weight"], random_net.conv1.weight.half().float())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        read_weights(path)


def test_compiles_without_a_graph_break(random_net, images):
    compiled = torch.compile(random_net, fullgraph=True, backend="eager")
    assert torch.allclose(compiled(images), random_net(images), atol=1e-6)


def test_top_classes_by_hand(random_net, images, unchanged):
    with unchanged(random_net, images):
        found = top_classes(random_net, images, k=2)
    p = random_net(images).softmax(1)
    assert [row[0][0] for row in found] == [random_net.classes[k] for k in p.argmax(1)]
    assert found[1][1][1] == pytest.approx(p[1].sort(descending=True).values[1].item())
    with pytest.raises(ValueError, match="0 to 1"):
        top_classes(random_net, 255 * images)
    with pytest.raises(KeyError, match="class 1"):
        class_index(random_net, "clas 1")


def test_random_networks_follow_their_seed():
    weight = [random_network("coursenet", seed=seed).conv1.weight for seed in (0, 0, 1)]
    assert torch.equal(weight[0], weight[1])
    assert not torch.equal(weight[0], weight[2])


# ---- EfficientNet-Lite0 ----

def test_same_padding_by_hand():
    conv = SameConv2d(1, 1, 3, 2, bias=False).requires_grad_(False)
    conv.weight.fill_(1)
    even = torch.arange(1.0, 5).view(1, 1, 1, 4)
    odd = torch.arange(1.0, 6).view(1, 1, 1, 5)
    assert conv(even).flatten().tolist() == [1 + 2 + 3, 3 + 4 + 0]      # one zero, after
    assert conv(odd).flatten().tolist() == [0 + 1 + 2, 2 + 3 + 4, 4 + 5 + 0]


def test_block_by_hand():
    """One channel, weights 2: 2 wide, 2 windows, 2 narrow again; cut off at 6; plus the input."""
    block = InvertedResidual(1, 1, expansion=2, kernel=3, stride=1).requires_grad_(False)
    for conv in (block.expand, block.depthwise, block.project):
        conv.weight.fill_(2)
        conv.bias.zero_()
    assert block(torch.full((1, 1, 1, 1), 0.5)).item() == 0.5 + 2 * 2 * 2 * 1
    assert block(torch.full((1, 1, 1, 1), 5.0)).item() == 5 + 2 * 2 * 6
    assert block(torch.full((1, 1, 1, 1), -5.0)).item() == -5


def test_folding_keeps_the_function(effnet, album):
    """The package's own tensors, run layer by layer with their batch norms."""
    tensors = read_checkpoint()
    convs = [m for m in effnet.modules() if isinstance(m, nn.Conv2d)]
    unfolded = {conv: tensors[5 * k:5 * k + 5] for k, conv in enumerate(convs)}

    def run(module, x):
        if isinstance(module, nn.Conv2d):
            weight, scale, shift, mean, var = unfolded[module]
            half = weight.shape[2] // 2
            sides = [(half, half), (half, half)]
            if isinstance(module, SameConv2d):
                sides = [module.padding_of(x.shape[3]), module.padding_of(x.shape[2])]
            x = F.pad(x, sum(sides, ()))
            x = F.conv2d(x, weight, None, module.stride, groups=module.groups)
            return F.batch_norm(x, mean, var, scale, shift, eps=EPSILON)
        if isinstance(module, InvertedResidual):
            y = x
            for child in module:
                y = run(child, y)
            return x + y if module.residual else y
        return module(x)

    x = album
    for child in effnet:
        x = run(child, x)
    assert torch.allclose(x, effnet(album), atol=1e-3)
    assert effnet.normalize.mean.flatten().tolist() == pytest.approx([MEAN] * 3)
    assert effnet.normalize.std.flatten().tolist() == pytest.approx([STD] * 3)


def test_what_it_predicts_for_photographs(effnet, album):
    best = [row[0][0] for row in top_classes(effnet, album, k=1)]
    assert best[:3] == ["Egyptian cat", "espresso", "palace"]
    assert layer_names(effnet)[:4] == ["stem", "stem_relu", "block1", "block1.depthwise"]
    compiled = torch.compile(effnet, fullgraph=True, backend="eager", dynamic=False)
    assert torch.allclose(compiled(album[:1]), effnet(album[:1]), atol=1e-4)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("helpers.networks.efficientnet.PACKAGE", "no-such-package")
    with pytest.raises(ValueError, match="pip install no-such-package") as caught:
        load_net("efficientnet-lite0")
    assert caught.value._render_traceback_() == [str(caught.value)]     # a cell shows nothing else
    assert len(random_network("efficientnet-lite0").classes) == 1000


def test_the_classes_are_torchvisions():
    assert imagenet_classes() == models.AlexNet_Weights.DEFAULT.meta["categories"]


# ---- torchvision ----

@pytest.mark.parametrize("name", ["alexnet", "vgg11", "squeezenet1_1", "resnet18"])
def test_torchvisions_networks_keep_their_function(name):
    torch.manual_seed(0)
    net = load_net(name, weights=None)
    torch.manual_seed(0)
    theirs = models.get_model(name, weights=None).eval()
    x = torch.rand(1, 3, 64, 64)
    preset = models.AlexNet_Weights.DEFAULT.transforms()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (preset.mean, preset.std))
    assert torch.allclose(net(x), theirs((x - mean) / std), atol=1e-5)
    assert not any(getattr(m, "inplace", False) for m in net.modules())


def test_vgg_has_the_fields_names():
    names = layer_names(load_net("vgg16", weights=None))
    assert names[:5] == ["conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"]
    assert names[-8:] == ["avgpool", "fc6", "relu6", "drop1", "fc7", "relu7", "drop2", "fc8"]


def test_chains_have_the_fields_names():
    alexnet = layer_names(load_net("alexnet", weights=None))
    assert alexnet[:6] == ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2"]
    assert alexnet[-8:] == ["avgpool", "drop1", "fc6", "relu6", "drop2", "fc7", "relu7", "fc8"]


@pytest.mark.parametrize("name", ["swin_t", "vit_b_16"])
def test_transformers_are_refused(name):
    with pytest.raises(ValueError, match="convolutional"):
        load_net(name, weights=None)


def test_an_unknown_name_suggests_a_close_one():
    with pytest.raises(KeyError, match="coursenet"):
        load_net("coursnet")
