"""Feedback, and the parser of exercises.

Solutions and wrong answers run in the notebooks' kernels.
"""

import ast
from pathlib import Path

import nbformat
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.exercises import checks
from helpers.exercises.exercise_cells import exercises
from helpers.exercises.feedback import (
    NOT_TRIED,
    RIGHT,
    compare,
    prints_feedback,
    require,
    run_check,
)
from tests.wrong_answers import WRONG

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
EXERCISES = [e for path in NOTEBOOKS for e in exercises(nbformat.read(path, as_version=4))]
TARGET = torch.tensor([1.0, 2.0])


def test_right_answers_may_be_tensors_arrays_or_lists():
    for answer in (TARGET, TARGET.numpy(), [1, 2], TARGET + 1e-6, TARGET.clone().requires_grad_()):
        assert compare(lambda answer=answer: answer, (), TARGET) == RIGHT
    nearly = lambda: TARGET + 1e-3
    assert compare(nearly, (), TARGET, tolerance=1e-2) == RIGHT
    assert run_check(compare, nearly, (), TARGET) != RIGHT


def test_wrong_answers_get_their_hint():
    mistakes = [(2 * TARGET, "twice as much"), (3.0, "the sum")]
    for answer, hint in [(2 * TARGET, "twice as much"), (3, "the sum"), (torch.zeros(2), "not yet"),
                         (TARGET[None], "shape is (1, 2); expected (2,)"), ("two", "type str"),
                         (None, "return"), (TARGET / 0, "NaN"), (TARGET.to("meta"), "on meta")]:
        found = run_check(compare, lambda answer=answer: answer, (), TARGET, mistakes)
        assert found.fraction == 0 and found.message.startswith("✗") and hint in found.message


def test_stubs_are_not_tried_yet():
    def raises():
        raise NotImplementedError

    for stub in (raises, lambda: ...):
        assert run_check(compare, stub, (), TARGET) == NOT_TRIED
    assert NOT_TRIED.fraction is None and NOT_TRIED.message == "○ not tried yet"


def test_changing_the_input_in_place_is_found():
    x = torch.tensor([-1.0, 2.0])
    found = run_check(compare, lambda x: x.clamp_(min=0), (x,), x.clamp(min=0))
    assert "in place" in found.message
    assert torch.equal(x, torch.tensor([-1.0, 2.0]))        # the check gave away a copy


def test_cut_gradients_are_found():
    x = torch.rand(4, generator=torch.Generator().manual_seed(0))
    check = lambda mine: run_check(compare, mine, (x,), torch.square, differentiable=True)
    assert check(lambda x: x * x) == RIGHT and not x.requires_grad
    for cut in (lambda x: (x * x).detach(), lambda x: x * x.detach(), lambda x: (x * x).tolist()):
        assert "gradient is cut" in check(cut).message
    assert "gradient" not in check(lambda x: (x ** 3).detach()).message     # the values come first
    root = lambda x: (x * x).sqrt()
    infinite = run_check(compare, root, (0 * x,), torch.relu, differentiable=True)
    assert "NaN or infinite values in the gradient" in infinite.message


def test_a_check_prints_its_feedback_and_returns_it_for_grading(capsys):
    calls = []

    @prints_feedback
    def check(mine):
        calls.append(mine)
        require(mine(2) == 4, "square it")
        return RIGHT

    def stub(x):        # a comment
        ...

    for mine in (stub, lambda x: x * x, lambda x: x + 1):
        check(mine)
    assert capsys.readouterr().out.splitlines() == ["○ not tried yet", "✓ right", "✗ square it"]
    assert len(calls) == 2      # a stub costs nothing
    assert check.feedback(lambda x: x + 1) == (0.0, "✗ square it")


def test_a_right_answer_is_drawn_but_not_by_grading(capsys):
    @prints_feedback(draw=lambda mine, x: print("drawn:", mine(x)))
    def check(mine, x):
        return compare(mine, (x,), x * x)

    check(lambda x: x * x, TARGET)
    check(lambda x: x + 1, TARGET)
    assert check.feedback(lambda x: x * x, TARGET) == RIGHT
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["✓ right", "drawn: tensor([1., 4.])"] and printed[2].startswith("✗")
    assert len(printed) == 3


def test_exercises_are_parsed():
    text = new_markdown_cell(
        "### Your turn: double · 5 min · difficulty 1 of 3 · skip it if you can\nWrite it.")
    stub = new_code_cell("def double(x):      # ...\n    ...\n\ncheck.double(double)")
    fold = new_markdown_cell("<details><summary>Solution</summary>\n\n```python\ndef double(x):\n"
                             "    return 2 * x\n```\n\n</details>")
    notebook = new_notebook(cells=[text, stub, fold, new_code_cell("y = ...  # ?")])
    first, second = exercises(notebook)
    assert (first.name, first.size) == ("double", "5 min")
    assert first.completed("return x") == stub.source.replace("\n    ...", "\n    return x")
    assert first.answered(first.solution).startswith("def double(x):\n    return 2 * x\n\ncheck")
    assert (second.name, second.solution) == ("y", None)
    assert second.completed("1") == "y = 1  # ?"


def test_every_exercise_has_a_solution_wrong_answers_and_a_check():
    assert {exercise.name for exercise in EXERCISES} == set(WRONG)
    assert all(len({hint for _, hint in answers}) >= 3 for answers in WRONG.values())
    for exercise in EXERCISES:
        solution, stub = [ast.parse(s).body[0] for s in (exercise.solution, exercise.stub)]
        assert getattr(solution, "name", None) == getattr(stub, "name", None)
        assert exercise.size


def test_the_end_of_a_class_may_be_the_stub():
    source = ("class GuidedReLU:\n    def backward(ctx, R):\n        f, = ctx.saved_tensors\n"
              "        ...")
    exercise, = exercises(new_notebook(cells=[new_code_cell(source + "\n\ncheck()")]))
    assert (exercise.name, exercise.stub) == ("GuidedReLU", source)
    found = []
    for body in ("...", "return R * (f > 0) * (R > 0)", "R * (f > 0)"):
        names = {"check": lambda: None}
        exec(exercise.completed(body), names)
        found.append(checks.guided_relu.feedback(names["GuidedReLU"]))
    assert found[:2] == [NOT_TRIED, RIGHT] and "return" in found[2].message
