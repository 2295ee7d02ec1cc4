import copy

import pytest
import torch
from torch import nn

from helpers import nets
from helpers.nets import (
    DATA,
    OURS,
    class_index,
    fast,
    has_bf16,
    layer_names,
    load_net,
    load_weights,
    save_weights,
    top_classes,
    torchvision_weights,
)
from helpers.world.scenes import SHAPES, scenes

COURSENET = ["conv1", "relu1", "conv2", "relu2", "pool2", "conv3", "relu3", "conv4", "relu4", "conv5", "relu5", "pool5", "avgpool",
             "fc6", "relu6", "fc7", "relu7", "fc8"]


@pytest.fixture(scope="module", params=OURS)
def shipped(request):
    return load_net(request.param)


def test_shipped_networks(shipped):
    assert layer_names(shipped) == COURSENET
    assert len(shipped.classes) == 72 and shipped.classes[-8:] == list(SHAPES)
    assert not shipped.training and not any(p.requires_grad for p in shipped.parameters())
    assert sum(p.numel() for p in shipped.parameters()) <= 2_500_000
    assert tuple(shipped.conv1.kernel_size) == (7, 7) and not any(m.inplace for m in shipped.modules() if hasattr(m, "inplace"))


@pytest.mark.parametrize("h, w", [(64, 64), (96, 128), (65, 131)])
def test_any_size_from_64_up(shipped, h, w):
    assert shipped(torch.rand(2, 3, h, w)).shape == (2, 72)


def test_normalisation_is_inside(shipped, images):
    by_hand = (images - shipped.normalize.mean) / shipped.normalize.std
    for name, module in shipped.named_children():
        by_hand = module(by_hand) if name != "normalize" else by_hand
    assert torch.equal(shipped(images), by_hand)


def test_what_they_say_of_300_scenes(shipped):
    """Measured here and not only read from the file; the scenes were drawn with another seed than those of the training."""
    world = scenes()[list(range(300))]
    with torch.no_grad():
        said = torch.cat([shipped(x).argmax(1) for x in world.images.split(50)])
    assert (said == world.labels + 64).float().mean() >= 0.95


def test_both_files_are_small():
    assert sum((DATA / f"{name}.safetensors").stat().st_size for name in OURS) <= 10e6


def test_model_cards_match_the_weights():
    """The figures in data/README.md are those stored with the weights, as the measuring command wrote them."""
    text = (DATA / "README.md").read_text()
    from helpers.recipes.measure import card
    assert card({name: load_weights(DATA / f"{name}.safetensors").facts["figures"] for name in OURS}) in text


def test_the_networks_differ():
    a, b = (load_net(name) for name in OURS)
    cosine = torch.nn.functional.cosine_similarity(a.fc6.weight.flatten(), b.fc6.weight.flatten(), dim=0)
    assert cosine.abs() < 0.1       # neither started from the other


def test_weights_none_is_random():
    assert not torch.equal(load_net("coursenet", weights=None).fc8.weight, load_net("coursenet").fc8.weight)


def test_save_and_load_again(tmp_path, random_net, images):
    save_weights(random_net, tmp_path / "net.safetensors", figures={"top-1": 0.5})
    again = load_weights(tmp_path / "net.safetensors").eval()
    assert torch.allclose(again(images), random_net(images), atol=1e-3)     # float16 on disk
    assert again.facts["figures"] == {"top-1": 0.5} and again.classes == random_net.classes


@pytest.mark.parametrize("name, says", [("corsenet", "Did you mean 'coursenet'"), ("alexnte", "'alexnet'"), ("xyzzy", "Known: coursenet")])
def test_unknown_network(name, says):
    with pytest.raises(KeyError, match=says):
        load_net(name)


def test_unknown_class(random_net):
    assert class_index(random_net, "class 3") == 3
    with pytest.raises(KeyError, match="Did you mean 'class 3'"):
        class_index(random_net, "clas 3")


def test_top_classes_by_hand(images):
    class Fixed(torch.nn.Module):
        classes = ["a", "b", "c"]

        def forward(self, x):
            return torch.tensor([[1.0, 2.0, 0.0]]).expand(len(x), -1)
    (name, p), (second, q) = top_classes(Fixed(), images, k=2)[1]
    assert (name, second) == ("b", "a")
    assert abs(p - 0.6652) < 1e-4 and abs(q - 0.2447) < 1e-4     # e^2 and e^1 over 1 + e + e^2
    with pytest.raises(ValueError, match="expected 1 to 3"):
        top_classes(Fixed(), images, k=4)


def test_top_classes_changes_nothing(random_net, images, unchanged):
    with unchanged(random_net, images):
        top_classes(random_net, images)


@pytest.mark.parametrize("x", [torch.rand(3, 64, 64), torch.rand(1, 1, 64, 64)])
def test_wrong_shapes(random_net, x):
    with pytest.raises(ValueError, match=r"expects images \(b, 3, h, w\)"):
        random_net(x)


# ---- torchvision's ----

@pytest.mark.parametrize("name, some", [
    ("alexnet", ["conv1", "relu1", "pool1", "conv5", "pool5", "fc6", "relu7", "fc8"]),
    ("vgg11", ["conv1_1", "relu3_2", "conv4_2", "relu4_2", "pool5", "fc6", "fc8"]),
    ("squeezenet1_1", ["conv1", "fire2", "fire9", "conv10", "fire2.squeeze"]),
    ("resnet18", ["conv1", "layer1", "layer4.1.conv2", "fc"]),
])
def test_torchvisions_networks_keep_their_function(name, some):
    from torchvision import models
    net = load_net(name, weights=None)
    assert set(some) <= set(layer_names(net)) and len(net.classes) == 1000
    twin = models.get_model(name, weights=None).eval()
    twin.load_state_dict(dict(zip(twin.state_dict(), [v for k, v in net.state_dict().items() if "normalize" not in k], strict=True)))
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in nets.IMAGENET)
    with torch.no_grad():
        assert torch.allclose(net(x), twin((x - mean) / std), atol=1e-5)
    assert not net.training and not any(m.inplace for m in net.modules() if hasattr(m, "inplace"))


def test_weights_at_hand(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert not nets.at_hand("alexnet")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    assert nets.at_hand("alexnet") and not nets.at_hand("vgg16")


def test_vgg16_has_the_fields_names():
    expected = [f"conv{block}_{k}" for block, n in enumerate((2, 2, 3, 3, 3), 1) for k in range(1, n + 1)]
    from torchvision import models
    model = models.vgg16(weights=None, init_weights=False)
    names = [name for name, _ in nets.field_names(model, blocks=True)]
    assert [n for n in names if n.startswith("conv")] == expected
    assert [n for n in names if n.startswith(("fc", "pool"))] == ["pool1", "pool2", "pool3", "pool4", "pool5", "fc6", "fc7", "fc8"]


# ---- precision ----

@pytest.mark.parametrize("instructions, expected", [({"avx512_bf16": True}, True), ({"avx512_bf16": False}, False), ({}, False)])
def test_the_processor_is_asked(monkeypatch, instructions, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)
    assert has_bf16("cpu") is expected
    with fast("cpu"):
        assert torch.is_autocast_enabled("cpu") is expected
    with fast(torch.device("cpu"), exact=True):
        assert not torch.is_autocast_enabled("cpu")


def test_an_old_pytorch_cannot_be_asked(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_bf16("cpu") is False


def test_no_bf16_elsewhere():
    assert has_bf16("mps") is False


# ---- what was found wrong once ----

@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", "VGG11_Weights.IMAGENET1K_V1", "DEFAULT"])
def test_weights_by_their_short_name(weights):
    from torchvision import models
    assert torchvision_weights("vgg11", weights) == models.VGG11_Weights.IMAGENET1K_V1
    with pytest.raises(KeyError, match="no set of weights of vgg11 'IMAGENET1K_V3'. Did you mean 'IMAGENET1K_V1'"):
        load_net("vgg11", weights="IMAGENET1K_V3")


def test_random_weights_normalise_as_the_trained_ones_do():
    trained, random = load_net("coursenet"), load_net("coursenet", weights=None)
    assert torch.equal(random.normalize.mean, trained.normalize.mean) and torch.equal(random.normalize.std, trained.normalize.std)
    assert random.classes == trained.classes and not torch.equal(random.conv1.weight, trained.conv1.weight)
    with pytest.raises(ValueError, match="expected 'DEFAULT'"):
        load_net("coursenet", weights="IMAGENET1K_V1")


def test_every_network_of_torchvision_can_be_seen_at_hand(monkeypatch, tmp_path):
    from torchvision import models
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    for name in models.list_models(module=models):
        file = tmp_path / "hub" / "checkpoints" / models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
        file.unlink(missing_ok=True)
        assert not nets.at_hand(name)
        file.touch()
        assert nets.at_hand(name)
    with pytest.raises(KeyError, match="Did you mean 'alexnet'"):
        nets.at_hand("alexnte")


@pytest.mark.parametrize("x, says", [
    (torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8), r"got a uint8 tensor .* Try .* / 255"),
    (255 * torch.rand(2, 3, 64, 64), r"got pixels from .* expects them from 0 to 1. Try x / 255"),
    (torch.randint(0, 256, (1, 3, 64, 64)), "got a int64 tensor"),
])
@pytest.mark.parametrize("name", ["coursenet", "resnet18"])
def test_bytes_are_refused_by_the_network_itself(name, x, says):
    net = load_net(name, weights=None)
    with pytest.raises(ValueError, match=says):
        net(x)
    noisy = 0.5 + torch.randn(1, 3, 64, 64)        # as smooth_grad gives it
    assert net(noisy).shape[0] == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_large_picture_of_any_precision_is_not_taken_for_bytes(dtype):
    normalize = nets.Normalize((0.5,) * 3, (0.25,) * 3).to(dtype)
    x = torch.full((1, 3, 320, 320), 0.9, dtype=dtype)     # their sum is more than float16 can hold
    assert normalize(x).isfinite().all()
    with pytest.raises(ValueError, match="Try x / 255"):
        normalize(100 * x)


def test_weights_that_change_are_never_old_ones_in_bf16(monkeypatch):
    """Ctrl-C at the moment in which a context of autocast ends leaves PyTorch inside it, where it would keep copies of weights for ever."""
    monkeypatch.setattr(nets, "has_bf16", lambda device: True)
    layer, said = nn.Linear(2, 1, bias=False), []
    torch.autocast_increment_nesting()
    try:
        for weight in (1.0, 2.0):
            layer.weight.data.fill_(weight)
            with fast("cpu"):
                said.append(layer(torch.ones(1, 2)).item())
    finally:
        torch.autocast_decrement_nesting()
    assert said == [2, 4]


def test_a_network_made_in_inference_mode_says_that_no_gradient_passes(random_net, images):
    with torch.inference_mode():
        net = copy.deepcopy(random_net)
    assert torch.equal(net(images), random_net(images))
    with pytest.raises(ValueError, match="made in torch.inference_mode"):
        net(images.requires_grad_())


def test_dropouts_are_numbered():
    assert [name for name in layer_names(load_net("alexnet", weights=None)) if name.startswith("drop")] == ["drop1", "drop2"]


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50"])
def test_pictures_are_normalised_as_torchvision_does(name):
    theirs = torchvision_weights(name).transforms()
    assert nets.IMAGENET == (tuple(theirs.mean), tuple(theirs.std))
