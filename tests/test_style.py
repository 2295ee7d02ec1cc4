import pytest
import torch
import torch.nn.functional as F
from torch import nn

from helpers.activations import activations
from helpers.images import load_image, resize
from helpers.losses import checkerboard_loss, style_loss
from helpers.networks import DATA, write_weights
from helpers.optimization import last
from helpers.photos import photos
from helpers.style import (
    STYLES,
    ConditionalInstanceNorm,
    TransformNet,
    load_transform_net,
    style_grams,
    style_image,
    style_transfer,
)
from helpers.transforms import reflect_pad_crop

LAYERS = ["pixels", "relu1", "relu3"]


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def tiny(styles=1, **how):
    """A small network whose scales and shifts are random too, so that styles differ."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = TransformNet(styles, width=4, blocks=2, **how)
        for p in net.parameters():
            nn.init.normal_(p, 0.0, 0.3)
    return net.eval()


# ---- By optimization ----

def test_the_first_loss_by_hand(random_net, images):
    content, style, start = images.split(1)
    step = next(style_transfer(random_net, content, style_grams(random_net, style, LAYERS),
                               start=start, content_layer="relu3", style_weight=5.0, tv_weight=0.2,
                               seed=7))
    generator = torch.Generator().manual_seed(7)
    seen, original = reflect_pad_crop(start, content, border=16, generator=generator)
    found, wanted, target = [{"pixels": x} | activations(random_net, x, LAYERS[1:])
                             for x in (seen, original, style)]
    relative = lambda a, b: (a - b).square().sum() / b.square().sum()
    expected = relative(found["relu3"], wanted["relu3"])
    for layer in LAYERS:
        grams = [f[layer][0].flatten(1) @ f[layer][0].flatten(1).T / f[layer][0, 0].numel()
                 for f in (found, target)]
        expected += 5 / 3 * relative(*grams)
    expected += 0.2 * sum(start.diff(dim=d).square().sum() for d in (2, 3)) / 64 ** 2
    torch.testing.assert_close(step.loss, expected, rtol=1e-4, atol=1e-4)


def test_a_larger_style_weight_comes_nearer_to_the_style(random_net, images, unchanged):
    smooth = F.interpolate(images[1:2, :, :6, :6], 64, mode="bilinear")
    content = images[:1].expand(2, -1, -1, -1)
    with unchanged(random_net, images):
        grams = style_grams(random_net, smooth, LAYERS[1:])
        steps = style_transfer(random_net, content, grams, content_layer="relu3", tv_weight=0,
                               style_weight=torch.tensor([0.0, 30.0]), sizes=(48, 64), steps=10)
        x = last(steps).image
    without, strong = style_loss(activations(random_net, x, LAYERS[1:]), grams).tolist()
    near, far = (x - content).flatten(1).norm(dim=1).tolist()
    assert strong < 0.8 * without and near < far


def test_from_coarse_to_fine(random_net):
    content = rand(1, 3, 24, 36)
    grams = style_grams(random_net, content.flip(3), LAYERS)
    steps = list(style_transfer(random_net, content, grams, content_layer="relu3", sizes=(12, 24),
                                steps=(2, 1)))
    sizes = [tuple(step.image.shape[2:]) for step in steps]
    assert sizes == [(12, 18), (12, 18), (24, 36)]      # borders of 11 and of 16 pixels
    first = (steps[0].image - resize(content, (12, 18))).abs().max().item()
    final = (steps[2].image - resize(steps[1].image, (24, 36))).abs().max().item()
    assert first == pytest.approx(0.03, rel=1e-3)       # Adam's first step is its learning rate
    assert final == pytest.approx(0.01, rel=1e-3)


def test_wrong_inputs_of_a_transfer(random_net, images):
    grams = style_grams(random_net, images, LAYERS)
    with pytest.raises(KeyError, match="relu3"):
        next(style_transfer(random_net, images, grams, content_layer="rleu3"))
    with pytest.raises(ValueError, match="expected"):
        style_transfer(random_net, 255 * images, grams)
    with pytest.raises(ValueError, match="zip"):
        last(style_transfer(random_net, images, grams, content_layer="relu3", sizes=(32, 64),
                            steps=(1,)))


def test_style_images():
    dahlia = photos()["dahlia"].load()[..., 130:310, 200:380]
    assert torch.equal(style_image("dahlia", 90), resize(dahlia, 90))
    drawn = load_image(DATA / "styles" / "woodcut.webp")
    torch.testing.assert_close(style_image("woodcut", 90), resize(drawn, 90))
    for name in STYLES:
        assert style_image(name, 32).shape == (1, 3, 32, 32)
    with pytest.raises(KeyError, match="mosaic"):
        style_image("mosaik")


# ---- In one pass ----

def test_conditional_instance_norm_is_pytorchs():
    x, theirs = 3 + 2 * rand(3, 5, 7, 9), nn.InstanceNorm2d(5, affine=True)
    ours = ConditionalInstanceNorm(5, styles=3)
    ours.scale.data, ours.shift.data = rand(3, 5, seed=1), rand(3, 5, seed=2)
    each = ours(x, torch.eye(3))        # a style for each image
    for k in range(3):
        theirs.weight.data, theirs.bias.data = ours.scale[k].data, ours.shift.data[k]
        torch.testing.assert_close(each[k:k + 1], theirs(x[k:k + 1]))
    theirs.weight.data, theirs.bias.data = ours.scale[:2].mean(0), ours.shift[:2].mean(0)
    torch.testing.assert_close(ours(x, torch.tensor([[0.5, 0.5, 0.0]])), theirs(x))


def test_a_style_by_name_number_and_weights():
    net, x = tiny(["a", "b", "c"]), rand(2, 3, 16, 16)
    b = net(x, "b")
    assert torch.equal(net(x, 1), b) and torch.equal(net(x, [0.0, 1.0, 0.0]), b)
    torch.testing.assert_close(net(x, torch.eye(3)[:2])[1], b[1])
    between = net(x, torch.tensor([0.5, 0.5, 0.0]))
    assert not torch.allclose(between, b) and not torch.allclose(between, net(x, "a"))


def test_wrong_styles():
    net, x = tiny(["glass", "points"]), rand(1, 3, 16, 16)
    with pytest.raises(KeyError, match="glass"):
        net(x, "glas")
    with pytest.raises(IndexError):
        net(x, 2)
    with pytest.raises(RuntimeError):
        net(x, [1.0])
    with pytest.raises(KeyError, match="instnace"):
        TransformNet(norm="instnace")


def test_all_parameters_learn_and_the_network_compiles():
    net, x = tiny(2), rand(2, 3, 16, 16)
    net(x, torch.eye(2)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, 1), net(x, 1))


def test_saved_and_loaded_again(tmp_path):
    net, x = tiny(["a", "b"]), rand(1, 3, 16, 16)
    path = tmp_path / "net.safetensors"
    write_weights(net.state_dict(), path, styles=net.styles, shape=net.shape)
    again = load_transform_net(path)
    assert again.styles == ["a", "b"] and again.metadata["shape"] == net.shape
    assert not again.training and not any(p.requires_grad for p in again.parameters())
    torch.testing.assert_close(again(x, "b"), net(x, "b"), atol=5e-3, rtol=0)   # float16 on disk


def test_the_shipped_network_leaves_no_checkerboard():
    net = load_transform_net()
    assert set(net.styles) == set(STYLES)
    x = photos()["temple"].load((96, 144))
    for style in net.styles:
        assert checkerboard_loss(net(x, style)).sqrt() < 2 / 255
