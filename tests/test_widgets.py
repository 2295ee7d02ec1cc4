"""That driving a widget finds what is broken in it; the notebooks' own are driven in their kernels, after their cells."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from ipywidgets import VBox
from nbformat.v4 import new_code_cell, new_notebook

from helpers.interact import ask, board, explore, play, upload
from helpers.optimize import descend
from helpers.param import PixelImage
from tests.drive import drive, parts, timed

ROOT = Path(__file__).resolve().parents[1]
BLACK = torch.zeros(1, 3, 4, 4)


def complaints(box):
    try:
        drive([(5, box.model_id)])
    except AssertionError as error:
        return str(error).splitlines()
    return []


def draw(k, name="a"):
    if k == 3:
        raise ValueError("Three & more are too many.")
    return torch.full((1, 3, 4, 4), k / 10), f"{name}, {k}"


def test_what_breaks_at_one_end_is_named():
    assert complaints(explore(draw, name=["a", "b"], k=(0, 3))) == ["cell 5, k = 3 (name = a): ValueError: Three & more are too many."]


def test_what_breaks_later_is_named():
    shades = {"dark": 0, "light": 2}
    box = explore(lambda shade: draw(shades[shade]), shade=list(shades))
    del shades["dark"]      # as a later cell may do, which uses the name for something else
    assert complaints(box) == ["cell 5, shade = dark: KeyError: 'dark'"]


def test_what_depends_on_another_is_moved_at_both_ends_of_it():
    def shade(layer, channel):
        return draw({"low": [0, 1, 2], "high": [0, 1]}[layer][channel], layer)

    good = explore(shade, layer=["low", "high"], channel=lambda layer: (0, 2 if layer == "low" else 1))
    bad = explore(shade, layer=["low", "high"], channel=lambda layer: (0, 2 if layer == "low" else 3))
    assert complaints(good) == []
    assert complaints(bad) == ["cell 5, channel = 3 (layer = high): IndexError: list index out of range"]


def test_a_control_that_changes_nothing_is_named():
    assert complaints(explore(lambda k: draw(0), k=(0, 2))) == ["cell 5, k = 2: nothing changed", "cell 5, k = 0: nothing changed"]


def test_a_picture_that_is_none_is_named():
    box = explore(draw, k=(0, 2))
    (picture,) = parts(box, type(box.children[-1].children[0]))
    picture.observe(lambda change: picture.set_trait("value", b"no picture"), "value")
    assert all("no picture was drawn" in line for line in complaints(box)) and len(complaints(box)) == 2


def climb(steps, name):
    image = PixelImage(torch.full((1, 3, 8, 8), 0.5))
    return descend(image, (lambda x: x.sum()) if name == "a" else (lambda x: x.nothing()), steps=steps)


def test_an_error_while_it_plays_is_named():
    assert complaints(play(climb, steps=(5, 10**9), name=["a", "a"])) == []     # stop ends it
    (found,) = complaints(play(climb, steps=(5, 9), name=["a", "b"]))
    assert found.startswith("cell 5, name = b (steps = 5): AttributeError: ")


def fill(own, k):
    yield draw(k)
    yield (BLACK if own is None else own), "your own"


def test_an_error_on_a_board_is_named():
    assert complaints(board(fill, k=(0, 2))) == []
    assert complaints(board(fill, k=(0, 3))) == ["cell 5, k = 3 (your picture = a picture): ValueError: Three & more are too many."]


def test_an_upload_that_breaks_is_named():
    assert complaints(upload(lambda picture: (picture, "yours"))) == []
    assert complaints(upload(lambda picture: (picture[0, 0, 999], "yours"))) == [
        "cell 5, your picture = a picture: IndexError: index 999 is out of bounds for dimension 2 with size 72",
    ]


def test_a_file_that_is_no_picture_must_be_told():
    box = upload(lambda picture: (picture, "yours"))
    screen = box.children[1]
    screen.text.observe(lambda change: screen.text.set_trait("value", "All is well"), "value")
    assert complaints(box)[0] == "cell 5, your picture = no picture: expected a sentence that says what is wrong, found none"


def test_a_question_is_answered_with_each_of_its_answers():
    box = ask("What?", {"this": "Yes.", "that": "No.", "other": "Not that."}, right="this")
    told = []
    box.children[-1].observe(lambda change: told.append(change.new), "value")
    assert complaints(box) == [] and told == ["✓ Yes.", "✗ No.", "✗ Not that."]


def test_a_picture_without_controls_is_left_alone():
    assert complaints(VBox([])) == []


ILL = {
    "breaks": [
        "from helpers.interact import ask, explore\n\nask('What?', {'this': 'Yes.', 'that': 'No.'}, right='this')",
        "import torch\n\ndef draw(k):\n    return torch.zeros(1, 3, 4, 4), f'{[10, 20, 30][k]}'\n\nexplore(draw, k=(0, 3))",
    ],
    "hides": ["explore = print", "box = explore(1)"],
    "part": ["1 + 1"],
}


def test_pytest_names_the_notebook_the_cell_the_control_and_the_value(tmp_path):
    for name, cells in ILL.items():
        nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), tmp_path / f"{name}.ipynb")
    flags = ["-p", "tests.after_cells", "-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, "--nbval-lax", "--nbval-current-env"]
    asked = [tmp_path / "breaks.ipynb", tmp_path / "hides.ipynb", f"{tmp_path / 'part.ipynb'}::widgets"]
    said = subprocess.run([sys.executable, "-m", "pytest", *flags, *asked], cwd=ROOT, capture_output=True, text=True).stdout
    assert "breaks.ipynb: cell 1, k = 3: IndexError: list index out of range" in said
    assert "hides.ipynb: cell 1 makes a widget and displays none" in said
    assert "part.ipynb: its cells have not run, so ask pytest for the whole notebook" in said
    assert "3 failed, 4 passed" in said or "2 failed, 4 passed, 1 error" in said


def test_every_value_of_a_control_is_timed_for_each_network():
    ranges = {"small": (0, 2), "large": (0, 99)}
    boxes = [explore(lambda picture, network, k: (BLACK, f"{picture} {network} {k}"), picture=["a", "b"], network=list(ranges),
                     k=lambda network: ranges[network]), upload(lambda picture: (picture, "yours"))]
    moves = [move for box in boxes for move in timed(box, 24)]
    assert [move[:2] for move in moves] == [
        ("small", "picture"), *[("small", "k")] * 2, ("large", "network"), ("large", "picture"), *[("large", "k")] * 23]
    assert all(0 < took < 5 for _, _, took in moves) and boxes[0].children[2].value == 0


def test_an_error_is_not_timed():
    with pytest.raises(AssertionError, match=re.escape("k = 3 (name = a): ['<b>ValueError:</b> Three &amp; more")):
        list(timed(explore(draw, name=["a", "b"], k=(0, 3)), 24))
