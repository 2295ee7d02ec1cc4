import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from helpers.show import (
    chart,
    compare,
    credit,
    crop_boxes,
    dots,
    film,
    gradient_picture,
    grown,
    heat,
    make_grid,
    outline,
    overlay,
    picture_map,
    png,
    show,
)


def pictures_of(page):
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^\"]+)", page.data)]


def test_heat_goes_from_dark_to_bright():
    colours = heat(torch.tensor([[0.0, 1.0, 2.0]]))
    assert colours.shape == (1, 3, 1, 3)
    assert colours[0, :, 0, 0].max() < 0.05 and colours[0, :, 0, 2].mean() > 0.6
    assert torch.equal(heat(torch.tensor([[0.0, 1.0]]), low=0, high=2)[..., 1], heat(torch.tensor([[0.0, 1.0, 2.0]]))[..., 1])


def test_signed_heat_is_white_at_zero_whatever_the_range():
    red_blue = heat(torch.tensor([[-1.0, 0.0, 3.0]]), signed=True)[0, :, 0]
    assert (red_blue[:, 1] > 0.95).all()
    assert red_blue[0, 2] > red_blue[2, 2] and red_blue[2, 0] > red_blue[0, 0]
    assert (heat(torch.tensor([[0.0, 1.0]]), signed=True, high=5)[0, :, 0, 0] > 0.95).all()


def test_a_constant_map_is_no_division_by_zero():
    assert heat(torch.zeros(4, 4)).isfinite().all()


def test_heat_wants_one_map():
    with pytest.raises(ValueError, match=r"expected \(h, w\)"):
        heat(torch.rand(2, 4, 4))


def test_tile_puts_pictures_in_rows():
    sheet = make_grid(torch.stack([torch.full((3, 2, 2), v) for v in (0.0, 0.2, 0.4)]), columns=2, gap=1)
    assert sheet.shape == (1, 3, 5, 5)
    assert sheet[0, 0, :2, :2].eq(0).all() and sheet[0, 0, :2, 3:].eq(0.2).all() and sheet[0, 0, 3:, :2].eq(0.4).all()
    assert sheet[0, 0, 2].eq(1).all() and sheet[0, 0, 3:, 3:].eq(1).all()      # white between, and where nothing is


def test_small_pictures_grow_by_whole_numbers():
    picture = Image.open(io.BytesIO(png(torch.rand(1, 3, 8, 8), width=30)))
    assert picture.size == (32, 32)
    assert picture.getpixel((0, 0)) == picture.getpixel((3, 3))


def test_compare_has_a_picture_a_caption_and_alt_text_for_each():
    x = torch.rand(1, 3, 8, 8)
    page = compare(x, x[0, 0], captions=["a picture", "a map"], alt=["noise", 'dark & "bright"'], credit="by me")
    assert page.data.count("<figcaption") == 2 and 'alt="noise"' in page.data and "by me" in page.data
    assert 'alt="dark &amp; &quot;bright&quot;"' in page.data
    assert f"{x[0, 0].min():.2g} to {x[0, 0].max():.2g}" in page.data           # a map says its range
    shown_pixels = torch.from_numpy(np.array(pictures_of(page)[0].resize((8, 8), Image.NEAREST))).permute(2, 0, 1)
    assert (shown_pixels / 255 - x[0]).abs().max() <= 0.5 / 255 + 1e-6          # and a picture is not rescaled


def test_compare_wants_one_caption_each():
    with pytest.raises(ValueError, match="2 pictures, 1 captions"):
        compare(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8), captions=["one"])


def test_show_refuses_pictures_out_of_range():
    with pytest.raises(ValueError, match=r"expected \[0, 1\]"):
        show(torch.rand(1, 3, 8, 8) * 3, "too bright")


def test_overlay_scales_the_map_to_the_picture():
    assert overlay(torch.rand(1, 3, 32, 48), torch.rand(1, 4, 6)).shape == (1, 3, 32, 48)


def test_chart_closes_its_figure():
    from matplotlib import pyplot
    fig, ax = pyplot.subplots()
    ax.plot([1, 2])
    page = chart(fig, "a line", alt="a rising line")
    assert 'alt="a rising line"' in page.data and not pyplot.fignum_exists(fig.number)


def test_credit_names_the_licence():
    from helpers.images import photos
    assert "CC BY 2.0" in credit(photos()["temple"])


def test_a_map_puts_pictures_where_their_points_are():
    images = torch.stack([torch.full((3, 8, 8), v) for v in (0.1, 0.4, 0.7, 0.9)])
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 0.01]])       # left below, right above, right below, as well
    sheet = picture_map(images, points, cells=3, side=8)[0, 0]
    assert sheet.shape == (24, 24)
    torch.testing.assert_close(sheet[16:, :8], torch.full((8, 8), 0.1))
    torch.testing.assert_close(sheet[:8, 16:], torch.full((8, 8), 0.4))
    torch.testing.assert_close(sheet[16:, 16:], torch.full((8, 8), 0.7))           # the first of two
    assert (sheet[8:16] == 1).all()


def test_a_frame_has_the_colour_of_its_group():
    sheet = picture_map(torch.zeros(2, 3, 8, 8), torch.tensor([[0.0, 0.0], [1.0, 1.0]]), frames=torch.tensor([0, 2]), cells=2, side=8)
    blue, red = sheet[0, :, 8, 0], sheet[0, :, 0, 8]
    assert blue.argmax() == 2 and red.argmax() == 0 and (sheet[0, :, 4, 12] == 0).all()


def test_a_map_wants_a_point_for_each_picture():
    with pytest.raises(ValueError, match=r"expected \(2, 2\)"):
        picture_map(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3))


@pytest.mark.parametrize("box, rows, columns", [
    ((2, 3, 6, 7), slice(0, 4), slice(0, 4)),           # whole
    ((0, 0, 2, 4), slice(2, 4), slice(0, 4)),           # cut above: the grey is above
    ((7, 7, 10, 10), slice(0, 3), slice(0, 3)),         # cut below and on the right
    ((0, 8, 3, 10), slice(1, 4), slice(0, 2)),          # the corner at the top right
])
def test_what_is_cut_has_the_grey_on_the_side_where_it_is_cut(box, rows, columns):
    x, (top, left, bottom, right) = torch.rand(1, 3, 10, 10), box
    part, = crop_boxes(x, torch.tensor([box]), 4)
    assert torch.equal(part[:, rows, columns], x[0, :, top:bottom, left:right])
    part[:, rows, columns] = 0.5
    assert (part == 0.5).all()


def test_a_picture_smaller_than_the_field_stands_in_the_middle():
    x = torch.rand(1, 3, 4, 8)
    part, = crop_boxes(x, torch.tensor([[0, 0, 4, 8]]), 8)
    assert torch.equal(part[:, 2:6], x[0]) and (part[:, :2] == 0.5).all() and (part[:, 6:] == 0.5).all()


def test_quality_saves_bytes():
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert len(show(noise, "noise", width=64, quality=60).data) < len(show(noise, "noise", width=64).data) / 2


def test_a_film_keeps_its_frames_their_order_and_their_pace():
    shades = [torch.full((1, 3, 6, 9), value) for value in (0.0, 0.5, 1.0)]
    page = film(shades, "a film", alt="ever brighter", width=18, rate=10)
    movie, = pictures_of(page)
    assert (movie.format, movie.size, movie.n_frames) == ("WEBP", (18, 12), 3)
    assert 'alt="ever brighter"' in page.data and 'width="18"' in page.data
    found = []
    for k in range(3):
        movie.seek(k)
        movie.load()
        found.append(movie.convert("RGB").getpixel((4, 4))[0])
        assert movie.info["duration"] == 100 and movie.info["loop"] == 0
    assert found == pytest.approx([0, 128, 255], abs=6)


@pytest.mark.parametrize("pictures", [[], [torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5)]])
def test_a_film_wants_pictures_of_one_size(pictures):
    with pytest.raises(ValueError, match="all of one size"):
        film(pictures, "a film", alt="nothing")


@pytest.mark.parametrize("side, width, expected", [(1000, 160, 160), (161, 160, 160), (64, 160, 128), (64, 64, 64), (20, 160, 160)])
def test_pictures_are_about_as_wide_as_asked_for(side, width, expected):
    data = png(torch.rand(1, 3, side // 2, side, generator=torch.Generator().manual_seed(0)), width)
    drawn = Image.open(io.BytesIO(data))
    assert drawn.width == expected and drawn.height == pytest.approx(expected / 2, abs=1)


def test_a_gradient_is_grey_at_zero_and_full_at_its_quantile():
    g = torch.linspace(-1, 1, 3 * 20 * 20).view(1, 3, 20, 20)
    g[0, 0, 0, 0] = -100                # one pixel far stronger than all others
    picture = gradient_picture(torch.cat([g, torch.zeros_like(g)]))
    assert picture.shape == (2, 3, 20, 20) and (picture[1] == 0.5).all()
    assert picture[0].min() == 0 and picture[0].max() > 0.99
    assert torch.allclose(picture[0].flatten()[600], torch.tensor(0.5), atol=1e-2)
    alone = torch.zeros(1, 3, 20, 20)
    alone[0, 0, 3, 3] = 2.0             # less than the quantile leaves out: it is its own scale
    assert gradient_picture(alone)[0, 0, 3, 3] == 1 and gradient_picture(2 * g).equal(gradient_picture(g))


def test_an_outline_follows_the_mask_and_leaves_the_rest():
    image, mask = torch.full((1, 3, 20, 20), 0.5), torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[0, 5:15, 5:20] = True          # it ends at the border of the picture, where there is no line
    drawn = outline(image, mask, colour=(1.0, 0.0, 0.0), width=1)
    assert drawn[0, :, 5, 10].tolist() == [1, 0, 0] and drawn[0, :, 4, 10].tolist() == [0, 0, 0]
    assert (drawn[0, :, 7:13, 7:] == 0.5).all() and (drawn[0, :, :3] == 0.5).all() and (image == 0.5).all()
    assert (outline(image, torch.zeros_like(mask)) == 0.5).all() and (outline(image, torch.ones_like(mask)) == 0.5).all()


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_mask_grows_as_scipys(width):
    mask = torch.rand(30, 41, generator=torch.Generator().manual_seed(0)) > 0.97
    mask[10:20, 30:] = True
    assert np.array_equal(grown(mask, width), ndimage.binary_dilation(mask.numpy(), iterations=width))
    kept = ndimage.binary_erosion(mask.numpy(), iterations=width, border_value=1)
    assert np.array_equal(~grown(~mask, width), kept) and kept.any()


def test_dots_have_the_colour_of_their_kind():
    image, seeds = torch.full((1, 3, 32, 32), 0.5), torch.zeros(1, 32, 32, dtype=torch.int)
    seeds[0, :16], seeds[0, 16:, :16] = 1, -1
    drawn = dots(image, seeds, every=8)
    changed = (drawn != 0.5).any(1)[0]
    assert (drawn[0, 0, :16][changed[:16]] > 0.8).all() and (drawn[0, 2, 16:][changed[16:]] > 0.8).all()
    assert changed[:16].any() and changed[16:, :16].any() and not changed[16:, 16:].any() and changed.float().mean() < 0.2
