"""The benchmark of how cost grows: its slopes and labels by hand-worked numbers, and its page. Nothing is timed."""

import math
import re
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "benchmarks"


@pytest.fixture(scope="module")
def scaling():
    return run_path(str(FOLDER / "scaling.py"))


def test_slope_is_that_of_the_upper_half(scaling):
    assert scaling["slope"]({1: 9, 10: 7, 100: 2, 1000: 20, 10000: 200}) == pytest.approx(1)
    assert scaling["slope"]({100: 3, 1: 3, 10: 0.03}) == pytest.approx(2)       # in any order


def test_slope_by_least_squares(scaling):
    # Logarithms 0, 2, 2 at 2, 3, 4: (-1 x 0 + 0 x 2 + 1 x 2) / (1 + 0 + 1) = 1.
    assert scaling["slope"]({1: 50, 10: 50, 100: 1, 1000: 100, 10000: 100}) == pytest.approx(1)


def test_one_point_has_no_slope(scaling):
    assert math.isnan(scaling["slope"]({64: 1.0}))


def test_a_row_ends_where_it_would_take_too_long(scaling, monkeypatch):
    there = scaling["measure"].__globals__
    monkeypatch.setitem(there, "median_seconds", lambda job: job())     # a job here says how long it takes
    monkeypatch.setitem(there, "LIMIT", 8)
    rows = scaling["measure"](lambda n: {"short": lambda: 1e-3, "long": lambda: n}, {1: 1, 4: 4, 16: 16})
    assert rows == {"short": {1: 1e-3, 4: 1e-3, 16: 1e-3}, "long": {1: 1, 4: 4}}


@pytest.mark.parametrize("heights, places", [
    ([0.2, 0.8, 0.5], [0.2, 0.8, 0.5]),
    ([0.5, 0.5], [0.45, 0.55]),
    ([1.5, 0.95], [1.0, 0.9]),
    ([-2.0, 0.0], [0.0, 0.1]),
])
def test_labels_are_kept_apart(scaling, heights, places):
    assert np.allclose(scaling["spread"](heights, 0.1), places)


@pytest.mark.parametrize("seconds, words", [(12.345, "12.3 s"), (1, "1.00 s"), (0.5, "500 ms"), (0.00123, "1.23 ms"), (4.5e-5, "45.0 µs")])
def test_durations(scaling, seconds, words):
    assert scaling["duration"](seconds) == words


def test_the_page_has_its_marks_and_pictures():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert page.count("<!-- scaling -->") == page.count("<!-- /scaling -->") == 1
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", page)
    assert len(pictures) == 2 and all(len(alt) > 50 and (FOLDER / name).is_file() for alt, name in pictures)
