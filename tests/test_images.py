"""Loading pictures as a person sees them; crops and resizing by hand."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from sklearn.datasets import load_sample_image

from helpers.images import (
    center_crop,
    check_images,
    load_image,
    load_tiles,
    resize,
    sliding_crops,
    to_pil,
)
from helpers.photos import photos


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    return Image.fromarray(pixels)


def test_path_bytes_file_and_pil_image_give_the_same(tmp_path, picture):
    path = tmp_path / "a picture.png"
    picture.save(path)
    by_hand = torch.from_numpy(np.asarray(picture) / 255).float().permute(2, 0, 1)[None]
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), picture):
        assert torch.allclose(load_image(source), by_hand)


def test_orientation_is_applied(picture):
    exif = Image.Exif()
    exif[274] = 6       # the camera was turned by 90 degrees
    upright = load_image(picture.transpose(Image.Transpose.ROTATE_270))
    assert torch.equal(load_image(encoded(picture, exif=exif)), upright)


def test_transparency_is_on_white(picture):
    picture.putalpha(Image.new("L", picture.size, 0))
    assert load_image(encoded(picture)).min() == 1


def test_sixteen_bit_gray_is_scaled():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    x = load_image(encoded(Image.fromarray(ramp)))
    assert x.shape == (1, 3, 16, 16)
    assert torch.allclose(x[0, 0].flatten(), torch.linspace(0, 1, 256), atol=1 / 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK"])
def test_other_modes_become_rgb(picture, mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    check_images(load_image(encoded(picture.convert(mode), kind)))


def test_a_color_profile_is_applied():
    gray = Image.new("RGB", (4, 4), (128, 128, 128))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert torch.allclose(load_image(encoded(gray, icc_profile=srgb)), load_image(gray), atol=0.01)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    check_images(load_image(encoded(gray, icc_profile=lab)))       # of another kind: ignored


def test_the_longest_side_is_1024():
    assert load_image(Image.new("RGB", (3000, 1500))).shape == (1, 3, 512, 1024)


def test_what_is_not_a_picture_is_a_value_error(picture):
    for source in (b"a letter", "nowhere.png", encoded(picture)[:99]):
        with pytest.raises(ValueError, match="picture"):
            load_image(source)


def test_to_pil_and_back(picture):
    x = load_image(picture)
    assert np.array_equal(np.asarray(to_pil(x)), np.asarray(picture))
    assert np.array_equal(np.asarray(to_pil(x[0])), np.asarray(picture))


def test_center_crop_by_hand():
    x = torch.arange(24.0).view(1, 1, 4, 6).expand(1, 3, 4, 6)
    assert torch.equal(center_crop(x, 64), x[..., 1:5])
    assert torch.equal(center_crop(x, (1, 3)), x[..., 1:3, :])


def test_resize_keeps_a_ramp_and_averages_stripes():
    ramp = torch.linspace(0.1, 0.9, 64).expand(1, 3, 64, 64)
    small = resize(ramp, (16, 32))
    inner = slice(2, -2)
    assert torch.allclose(small[0, 0, 0, inner].diff(), torch.tensor(0.8 / 31.5), atol=1e-3)
    stripes = (torch.arange(64) % 2).float().expand(1, 3, 64, 64)
    assert (resize(stripes, 16)[..., inner, inner] - 0.5).abs().max() < 0.02
    assert resize(stripes.half(), 16).dtype == torch.float16


def test_the_album_is_its_packages_own():
    dahlia = torch.from_numpy(load_sample_image("flower.jpg") / 255).float().permute(2, 0, 1)[None]
    assert torch.equal(photos()["dahlia"].load(), dahlia)
    assert photos()["cat"].load(64).shape == (1, 3, 64, 64)
    for photo in photos().values():
        assert photo.credit
        assert photo.license
        check_images(photo.load())
    with pytest.raises(KeyError, match="espresso"):
        photos()["expresso"]


def test_sliding_crops_are_parts_of_their_image():
    image = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    crops = sliding_crops(image, [8, 4], size=4)
    assert crops.shape == (2 + 15, 3, 4, 4)
    assert torch.allclose(crops[2], image[0, :, :4, :4], atol=1e-6)
    assert torch.allclose(crops[-1], image[0, :, 4:, 8:], atol=1e-6)
    assert torch.allclose(crops[1], resize(image[..., 4:], 4)[0])
    side_by_side = sliding_crops(image, [4], step=1, size=4)
    assert torch.allclose(side_by_side[4], image[0, :, 4:, 4:8], atol=1e-6)


def test_tiles_come_row_by_row(tmp_path):
    tiles = torch.rand(6, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    rows = [torch.cat(list(row), 2) for row in tiles.split(3)]
    to_pil(torch.cat(rows, 1)).save(tmp_path / "tiles.png")
    assert torch.allclose(load_tiles(tmp_path / "tiles.png", 5) / 255, tiles, atol=0.003)


@pytest.mark.parametrize("x", [
    torch.rand(3, 8, 8),                                    # one image without its batch
    torch.rand(1, 1, 8, 8),                                 # gray
    torch.ones(1, 3, 8, 8, dtype=torch.uint8),
    torch.full((1, 3, 8, 8), 255.0),
    torch.full((1, 3, 8, 8), torch.nan),
])
def test_wrong_images_are_refused(x):
    with pytest.raises(ValueError, match="expected"):
        check_images(x)
