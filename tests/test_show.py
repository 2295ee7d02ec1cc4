import base64
import io
import re
import threading
import time
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import show as shown
from helpers.interact import ask, board, explore, live, play, upload
from helpers.optimize import descend
from helpers.param import PixelImage
from helpers.show import chart, compare, credit, crop_boxes, film, heat, make_grid, overlay, picture_map, png, show


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


# ---- controls ----

def test_explore_follows_its_controls_and_says_what_it_shows():
    def draw(layer, channel):
        return torch.full((1, 3, 4, 4), channel / 10), f"{layer}, {channel}"
    box = explore(draw, layer=["a", "b"], channel=lambda layer: (0, 3 if layer == "a" else 7))
    layer, channel, picture, text = box.children
    assert text.value == "a, 0" and channel.max == 3
    before = picture.value
    channel.value = 2
    assert text.value == "a, 2" and picture.value != before
    layer.value = "b"
    assert text.value == "b, 2" and channel.max == 7
    channel.value = 7
    layer.value = "a"
    assert text.value == "a, 3"             # a control that no longer fits is brought back into its range


def test_explore_shows_the_error_of_a_failing_callback():
    def draw(k):
        if k == 1:
            raise KeyError("no <such> thing")
        return torch.zeros(1, 3, 4, 4), "fine"
    box = explore(draw, k=(0, 2))
    k, picture, text = box.children
    k.value = 1
    assert "KeyError" in text.value and "no &lt;such&gt; thing" in text.value
    k.value = 2
    assert text.value == "fine"


def test_live_passes_every_step_on_and_ends_with_the_last(monkeypatch):
    boxes = []
    monkeypatch.setattr("IPython.display.display", boxes.append)
    steps = list(live(descend(PixelImage(torch.full((1, 3, 8, 8), 0.5)), lambda x: x.sum(), steps=5), every=1000))
    assert [step.index for step in steps] == [1, 2, 3, 4, 5]
    picture, text = boxes[0].children
    assert "step 5" in text.value and picture.value == png(steps[-1].image, 2 * shown.WIDTH, quick=True)


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
    sheet = picture_map(torch.zeros(2, 3, 8, 8), torch.tensor([[0.0, 0.0], [1.0, 1.0]]), frames=torch.tensor([0, 3]), cells=2, side=8)
    blue, red = sheet[0, :, 8, 0], sheet[0, :, 0, 8]
    assert blue.argmax() == 2 and red.argmax() == 0 and (sheet[0, :, 4, 12] == 0).all()


def test_a_map_wants_a_point_for_each_picture():
    with pytest.raises(ValueError, match=r"expected \(2, 2\)"):
        picture_map(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3))


def test_what_is_cut_lies_on_grey():
    x = torch.rand(2, 3, 10, 10)
    parts = crop_boxes(x, torch.tensor([[2, 3, 6, 7], [0, 0, 2, 4]]), 4)
    assert torch.equal(parts[0], x[0, :, 2:6, 3:7])
    assert torch.equal(parts[1, :, 1:3], x[1, :, :2, :4]) and (parts[1, :, [0, 3]] == 0.5).all()


def chosen(data):
    return ({"name": "mine.png", "type": "image/png", "size": len(data), "last_modified": datetime.now(UTC), "content": memoryview(data)},)


def test_an_uploaded_picture_is_drawn():
    box = upload(lambda image: (image, f"{tuple(image.shape)}"))
    box.children[0].value = chosen(png(torch.rand(1, 3, 16, 16), 16))
    assert box.children[2].value == "(1, 3, 16, 16)" and box.children[1].value[1:4] == b"PNG"


def test_an_upload_that_is_no_picture_says_so():
    box = upload(lambda image: (image, ""))
    box.children[0].value = chosen(b"hello")
    assert "ValueError" in box.children[2].value


def test_live_keeps_the_picture_when_it_is_interrupted(monkeypatch):
    def steps():
        yield from descend(PixelImage(torch.full((1, 3, 8, 8), 0.5)), lambda x: x.sum(), steps=3)
        raise KeyboardInterrupt

    boxes = []
    monkeypatch.setattr("IPython.display.display", boxes.append)
    seen = list(live(steps(), every=1000))
    assert len(seen) == 3 and "step 3" in boxes[0].children[1].value
    assert boxes[0].children[0].value == png(seen[-1].image, 2 * shown.WIDTH, quick=True)


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def climb(steps, name="a"):
    return descend(PixelImage(torch.full((1, 3, 8, 8), 0.5)), lambda x: x.sum(), steps=steps)


def test_play_draws_to_the_end():
    box = play(climb, steps=(5, 9), name=["a", "b"])
    *_, buttons, picture, text = box.children
    start, stop = buttons.children
    assert picture.layout.display == "none" and stop.disabled
    start.click()
    wait_for(lambda: stop.disabled and not start.disabled)
    assert "step 5" in text.value and "pictures a second" in text.value and picture.value[1:4] == b"PNG" and picture.layout.display is None


def test_stop_keeps_the_picture():
    def endless(steps):
        image = PixelImage(torch.full((1, 3, 8, 8), 0.5))
        while True:
            yield from descend(image, lambda x: (x - 0.1).square().sum(), steps=100)

    box = play(endless, steps=(1, 2))
    *_, buttons, picture, text = box.children
    start, stop = buttons.children
    start.click()
    wait_for(lambda: picture.value)
    stop.click()
    wait_for(lambda: stop.disabled)
    kept, said = picture.value, text.value
    time.sleep(0.1)
    assert picture.value == kept and text.value == said and "step" in said and not start.disabled


def test_an_error_while_it_plays_is_shown():
    box = play(lambda steps: climb(-1), steps=(1, 2))
    *_, buttons, _, text = box.children
    buttons.children[0].click()
    wait_for(lambda: "ValueError" in text.value and buttons.children[1].disabled)


def test_quality_saves_bytes():
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert len(show(noise, "noise", width=64, quality=60).data) < len(show(noise, "noise", width=64).data) / 2


@pytest.mark.parametrize("spec, kind", [((0, 9), int), ((20, 400, 20), int), ((0.0, 1.0, 0.1), float), ((0, 1, 0.25), float)])
def test_a_slider_of_whole_numbers_gives_whole_numbers(spec, kind):
    seen = []
    explore(lambda n: (seen.append(n), (torch.zeros(1, 3, 4, 4), ""))[1], n=spec)
    assert type(seen[0]) is kind


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


# ---- the board ----

def parts(box):
    controls, text, wall = box.children
    return controls.children, text, wall


def greys(own, level):
    yield torch.full((1, 3, 4, 4), level / 10), f"level {level}"
    yield (torch.zeros(1, 3, 4, 4) if own is None else own), "own" if own is not None else "none"


def captions(wall):
    return [tile.children[1].value for tile in wall.children]


def test_a_board_is_full_when_it_is_shown():
    _, text, wall = parts(board(greys, level=(2, 9)))
    assert captions(wall) == ["level 2", "none"] and "Pictures: 2;" in text.value and text.value.endswith("done")
    assert wall.children[0].children[0].value == png(torch.full((1, 3, 4, 4), 0.2), shown.WIDTH, quick=True)


def test_a_board_follows_its_controls_and_the_readers_picture():
    (level, button), text, wall = parts(board(greys, level=(2, 9)))
    level.value = 7
    wait_for(lambda: captions(wall)[:1] == ["level 7"] and text.value.endswith("done"))
    button.value = chosen(png(torch.rand(1, 3, 16, 16), 16))
    wait_for(lambda: captions(wall) == ["level 7", "own"])


def test_each_picture_appears_as_soon_as_it_is_there_and_a_change_gives_up_the_rest():
    gate, finished = threading.Event(), []

    def fill(own, n):
        yield torch.zeros(1, 3, 4, 4), f"first of {n}"
        if n > 0:
            gate.wait(20)
        yield torch.zeros(1, 3, 4, 4), f"last of {n}"
        finished.append(n)

    (n, _), text, wall = parts(board(fill, n=(0, 5)))
    n.value = 1
    wait_for(lambda: captions(wall) == ["first of 1"])                   # nothing is left of the board for 0
    assert "Pictures: 1;" in text.value and not text.value.endswith("done")
    n.value = 2
    wait_for(lambda: captions(wall)[:1] == ["first of 2"])
    gate.set()
    wait_for(lambda: captions(wall) == ["first of 2", "last of 2"] and text.value.endswith("done"))
    assert 1 not in finished


def test_a_board_shows_an_error():
    def fill(own, n):
        yield torch.zeros(1, 3, 4, 4), "fine"
        if n == 1:
            raise KeyError("no <such> thing")
    (n, button), text, wall = parts(board(fill, n=(0, 2)))
    n.value = 1
    wait_for(lambda: "no &lt;such&gt; thing" in text.value)
    n.value = 0
    wait_for(lambda: text.value.endswith("done"))
    button.value = chosen(b"hello")
    wait_for(lambda: "ValueError" in text.value)


def test_the_first_board_raises_its_error():
    def fill(own, n):
        raise KeyError("no such thing")
        yield
    with pytest.raises(KeyError, match="no such thing"):      # or a broken cell would pass for a good one
        board(fill, n=(0, 2))


def test_a_question_explains_what_was_chosen():
    box = ask("What?", {"this": "Yes, this.", "that": "No, because."}, right="this")
    question, choice, says = box.children
    assert "What?" in question.value and choice.value is None and says.value == ""
    choice.value = "that"
    assert says.value == "✗ No, because."
    choice.value = "this"
    assert says.value == "✓ Yes, this."
    choice.value = None
    assert says.value == ""
    with pytest.raises(ValueError, match="expected one of"):
        ask("What?", {"this": "Yes."}, right="that")


@pytest.mark.parametrize("side, width, expected", [(1000, 160, 160), (161, 160, 160), (64, 160, 128), (64, 64, 64), (20, 160, 160)])
def test_pictures_are_about_as_wide_as_asked_for(side, width, expected):
    data = png(torch.rand(1, 3, side // 2, side, generator=torch.Generator().manual_seed(0)), width)
    drawn = Image.open(io.BytesIO(data))
    assert drawn.width == expected and drawn.height == pytest.approx(expected / 2, abs=1)
