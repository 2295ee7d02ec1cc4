import io
import threading
import time
from datetime import UTC, datetime

import ipywidgets
import pytest
import torch
from PIL import Image as Pillow

from helpers import interact
from helpers.blind import blind_choice, blind_test
from helpers.interact import ask, board, explore, live, play, upload
from helpers.optimize import descend
from helpers.param import PixelImage
from helpers.show import WIDTH, png

BLACK = torch.zeros(1, 3, 4, 4)


def find(box, kind, name=None):
    """The first widget of a kind in a box, or in a box in it; that of this name, where one is given."""
    for child in box.children:
        if isinstance(child, kind) and name in (None, getattr(child, 'description', None)):
            return child
        found = find(child, kind, name) if isinstance(child, ipywidgets.Box) else None
        if found is not None:
            return found


def picture(box):
    return find(box, ipywidgets.Image)


def says(box):
    return find(box, ipywidgets.HTML).value


def control(box, name):
    return find(box, (ipywidgets.Dropdown, ipywidgets.IntSlider, ipywidgets.FloatSlider), name)


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def chosen(data):
    return ({"name": "mine.png", "type": "image/png", "size": len(data), "last_modified": datetime.now(UTC), "content": memoryview(data)},)


def press(box, name):
    find(box, ipywidgets.Button, name).click()


def choose(box, data):
    find(box, ipywidgets.FileUpload).value = chosen(data)


# ---- controls ----


@pytest.mark.parametrize(
    "spec, low, high, step",
    [
        ((0, 9), 0, 9, 1),
        ((20, 400, 20), 20, 400, 20),
        ((0.0, 1.0), 0, 1, 0.1),
        ((0, 1, 0.25), 0, 1, 0.25),
        ((-6.0, -1.0, 0.5), -6, -1, 0.5),
    ],
)
def test_a_slider_has_its_range_and_whole_numbers_where_all_are_whole(spec, low, high, step):
    seen = []
    slider = control(explore(lambda n: (seen.append(n), (BLACK, "black"))[1], n=spec), "n")
    assert (slider.min, slider.max, slider.step, slider.value) == (low, high, step, low)
    assert type(seen[0]) is (int if all(type(v) is int for v in spec) else float)


def test_a_list_starts_at_its_first_choice():
    box = explore(lambda a, b: (BLACK, f"{a}, {b}"), a=["x", "y"], b=[("one", 1), ("two", 2)])
    assert says(box) == "x, 1"
    control(box, "b").value = 2
    assert says(box) == "x, 2"


def test_what_is_no_control_is_refused():
    with pytest.raises(ValueError, match=r"Got n=\('low', 'high'\); expected a list"):
        explore(lambda n: (BLACK, "black"), n=("low", "high"))


# ---- explore ----


def test_explore_follows_its_controls_and_says_what_it_shows():
    def draw(layer, channel):
        return torch.full((1, 3, 4, 4), channel / 10), f"{layer}, {channel}"

    box = explore(draw, layer=["a", "b"], channel=lambda layer: (0, 3 if layer == "a" else 7))
    layer, channel = control(box, "layer"), control(box, "channel")
    assert says(box) == "a, 0" and channel.max == 3
    before = picture(box).value
    channel.value = 2
    assert says(box) == "a, 2" and picture(box).value != before
    layer.value = "b"
    assert says(box) == "b, 2" and channel.max == 7
    channel.value = 7
    layer.value = "a"
    assert says(box) == "a, 3"  # a control that no longer fits is brought back into its range


def test_a_dependent_range_moves_with_both_its_ends_and_its_step():
    box = explore(lambda a, b: (BLACK, f"{a}, {b}"), a=[0, 10, -10], b=lambda a: (a, a + 5, 1 + abs(a)))
    a, b = control(box, "a"), control(box, "b")
    for value in (10, -10, 10, 0):
        a.value = value
        assert (b.min, b.max, b.step) == (value, value + 5, 1 + abs(value))
        assert b.min <= b.value <= b.max and says(box) == f"{value}, {b.value}"


def test_dependent_choices_follow():
    choices = {"x": ["one", "two"], "y": ["three"]}
    box = explore(lambda a, b: (BLACK, f"{a}, {b}"), a=list(choices), b=lambda a: choices[a])
    control(box, "b").value = "two"
    control(box, "a").value = "y"
    assert control(box, "b").options == ("three",) and says(box) == "y, three"


def test_one_change_draws_once():
    drawn = []
    box = explore(
        lambda a, b, c: (drawn.append((a, b, c)), (BLACK, "black"))[1],
        a=[0, 10],
        b=lambda a: (a, a + 5),
        c=lambda a, b: [f"{a}, {b}"],
    )
    control(box, "a").value = 10
    control(box, "b").value = 12
    assert drawn == [(0, 0, "0, 0"), (10, 10, "10, 10"), (10, 12, "10, 12")]


def test_explore_raises_the_error_of_its_first_draw():
    def draw(k):
        raise KeyError("no such thing")

    with pytest.raises(KeyError, match="no such thing"):  # or a broken cell would pass for a good one
        explore(draw, k=(0, 2))


def test_explore_shows_a_later_error():
    def draw(k):
        if k == 1:
            raise KeyError("no <such> thing")
        return BLACK, "fine"

    box = explore(draw, k=(0, 2))
    control(box, "k").value = 1
    assert "KeyError" in says(box) and "no &lt;such&gt; thing" in says(box)
    control(box, "k").value = 2
    assert says(box) == "fine"


def test_an_error_of_a_dependent_control_is_shown():
    box = explore(lambda a, b: (BLACK, "fine"), a=[0, 1], b=lambda a: {0: [1, 2]}[a])
    control(box, "a").value = 1
    assert "KeyError" in says(box)
    control(box, "a").value = 0
    assert says(box) == "fine"


def test_a_slow_picture_follows_its_slider_when_it_is_let_go(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(interact.time, "monotonic", lambda: clock[0])

    def draw(seconds, k):
        clock[0] += seconds
        return BLACK, "black"

    box = explore(draw, seconds=[0.2, 0.1], k=(0, 5))
    assert not control(box, "k").continuous_update
    control(box, "seconds").value = 0.1
    assert control(box, "k").continuous_update


# ---- live and play ----


def climb(steps, name="a"):
    return descend(PixelImage(torch.full((1, 3, 8, 8), 0.5)), lambda x: x.sum(), steps=steps)


@pytest.fixture
def boxes(monkeypatch):
    """What `live` displays."""
    shown = []
    monkeypatch.setattr(interact, "display", shown.append)
    return shown


def test_live_passes_every_step_on_and_ends_with_the_last(boxes):
    steps = list(live(climb(5), every=1000))
    assert [step.index for step in steps] == [1, 2, 3, 4, 5]
    assert "step 5" in says(boxes[0]) and picture(boxes[0]).value == png(steps[-1].image, 2 * WIDTH, quick=True)


def test_live_keeps_the_picture_when_it_is_interrupted(boxes):
    def steps():
        yield from climb(3)
        raise KeyboardInterrupt

    seen = list(live(steps(), every=1000))
    assert len(seen) == 3 and "step 3" in says(boxes[0])
    assert picture(boxes[0]).value == png(seen[-1].image, 2 * WIDTH, quick=True)


def stopped(box):
    start, stop = (find(box, ipywidgets.Button, name) for name in ("draw", "stop"))
    return stop.disabled and not start.disabled


def test_play_draws_to_the_end():
    box = play(climb, steps=(5, 9), name=["a", "b"])
    assert picture(box).layout.display == "none" and stopped(box)
    press(box, "draw")
    wait_for(lambda: stopped(box))
    assert "step 5" in says(box) and "pictures a second" in says(box)
    assert picture(box).value[1:4] == b"PNG" and picture(box).layout.display is None


def test_stop_keeps_the_picture():
    def endless(steps):
        image = PixelImage(torch.full((1, 3, 8, 8), 0.5))
        while True:
            yield from descend(image, lambda x: (x - 0.1).square().sum(), steps=100)

    box = play(endless, steps=(1, 2))
    press(box, "draw")
    wait_for(lambda: picture(box).value)
    press(box, "stop")
    wait_for(lambda: stopped(box))
    kept, said = picture(box).value, says(box)
    time.sleep(0.1)
    assert picture(box).value == kept and says(box) == said and "step" in said


def test_an_error_while_it_plays_is_shown():
    box = play(lambda steps: climb(-1), steps=(1, 2))
    press(box, "draw")
    wait_for(lambda: "ValueError" in says(box) and stopped(box))


# ---- upload ----


def test_an_uploaded_picture_is_drawn():
    box = upload(lambda image: (image, f"{tuple(image.shape)}"))
    assert "No picture" in says(box)
    choose(box, png(torch.rand(1, 3, 16, 16), 16))
    assert says(box) == "(1, 3, 16, 16)" and picture(box).value[1:4] == b"PNG"


def test_an_upload_that_is_no_picture_says_so():
    box = upload(lambda image: (image, ""))
    choose(box, b"hello")
    assert "ValueError" in says(box)


# ---- the board ----


def greys(own, level):
    yield torch.full((1, 3, 4, 4), level / 10), f"level {level}"
    yield (BLACK if own is None else own), "own" if own is not None else "none"


def captions(box):
    _, _, wall = box.children
    return [tile.children[1].value for tile in wall.children]


def line(box):
    return box.children[1].value


def test_a_board_is_full_when_it_is_shown():
    box = board(greys, level=(2, 9))
    assert captions(box) == ["level 2", "none"] and "Pictures: 2;" in line(box) and line(box).endswith("done")
    assert picture(box).value == png(torch.full((1, 3, 4, 4), 0.2), WIDTH, quick=True)


def test_a_board_follows_its_controls_and_the_readers_picture():
    box = board(greys, level=(2, 9))
    control(box, "level").value = 7
    wait_for(lambda: captions(box)[:1] == ["level 7"] and line(box).endswith("done"))
    choose(box, png(torch.rand(1, 3, 16, 16), 16))
    wait_for(lambda: captions(box) == ["level 7", "own"])


def test_each_picture_appears_as_soon_as_it_is_there_and_a_change_gives_up_the_rest():
    gate, finished = threading.Event(), []

    def fill(own, n):
        yield BLACK, f"first of {n}"
        if n > 0:
            gate.wait(20)
        yield BLACK, f"last of {n}"
        finished.append(n)

    box = board(fill, n=(0, 5))
    control(box, "n").value = 1
    wait_for(lambda: captions(box) == ["first of 1"])  # nothing is left of the board for 0
    wait_for(lambda: "Pictures: 1;" in line(box))
    assert not line(box).endswith("done")
    control(box, "n").value = 2
    wait_for(lambda: captions(box)[:1] == ["first of 2"])
    gate.set()
    wait_for(lambda: captions(box) == ["first of 2", "last of 2"] and line(box).endswith("done"))
    assert 1 not in finished


def test_a_board_shows_an_error():
    def fill(own, n):
        yield BLACK, "fine"
        if n == 1:
            raise KeyError("no <such> thing")

    box = board(fill, n=(0, 2))
    control(box, "n").value = 1
    wait_for(lambda: "no &lt;such&gt; thing" in line(box))
    control(box, "n").value = 0
    wait_for(lambda: line(box).endswith("done"))
    choose(box, b"hello")
    wait_for(lambda: "ValueError" in line(box))


def test_the_first_board_raises_its_error():
    def fill(own, n):
        raise KeyError("no such thing")
        yield

    with pytest.raises(KeyError, match="no such thing"):
        board(fill, n=(0, 2))


# ---- ask ----


def test_a_question_explains_what_was_chosen():
    box = ask("What?", {"this": "Yes, this.", "that": "No, because."}, right="this")
    question, choice, explained = box.children
    assert "What?" in question.value and choice.value is None and explained.value == ""
    choice.value = "that"
    assert explained.value == "✗ No, because."
    choice.value = "this"
    assert explained.value == "✓ Yes, this."
    choice.value = None
    assert explained.value == ""
    with pytest.raises(ValueError, match="expected one of"):
        ask("What?", {"this": "Yes."}, right="that")


def cards():
    return [(torch.full((1, 3, 4, 4), n / 10), name, kind) for n, (name, kind) in enumerate(
        [("cat", "pixels"), ("dog", "waves"), ("fox", "pixels"), ("owl", "waves"), ("bee", "pixels")])]


def test_a_blind_test_counts_by_kind():
    box, shown = blind_test(cards(), choices=3), []
    for _, name, kind in cards():
        shown.append(picture(box).value)
        buttons = box.children[1].children
        offers = [button.description for button in buttons]
        assert len(set(offers)) == 3 and name in offers and kind not in says(box)
        wrong = next(offer for offer in offers if offer != name)
        press(box, name if kind == "pixels" else wrong)
    assert len(set(shown)) == 5 and box.children[1].children == ()
    assert "pixels: 3 of 3 right, by chance 1.0" in says(box) and "waves: 0 of 2 right, by chance 0.7" in says(box)


def test_a_blind_test_does_not_give_the_place_away():
    many = [(BLACK, f"name {n}", "a") for n in range(30)]
    box, places = blind_test(many), []
    for _, name, _ in many:
        offers = [button.description for button in box.children[1].children]
        places.append(offers.index(name))
        press(box, name)
    assert set(places) == {0, 1, 2, 3} and max(map(places.count, range(4))) < 16


def test_a_blind_test_wants_enough_names():
    with pytest.raises(ValueError, match="at least as many names"):
        blind_test(cards()[:2])


# ---- blind_choice ----

def rounds(count=12):
    return [(torch.full((1, 3, 4, 4), 0.5), {"pixels": torch.zeros(1, 3, 4, 4), "waves": torch.ones(1, 3, 4, 4)}) for _ in range(count)]


def test_a_blind_choice_counts_the_kind_that_was_chosen_not_its_side():
    box, sides = blind_choice(rounds(), width=48), set()
    for n in range(12):
        assert f"Round {n + 1} of 12" in says(box) and "pixels" not in says(box)
        row = Pillow.open(io.BytesIO(picture(box).value)).convert("L")
        dark = "left" if row.getpixel((row.width * 30 // 48, 2)) < 50 else "right"        # pixels are the dark ones
        sides.add(dark)
        press(box, dark)
    assert sides == {"left", "right"} and box.children[1].children == ()
    assert "pixels 12, waves 0 of 12" in says(box)


def test_a_blind_choice_keeps_pairs_apart_and_wants_two():
    a, b, c = (torch.full((1, 3, 4, 4), v) for v in (0.1, 0.5, 0.9))
    box = blind_choice([(a, {"x": b, "y": c}), (a, {"x": b, "z": c})])
    press(box, "left"), press(box, "left")
    assert says(box).count(" of 1") == 2
    with pytest.raises(ValueError, match="expected two"):
        blind_choice([(a, {"x": b})])
