"""Every public function with strange arguments, in other modes and contexts: it answers rightly, or refuses in a sentence."""

import ast
import dataclasses
import inspect
import json
from pathlib import Path

import pytest
import torch

from tests import public, strange
from tests.public import CALLS, EXCEPTIONS, STEPS, TENSORLESS, TRUSTING, Arg, functions

ROOT = Path(__file__).parents[1]


def belongs(name, function):
    """Where a public function is accounted for, in words."""
    if name in CALLS:
        return "CALLS"
    if name in TENSORLESS:
        return "TENSORLESS"
    if inspect.isclass(function) and (issubclass(function, Exception) or dataclasses.is_dataclass(function)):
        return "an error, or what a function gives"
    return "STEPS" if name.rpartition(".")[0] in STEPS else None


def imported():
    """What the notebooks import from the helpers: {"losses.gram_matrix", ...}."""
    found = set()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(line for line in cell["source"] if not line.startswith(("%", "!")))
            for node in ast.walk(ast.parse(source)) if cell["cell_type"] == "code" else ():
                if isinstance(node, ast.ImportFrom) and node.module.startswith("helpers."):
                    found |= {f"{node.module.removeprefix('helpers.')}.{alias.name}" for alias in node.names}
    return found


def test_none_is_forgotten():
    forgotten = [name for name, function in functions().items() if belongs(name, function) is None]
    assert not forgotten, f"no ordinary call in tests/public.py of {forgotten}"
    assert len(functions()) > 200 and not {*CALLS, *TENSORLESS, *TRUSTING} - functions().keys()
    assert {name for name, _, _ in EXCEPTIONS} <= CALLS.keys() and not CALLS.keys() & set(TENSORLESS)


def test_a_new_function_would_be_missed():
    assert belongs("losses.new", lambda x: x) is None and belongs("losses.gram_matrix", None) == "CALLS"


def test_those_without_tensors_have_no_parameter_for_one():
    takes = {name for call in CALLS.values() if call.run is None for name, arg in call.arguments.items()
             if isinstance(arg, Arg) and arg.kind in (*strange.TENSORS, "net", "score")}
    takes -= {"size", "source"}       # a map in grey_where_small, elsewhere a number of pixels; a picture in grow, elsewhere a file
    assert {"x", "images", "maps", "masks", "net", "score", "features", "image"} <= takes
    for name in TENSORLESS:
        function = functions()[name]
        if name not in ("images.Photos", "interact.Line", "interact.errors_in"):     # a dict; a widget; a context with a line of text
            assert not set(inspect.signature(function).parameters) & takes, name


def test_no_notebook_imports_what_only_others_ask():
    steps = {name for name, function in functions().items() if belongs(name, function) == "STEPS"}
    assert "losses.gram_matrix" in imported() and not imported() & {*steps, *TRUSTING}


@pytest.mark.parametrize("name", CALLS)
def test_strange_arguments(name):
    wrong = strange.Tried(name, functions()[name]).everything().wrong
    assert not wrong, "\n".join([f"{name}:", *wrong])


def silent(x):
    return x.mean((1, 2, 3))


def scaling(x):
    return x.mul_(0.5).mean((1, 2, 3))


def seeding(x):
    torch.manual_seed(1)
    return torch.zeros(len(x))


@pytest.mark.parametrize("function, complaint", [
    (silent, "x, not a number: expected to be refused, but it gave"),
    (silent, "x, one channel: expected to be refused, but it gave"),
    (silent, "x, None: expected to be refused, but AttributeError"),
    (scaling, "changed an argument or a global state"),
    (seeding, "changed an argument or a global state"),
])
def test_what_is_wrong_is_found(function, complaint, monkeypatch):
    monkeypatch.setitem(CALLS, "losses.new", public.Call(x=public.pictures()))
    assert complaint in "\n".join(strange.Tried("losses.new", function).everything().wrong)
