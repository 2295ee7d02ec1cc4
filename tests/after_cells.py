"""A plugin of pytest: after the cells of a notebook, in the kernel in which nbval ran them, its exercises are answered, rightly
and wrongly, and its widgets are driven.

Loaded by the project's conftest.py. All items of a notebook must run in one process, in their order.
"""

import re
from pathlib import Path

import pytest
from nbval.plugin import IPyNbFile

from helpers.exercises.stubs import exercises
from tests.exercises import WRONG

HERE = Path(__file__).resolve().parent
MAKES_A_WIDGET = re.compile(r"\b(explore|play|upload|board|ask)\(")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    files = yield
    return [Notebook.from_parent(parent, path=file_path) if isinstance(file, IPyNbFile) else file for file in files]


class Notebook(IPyNbFile):
    """nbval's cells, and what comes after them."""

    def collect(self):
        self.cells = list(super().collect())
        yield from self.cells
        for exercise in exercises(self.nb):
            yield Solution.from_parent(self, name=f"{exercise.name}: solution", exercise=exercise)
            yield WrongAnswers.from_parent(self, name=f"{exercise.name}: wrong answers", exercise=exercise)
        yield Widgets.from_parent(self, name="widgets")


class AfterCells(pytest.Item):
    """Code that is run in the notebook's kernel after its cells."""

    def setup(self):
        if self.parent.timed_out:
            pytest.xfail("A cell before it has timed out, and failed.")
        if any(cell.test_outputs is None for cell in self.parent.cells):
            pytest.fail(f"{self.path.name}: its cells have not run, so ask pytest for the whole notebook.", pytrace=False)

    def run(self, source):
        """What a source prints; an error in it fails the test."""
        outputs, kernel = [], self.parent.kernel
        if not kernel.is_alive():
            pytest.fail("The notebook's kernel has died.", pytrace=False)
        # Unlike nbval's own way, this reads all messages as they come: a thousand that wait would be too many.
        reply = kernel.kc.execute_interactive(
            source, store_history=False, allow_stdin=False, stop_on_error=False, timeout=600, output_hook=outputs.append
        )["content"]
        printed = "".join(output["content"]["text"] for output in outputs if output["msg_type"] == "stream")
        if reply["status"] != "ok":
            self.add_report_section("call", "kernel", printed)
            told = reply["evalue"] if reply["ename"] == "AssertionError" else "\n".join(reply["traceback"])
            pytest.fail(f"{self.path.name}: {told}", pytrace=False)
        return printed

    def repr_failure(self, excinfo):
        return str(excinfo.value)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: {self.name}"


class Answer(AfterCells):
    """An exercise's cell, its stub replaced, in a copy of the notebook's names."""

    def __init__(self, *, exercise, **rest):
        super().__init__(**rest)
        self.exercise = exercise

    def answer(self, cell):
        return self.run(f"exec({cell!r}, dict(globals()))").strip()


class Solution(Answer):
    def runtest(self):
        if not self.exercise.solution:
            pytest.fail(f"{self.path.name}: {self.exercise.name} has no fenced solution in the fold below it.", pytrace=False)
        said = self.answer(self.exercise.cell)
        assert said.startswith("○ not tried yet"), f"{self.path.name}, {self.exercise.name} as it stands: {said}"
        said = self.answer(self.exercise.answered(self.exercise.solution))
        right = "✓" if self.exercise.size == "Open" else "✓ right"      # an open one has no right answer, but a score
        assert said.startswith(right), f"{self.path.name}, the solution of {self.exercise.name}: {said}"


class WrongAnswers(Answer):
    """Each gets its own hint: at least three for an exercise."""

    def runtest(self):
        name = f"{self.path.name}, {self.exercise.name}"
        said = {body: self.answer(self.exercise.completed(body)) for body, _ in WRONG[self.exercise.name]}
        missed = [f"{body}: expected ✗ ... {hint} ..., found {said[body]}" for body, hint in WRONG[self.exercise.name]
                  if not (said[body].startswith("✗") and hint in said[body])]
        assert not missed, "\n".join([name, *missed])
        assert len(set(said.values())) >= 3, f"{name}: fewer than three different hints"


class Widgets(AfterCells):
    """Every control of every widget that a cell displayed is moved: see drive.py."""

    def runtest(self):
        found = {cell.cell_num: models(cell) for cell in self.parent.cells}
        for cell in self.parent.cells:
            if MAKES_A_WIDGET.search(cell.cell.source) and not found[cell.cell_num]:
                pytest.fail(f"{self.path.name}: cell {cell.cell_num} makes a widget and displays none.", pytrace=False)
        displayed = [(number, model) for number in found for model in found[number]]
        times = self.run(f"__import__('runpy').run_path({str(HERE / 'drive.py')!r})['drive']({displayed!r})")
        self.add_report_section("call", "kernel", times)


def models(cell):
    """The widgets that a cell displayed, by their models' ids."""
    views = [output.get("data", {}).get("application/vnd.jupyter.widget-view+json") for output in cell.test_outputs]
    return [view["model_id"] for view in views if view]
