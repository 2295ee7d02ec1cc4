"""The exercises as they are written; that the solutions are right and the wrong answers known is asked in the notebooks' kernels."""

import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.exercises.stubs import exercises
from tests.exercises import WRONG

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
ALL = [exercise for notebook in NOTEBOOKS.values() for exercise in exercises(notebook)]


def head(source):
    """What a source defines: the name, and the arguments where it is a function."""
    node = ast.parse(source).body[0]
    return (node.name, ast.unparse(node.args)) if isinstance(node, ast.FunctionDef) else ast.unparse(node.targets[0])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_solution_belongs_to_an_exercise(name):
    folds = sum(cell.source.count("<summary>Solution") for cell in NOTEBOOKS[name].cells)
    assert folds == len(exercises(NOTEBOOKS[name])) > 0


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_a_solution_is_the_whole_answer(exercise):
    assert exercise.solution, "no fenced ```python block in the fold below"
    assert head(exercise.solution) == head(exercise.stub)


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_its_size_is_told(exercise):
    assert exercise.size in ("Short", "Half an hour", "Open"), "no line such as **Short, 5 minutes, 1 point.** above it"
    assert exercise.points in ({"Short": [1], "Half an hour": [0, 5], "Open": [10]}[exercise.size])


def test_there_are_enough_of_each_size():
    sizes = [exercise.size for exercise in ALL]
    assert sizes.count("Short") >= 12 and sizes.count("Half an hour") >= 10 and sizes.count("Open") >= 4


def test_every_exercise_has_three_wrong_answers():
    assert {exercise.name for exercise in ALL} == set(WRONG)
    assert all(len({hint for _, hint in answers}) >= 3 for answers in WRONG.values())


STUB = "def my_iou(a, b):       # twice (b, h, w) ...\n    ...\n\ncheck.iou(my_iou, a, b)"
FOLD = "<details><summary>Solution</summary>\n\n```python\n{}\n```\n\n</details>"
RIGHT = "def my_iou(a, b):\n    return (a & b).sum((1, 2)) / (a | b).sum((1, 2))"


def test_an_answer_takes_the_place_of_the_dots():
    (exercise,) = exercises(new_notebook(cells=[new_code_cell(STUB), new_markdown_cell(FOLD.format(RIGHT))]))
    assert (exercise.name, exercise.solution) == ("my_iou", RIGHT)
    assert exercise.answered(RIGHT) == RIGHT + "\n\ncheck.iou(my_iou, a, b)"
    assert exercise.completed("return a") == "def my_iou(a, b):       # twice (b, h, w) ...\n    return a\n\ncheck.iou(my_iou, a, b)"


def test_a_name_is_an_exercise_too():
    cells = [new_code_cell("answer = ...    # A or B\ncheck.it(answer)"), new_markdown_cell(FOLD.format('answer = "A"'))]
    (exercise,) = exercises(new_notebook(cells=cells))
    assert exercise.name == "answer"
    assert exercise.completed('"B"') == 'answer = "B"    # A or B\ncheck.it(answer)'


CHECKS = """\
class check:
    all_is_right = lambda mine: print("✓ right")
    one_hint_for_all = lambda mine: print("○ not tried yet" if mine.__code__.co_consts == (None,) else "✗ not yet: per cent")
    honest = lambda mine: print("○ not tried yet" if mine is ... else "✓ right" if mine == ("A", 0.1) else f"✗ {HINTS.get(mine)}")
HINTS = {"A": "no evidence", 0.08: "nobody is accused", ("B", 0.96): "that one is honest", ("C", 0.08): "no suspect",
         ("A", 0.24): "no flaw at all", ("A", 8.3): "in per cent"}
class Head:
    accuracy = lambda self, plain, labels: 0.24
heads, plain, labels = {"A": Head()}, None, None
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What pytest says of a small notebook whose exercises are ill."""
    stubs = {"my_iou": "all_is_right", "my_sparsity": "one_hint_for_all", "case": "honest"}
    cells = [new_code_cell(CHECKS)]
    for name, check in stubs.items():
        stub = f"{name} = ..." if name == "case" else f"def {name}(*arguments):\n    ..."
        solution = stub.replace("...", '"A", 0.1') if name == "case" else stub.replace("...", "return 1")
        cells += [new_code_cell(f"{stub}\n\ncheck.{check}({name})"), new_markdown_cell(FOLD.format(solution))]
    cells += [new_code_cell("def my_mass(maps, masks):\n    ..."), new_markdown_cell("No solution here.")]
    path = tmp_path_factory.mktemp("exercises") / "ill.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    flags = ["-p", "tests.after_cells", "-c", ROOT / "pyproject.toml", "--rootdir", path.parent, "--nbval-lax", "--nbval-current-env"]
    return subprocess.run([sys.executable, "-m", "pytest", *flags, "-rA", path], cwd=ROOT, capture_output=True, text=True).stdout


def test_a_solution_that_is_not_right_is_found(report):
    assert "ill.ipynb, the solution of my_sparsity: ✗ not yet: per cent" in report


def test_a_check_that_takes_the_stub_for_an_answer_is_found(report):
    assert "ill.ipynb, my_iou as it stands: ✓ right" in report


def test_a_missing_solution_is_found(report):
    assert "ill.ipynb: my_mass has no fenced solution in the fold below it." in report


def test_a_wrong_answer_that_passes_is_found(report):
    assert "expected ✗ ... Dice ..., found ✓ right" in report


def test_a_check_without_its_hints_is_found(report):
    assert "expected ✗ ... a count ..., found ✗ not yet: per cent" in report


def test_a_good_exercise_passes(report):
    passed = [line.split("::")[1] for line in report.splitlines() if line.startswith("PASSED")]
    assert {"case: solution", "case: wrong answers"} <= set(passed)
