"""Images as tensors: what is checked, how they are cut, resized and saved, and the photographs."""


import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage import data
from sklearn.datasets import load_sample_image

from helpers.images import (
    center_crop,
    check_images,
    crop_origins,
    load_image,
    load_tiles,
    photos,
    resize,
    save_image,
    sliding_crops,
    to_pil,
)

NAMES = ("cat", "espresso", "astronaut", "rocket", "hubble", "temple", "dahlia", "cameraman", "hopper")


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# check_images

@pytest.mark.parametrize("x", [torch.zeros(1, 3, 1, 1), torch.ones(2, 3, 4, 5, dtype=torch.float64), torch.rand(1, 3, 2, 2).half(),
                               torch.rand(1, 3, 2, 2, requires_grad=True), torch.rand(1, 3, 2, 2).bfloat16()])
def test_images_pass(x):
    assert check_images(x) is None


@pytest.mark.parametrize("x, got", [
    (torch.zeros(1, 3, 2, 2).byte(), "a uint8 tensor of shape (1, 3, 2, 2)"), (None, "None"), ("cat.png", "a str"),
    (torch.zeros(1, 3, 2, 2).bool(), "a bool tensor of shape (1, 3, 2, 2)"),
    (np.zeros((1, 3, 2, 2), np.float32), "a float32 ndarray of shape (1, 3, 2, 2)"),
])
def test_what_is_no_float_tensor_is_a_type_error(x, got):
    with pytest.raises(TypeError) as error:
        check_images(x)
    assert str(error.value).startswith(f"Got {got}; expected images as a float tensor. Try ")


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5), (1, 4, 5, 3), (1, 1, 4, 5), (1, 4, 5, 5), (0, 3, 4, 5), (1, 3, 0, 5)])
def test_another_shape_is_a_value_error(shape):
    with pytest.raises(ValueError) as error:
        check_images(torch.zeros(shape))
    assert str(error.value).startswith(f"Got a float32 tensor of shape {shape}; expected images (b, 3, h, w). Try ")


def test_what_the_message_about_shapes_tells_to_try_works():
    check_images(torch.zeros(3, 4, 5)[None])
    check_images(torch.zeros(1, 4, 5, 3).permute(0, 3, 1, 2))
    check_images(torch.zeros(1, 1, 4, 5).expand(-1, 3, -1, -1))


@pytest.mark.parametrize("pixels, got", [((0, 255), "from 0 to 255"), ((-0.25, 1), "from -0.25 to 1"), ((0.5, 1.0001), "from 0.5 to 1")])
def test_pixels_outside_0_to_1_are_a_value_error(pixels, got):
    x = torch.full((1, 3, 2, 2), 0.5)
    x[0, 0, 0] = torch.tensor(pixels)
    with pytest.raises(ValueError) as error:
        check_images(x)
    assert str(error.value).startswith(f"Got pixels {got}") and "; expected [0, 1]. Try " in str(error.value)
    assert check_images(x, within=False) is None


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_pixels_that_are_no_numbers_are_a_value_error(value, within):
    x = torch.zeros(1, 3, 2, 2)
    x[0, 1, 1, 1] = value
    with pytest.raises(ValueError, match="^Got pixels that are infinite or not a number; expected finite ones. Try "):
        check_images(x, within=within)


# Sizes

@pytest.mark.parametrize("size", [0, -1, 2.5, "64", (64,), (1, 2, 3), (0, 5), (5, -1), (2.0, 3), ("a", "b"), torch.tensor(2.5)])
@pytest.mark.parametrize("function", [center_crop, resize, lambda x, size: load_image(to_pil(x), size=size)])
def test_a_wrong_size_is_a_value_error(function, size):
    with pytest.raises(ValueError, match="^Got size .*; expected whole pixels, at least 1. Try 64, or"):
        function(torch.zeros(1, 3, 4, 4), size)


@pytest.mark.parametrize("size", [(2, 3), [2, 3], torch.Size([2, 3]), np.array([2, 3]).tolist(), (np.int64(2), torch.tensor(3))])
def test_sizes_are_height_and_width_of_any_whole_numbers(size):
    assert resize(torch.zeros(1, 3, 4, 4), size).shape == (1, 3, 2, 3)


def test_a_wrong_size_is_said_before_the_file_is_looked_for():
    with pytest.raises(ValueError, match="Got size"):
        load_image("no/such/file.png", size=0)


# crop

@pytest.mark.parametrize("h, w, shape, rows, columns", [
    (4, 8, 64, slice(0, 4), slice(2, 6)), (8, 4, 64, slice(2, 6), slice(0, 4)), (5, 5, (2, 2), slice(0, 5), slice(0, 5)),
    (4, 7, 1, slice(0, 4), slice(1, 5)), (10, 10, (1, 2), slice(2, 7), slice(0, 10)), (10, 10, (200, 100), slice(0, 10), slice(2, 7)),
    (2, 2, (1, 1000), slice(0, 1), slice(0, 2)), (1, 5000, 64, slice(0, 1), slice(2499, 2500)),
])
def test_crop_takes_the_largest_centred_part(h, w, shape, rows, columns):
    x = noise(2, 3, h, w)
    assert torch.equal(center_crop(x, shape), x[:, :, rows, columns])


# resize

@pytest.mark.parametrize("size", [1, 7, 64, (3, 100), 200])
def test_a_constant_stays_constant(size):
    x = torch.tensor([0.0, 0.3, 1.0]).view(1, 3, 1, 1).expand(2, 3, 50, 64)
    y = resize(x, size)
    assert y.shape == (2, 3, *(size if isinstance(size, tuple) else (size, size)))
    assert torch.allclose(y, x[:, :, :1, :1].expand_as(y), atol=1e-6)


def test_the_same_size_changes_nothing():
    x = noise(1, 3, 20, 30)
    assert torch.allclose(resize(x, (20, 30)), x, atol=1e-6)


def test_a_ramp_stays_a_ramp():
    """Half the size: each new pixel lies between two old ones, so that it is their mean (away from the border)."""
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    pairs = ramp.unflatten(-1, (32, 2)).mean(-1)[:, :, :32]
    assert torch.allclose(resize(ramp, 32)[..., 4:-4], pairs[..., 4:-4], atol=1e-4)


def test_fine_stripes_become_grey_and_not_other_stripes():
    stripes = (torch.arange(64) % 2).float().expand(1, 3, 64, 64)
    assert (resize(stripes, 15)[..., 2:-2] - 0.5).abs().max() < 0.02


def test_overshoot_is_clamped():
    edge = (torch.arange(16) >= 8).float().expand(1, 3, 16, 16)
    y = resize(edge, 64)
    assert y.min() == 0 and y.max() == 1


def test_gradients_pass_and_each_new_pixel_has_weight_one():
    x = torch.full((1, 3, 20, 30), 0.5, requires_grad=True)
    resize(center_crop(x, 8), 8).sum().backward()
    assert x.grad.sum().item() == pytest.approx(3 * 8 * 8, rel=1e-4)
    assert (x.grad[..., :5] == 0).all() and (x.grad[..., 6:24] != 0).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_dtype_stays(dtype):
    x = noise(1, 3, 8, 8).to(dtype)
    y = resize(center_crop(x, (4, 8)), 5)
    assert y.dtype == dtype and (y.double() - resize(center_crop(x.double(), (4, 8)), 5)).abs().max() < 0.01


def test_inputs_stay_as_they_are():
    x = noise(1, 3, 9, 12)
    before = x.clone()
    resize(x, (9, 12)).zero_()
    resize(center_crop(x, 5), 20)
    to_pil(x).putpixel((0, 0), (9, 9, 9))
    assert torch.equal(x, before)


def test_load_image_crops_to_the_shape_and_then_resizes():
    image = Image.new("RGB", (90, 30), "red")
    image.paste((0, 0, 255), (30, 0, 60, 30))       # the centred square is blue
    assert torch.allclose(load_image(image, size=10), torch.tensor([0.0, 0, 1]).view(1, 3, 1, 1).expand(1, 3, 10, 10), atol=1e-6)
    assert load_image(image, size=(5, 15)).shape == (1, 3, 5, 15)
    assert load_image(image).shape == (1, 3, 30, 90)


# Saving

def test_to_pil_rounds_to_the_nearest_level():
    x = torch.tensor([[0, 0.4, 0.6, 100.49, 100.51, 254.4, 255]]).expand(1, 3, 1, 7) / 255
    assert [to_pil(x).getpixel((i, 0)) for i in range(7)] == [(n, n, n) for n in (0, 0, 1, 100, 101, 254, 255)]


def test_to_pil_knows_height_width_and_colour():
    x = torch.zeros(3, 2, 5)
    x[0, 1, 4] = 1
    for image in (to_pil(x), to_pil(x[None]), to_pil(x.requires_grad_()), to_pil(x.half())):
        assert image.mode == "RGB" and image.size == (5, 2)
        assert image.getpixel((4, 1)) == (255, 0, 0) and image.getpixel((1, 1)) == (0, 0, 0)


@pytest.mark.parametrize("shape", [(1, 3, 37, 23), (1, 3, 1, 1), (3, 8, 8)])
def test_a_saved_png_comes_back_within_half_a_grey_level(tmp_path, shape):
    x = noise(*shape)
    save_image(x, tmp_path / "x.png")
    assert (load_image(tmp_path / "x.png") - x).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("ending", [".jpg", ".webp", ".png"])
def test_the_ending_names_the_format(tmp_path, ending):
    save_image(torch.full((1, 3, 16, 16), 0.5), str(tmp_path / f"x{ending}"))
    with Image.open(tmp_path / f"x{ending}") as image:
        assert image.format == {".jpg": "JPEG", ".webp": "WEBP", ".png": "PNG"}[ending]
    assert (load_image(tmp_path / f"x{ending}") - 0.5).abs().max() < 0.02


@pytest.mark.parametrize("x, error, words", [
    (torch.zeros(2, 3, 4, 4), ValueError, "Got 2 images; expected one. Try"),
    (torch.zeros(4, 4), ValueError, "Got a float32 tensor of shape"),
    (torch.full((3, 4, 4), 2.0), ValueError, "Got pixels from 2 to 2"), (np.zeros((3, 4, 4)), TypeError, "Got a float64 ndarray"),
    (torch.zeros(3, 4, 4).byte(), TypeError, "Got a uint8 tensor"), ("cat.png", TypeError, "Got a str"),
])
def test_what_is_not_one_image_is_not_saved(tmp_path, x, error, words):
    with pytest.raises(error, match=words):
        to_pil(x)
    with pytest.raises(error, match=words):
        save_image(x, tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["x.unknown", "x", "no/such/folder/x.png", "."])
def test_where_it_cannot_be_saved_is_said(tmp_path, path):
    with pytest.raises(ValueError, match="^Cannot write .*. Try an existing folder, and .png"):
        save_image(torch.zeros(1, 3, 4, 4), tmp_path / path)
    assert not list(tmp_path.iterdir())


# Photographs

def test_the_photographs_are_those():
    assert tuple(photos()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_photograph_loads_and_has_its_credit(name):
    photo = photos()[name]
    x = photo.load(64)
    assert x.shape == (1, 3, 64, 64) and x.dtype == torch.float32 and 0 <= x.min() and x.max() <= 1
    assert x.std() > 0.05       # not an empty picture
    assert photo.title and photo.credit and photo.licence in ("CC0", "public domain", "CC BY 2.0")


def test_photographs_keep_their_proportions():
    """As their packages say: chelsea is (300, 451, 3), china.jpg (427, 640, 3)."""
    assert photos()["cat"].load().shape == (1, 3, 300, 451)
    assert photos()["temple"].load().shape == (1, 3, 427, 640)
    assert photos()["temple"].load((20, 40)).shape == (1, 3, 20, 40)


@pytest.mark.parametrize("name, read", [
    ("cat", data.chelsea), ("espresso", data.coffee), ("astronaut", data.astronaut), ("rocket", data.rocket),
    ("hubble", data.hubble_deep_field),
    ("temple", lambda: load_sample_image("china.jpg")), ("dahlia", lambda: load_sample_image("flower.jpg")),
    ("cameraman", lambda: np.stack([data.camera()] * 3, 2)), ("hopper", lambda: plt.imread(get_sample_data("grace_hopper.jpg"), "jpg")),
])
def test_each_photograph_is_its_packages_own_to_the_pixel(name, read):
    assert np.array_equal((photos()[name].load()[0] * 255).round().byte().permute(1, 2, 0).numpy(), read())


def test_photographs_have_their_colours():
    """The cat is ginger: red over green over blue."""
    red, green, blue = photos()["cat"].load().mean((0, 2, 3))
    assert red > green > blue


@pytest.mark.parametrize("typo, meant", [("dalia", "dahlia"), ("Cat", "cat"), ("expresso", "espresso"), ("tempel", "temple")])
def test_a_typo_names_the_close_match(typo, meant):
    with pytest.raises(KeyError) as error:
        photos()[typo]
    assert str(error.value) == f"There is no photograph {typo!r}. Did you mean {meant!r}?"


def test_a_name_like_none_lists_them_all():
    with pytest.raises(KeyError) as error:
        photos()["xyz"]
    assert all(name in str(error.value) for name in NAMES)


# ---- gallery ----

def test_crops_are_parts_of_the_image():
    image = torch.rand(1, 3, 40, 60)
    found = sliding_crops(image, [20], size=20)
    assert found.shape == (3 * 5, 3, 20, 20)
    torch.testing.assert_close(found[0], image[0, :, :20, :20], rtol=0, atol=1e-5)
    torch.testing.assert_close(found[6], image[0, :, 10:30, 10:30], rtol=0, atol=1e-5)


def test_crops_at_several_scales_have_one_size():
    assert sliding_crops(torch.rand(1, 3, 40, 60), (40, 20), size=16).shape == (2 + 15, 3, 16, 16)


def test_no_image_has_no_crops():
    with pytest.raises(ValueError, match="Got no image"):
        sliding_crops([], [20])


def test_crops_of_several_images_are_those_of_each():
    images, sides = [torch.rand(1, 3, 40, 60), torch.rand(1, 3, 25, 70), torch.rand(1, 3, 20, 20)], (20, 11)
    found, origins = sliding_crops(images, sides, size=16), crop_origins(images, sides)
    assert torch.equal(found, torch.cat([sliding_crops(image, sides, size=16) for image in images]))
    assert origins.tolist() == sum(([k] * len(sliding_crops(image, sides)) for k, image in enumerate(images)), [])


@pytest.mark.parametrize("side", [1, 41])
def test_crops_fit_in(side):
    with pytest.raises(ValueError, match=f"a side of {side} pixels for an image of 40 x 60. Try 2 to 40"):
        sliding_crops(torch.rand(1, 3, 40, 60), [side])
    assert len(sliding_crops(torch.rand(1, 3, 3, 4), [2], size=2)) == 2 * 3


def test_tiles_come_row_by_row(tmp_path):
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0]])
    sheet = torch.zeros(1, 3, 8, 12)
    for n, colour in enumerate(colours):
        sheet[0, :, n // 3 * 4:n // 3 * 4 + 4, n % 3 * 4:n % 3 * 4 + 4] = colour[:, None, None]
    to_pil(sheet).save(tmp_path / "sheet.png")
    tiles = load_tiles(tmp_path / "sheet.png", 4)
    assert tiles.shape == (6, 3, 4, 4) and tiles.mean((2, 3)).equal(colours)
    with pytest.raises(ValueError, match="multiples of 5"):
        load_tiles(tmp_path / "sheet.png", 5)
    with pytest.raises(ValueError, match="a sheet of 8 x 12 pixels; expected multiples of 3"):
        load_tiles(tmp_path / "sheet.png", 3)
