"""The benchmarks: slopes, ratios and labels by hand-worked numbers, and the page of what they found. Nothing is timed."""

import importlib
import math
import re
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import torch

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


# ---- Beside peers ----


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))        # as where a script is run from
    return run_path(str(FOLDER / "peers.py")), importlib.import_module("races.race")


def test_a_row_says_how_many_times_as_long(peers):
    table, race = peers
    row = race.Race("work", None, {"slow": None, "fast": None, "alike": None}, {"slow": 1.5}, bare=lambda: None, half=lambda: None)
    times = {"ours": [1.0, 2.0, 3.0], "slow": [2.0, 4.0, 6.0], "fast": [0.5, 1.0, 1.5], "alike": [0.99, 1.98, 2.97],
             "bare": [0.5, 1.6, 3.0], "bf16": [0.5, 0.8, 0.9]}
    row.run = lambda: (times, {"slow": "as good", "bf16": "off by 1%"})
    lines, faster = table["rows"](row)
    assert lines[0] == ("work", "2000.0", "slow: as good", "2.00 (2.00 to 2.00)", "✓ 1.5", "1.25", "2.50; off by 1%")
    assert lines[1] == ("", "", "fast", "0.50 (0.50 to 0.50)", "✗ 1", "", "")
    assert lines[2][3:5] == ("0.99 (0.99 to 0.99)", "✓ 1")
    assert faster == ["work: fast is faster"]       # one hundredth is noise


def test_what_runs_in_turns_begins_in_turns(peers):
    began = []
    run = {name: lambda name=name: began.append(name) or 1 for name in ("ours", "a", "b")}
    row = peers[1].Race("work", run["ours"], {"a": run["a"], "b": run["b"]}, same=lambda ours, theirs: f"{ours} {theirs}")
    times, notes = row.run()
    rounds = [began[n:n + 3] for n in range(0, len(began), 3)]
    assert rounds[0] == ["ours", "a", "b"] and all(sorted(names) == ["a", "b", "ours"] for names in rounds)
    assert {names[0] for names in rounds} == {"ours", "a", "b"}
    assert notes == {"a": "1 1", "b": "1 1", "bf16": ""} and {len(row) for row in times.values()} == {25}


def test_another_result_is_no_peer(peers):
    one, two = torch.zeros(3), torch.tensor([0, 0, 0.1])
    with pytest.raises(AssertionError, match="work: the result of theirs is another"):
        peers[1].Race("work", lambda: one, {"theirs": lambda: two}).run()
    assert peers[1].Race("work", lambda: one, {"theirs": lambda: two}, same={"theirs": lambda a, b: None}).run()


def test_some_rows_take_the_place_of_theirs(peers):
    page = "text\n<!-- peers -->\nmachine\n\n| work | ours, ms |\n|---|---|\n| a | 1 |\n|  | 2 |\n| b | 3 |\n<!-- /peers -->\n| end |\n"
    new = "machine\n\n| work | ours, ms |\n|---|---|\n| a | 5 |\n| c | 6 |\n|  | 7 |"
    assert peers[0]["merged"](page, new) == (
        "machine\n\n| work | ours, ms |\n|---|---|\n| a | 5 |\n| b | 3 |\n| c | 6 |\n|  | 7 |")
    with pytest.raises(ValueError, match="another machine"):
        peers[0]["merged"](page.replace("machine", "other"), new)


@pytest.mark.parametrize("page, marks", [("README.md", ["peers", "waiting", "scaling"]), ("../../README.md", ["peers", "binder"])])
def test_the_runs_have_written_their_tables(page, marks):
    text = (FOLDER / page).read_text(encoding="utf-8")
    for mark in marks:
        found = re.findall(f"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", text, re.S)
        assert len(found) == 1 and found[0].count("\n|") >= 5, mark


def test_the_page_has_its_pictures():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", page)
    assert len(pictures) == 2 and all(len(alt) > 50 and (FOLDER / name).is_file() for alt, name in pictures)
