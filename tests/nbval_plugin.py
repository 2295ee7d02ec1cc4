"""After a notebook's cells, in the kernel in which nbval ran them, check what it claims, answer its
exercises, rightly and wrongly, and move its widgets. Also start the longest files first, and mark
the quick tests.
"""

import ast
import re
from pathlib import Path

import pytest
from nbval.plugin import IPyNbFile

from helpers.exercises.exercise_cells import exercises
from tests.wrong_answers import WRONG

DRIVE = str(Path(__file__).resolve().with_name("drive.py"))
MAKES_A_WIDGET = re.compile(r"\b(explore|run_button|upload_button|gallery|quiz)\(")
LONGEST = ["03_fun", "02_gradients", "04_summary", "01_activations", "05_problems", "test_browser"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: [*LONGEST, item.path.stem].index(item.path.stem))
    for item in items:
        others = [item.get_closest_marker(name) for name in ("slow", "long", "browser")]
        if item.path.suffix != ".ipynb" and not any(others):
            item.add_marker("quick")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    files = yield
    if not any(isinstance(file, IPyNbFile) for file in files):
        return files
    return [Notebook.from_parent(parent, path=file_path)]


class Notebook(IPyNbFile):
    def collect(self):
        self.cells = list(super().collect())
        yield from self.cells
        claims = Path(__file__).parent / "claims" / f"{self.path.stem}.py"
        for node in ast.parse(claims.read_text(encoding="utf-8")).body if claims.exists() else []:
            yield Claim.from_parent(self, name=ast.unparse(node))
        for exercise in exercises(self.nb):
            yield Solution.from_parent(self, name=f"{exercise.name}: solution", exercise=exercise)
            yield WrongAnswers.from_parent(self, name=f"{exercise.name}: wrong", exercise=exercise)
        yield Widgets.from_parent(self, name="widgets")


class AfterCells(pytest.Item):
    """Code that runs in the notebook's kernel after its cells."""

    def __init__(self, *, exercise=None, **rest):
        super().__init__(**rest)
        self.exercise = exercise

    def setup(self):
        if self.parent.timed_out:
            pytest.xfail("A cell before it has timed out, and failed.")
        assert all(cell.test_outputs is not None for cell in self.parent.cells), "cells did not run"

    def run(self, source):
        """Return what a source prints; an error in it fails the test."""
        outputs = []
        options = dict(store_history=False, allow_stdin=False, stop_on_error=False, timeout=600)
        reply = self.parent.kernel.kc.execute_interactive(
            source, output_hook=outputs.append, **options)["content"]
        if reply["status"] != "ok":
            pytest.fail("\n".join([self.path.name, *reply["traceback"]]), pytrace=False)
        streams = [output["content"] for output in outputs if output["msg_type"] == "stream"]
        return "".join(stream["text"] for stream in streams)

    def answer(self, cell):
        """Run an exercise's cell in a copy of the notebook's names."""
        return self.run(f"exec({cell!r}, dict(globals()))").strip()


class Claim(AfterCells):            # a statement of tests/claims, in a copy of the notebook's names
    def runtest(self):
        self.run(f"exec({self.name!r}, globals().setdefault('_claims', dict(globals())))")


class Solution(AfterCells):
    def runtest(self):
        feedback = self.answer(self.exercise.cell)
        assert feedback.startswith("○ not tried yet"), f"the empty stub: {feedback}"
        assert self.exercise.solution, "no fenced solution in the fold below the cell"
        feedback = self.answer(self.exercise.answered(self.exercise.solution))
        assert feedback.startswith("✓"), f"the solution: {feedback}"


class WrongAnswers(AfterCells):     # each gets its own hint
    def runtest(self):
        found = set()
        for body, hint in WRONG[self.exercise.name]:
            feedback = self.answer(self.exercise.completed(body))
            assert feedback.startswith("✗") and hint in feedback, f"{body}: {feedback}"
            found.add(feedback)
        assert len(found) >= 3, "fewer than three different hints"


class Widgets(AfterCells):          # every control is moved: see drive.py
    def runtest(self):
        displayed = []
        for cell in self.parent.cells:
            models = widget_models(cell)
            makes_one = MAKES_A_WIDGET.search(cell.cell.source)
            assert models or not makes_one, f"cell {cell.cell_num} makes a widget and shows none"
            displayed += [(cell.cell_num, model) for model in models]
        self.run(f"await __import__('runpy').run_path({DRIVE!r})['drive']({displayed!r})")


def widget_models(cell):
    """List the ids of the widgets that a cell displayed."""
    kind = "application/vnd.jupyter.widget-view+json"
    data = [output.get("data", {}) for output in cell.test_outputs]
    return [views[kind]["model_id"] for views in data if kind in views]
