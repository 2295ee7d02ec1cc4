"""Homework and marks: four made-up students, of whom one crashes, one never ends, and one leaves cells out."""

import csv

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.exercises import grade, homework
from helpers.exercises.marking import MARKED
from helpers.exercises.stubs import SOLUTION, exercises

ALL = {exercise.name: exercise for path in sorted(homework.NOTEBOOKS.glob("*.ipynb"))
       for exercise in exercises(nbformat.read(path, as_version=4)) if exercise.points}
IOU, FGSM, VARIATION = (ALL[name] for name in ("my_iou", "my_fgsm", "my_variation"))


def submission(path, *sources):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def right(exercise):
    return exercise.answered(exercise.solution)


# ---- Homework ----


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("homework") / "class"
    homework.main([str(folder)])
    return folder


def test_every_notebook_is_handed_out_and_no_solution_is(handed_out):
    assert [path.name for path in sorted(handed_out.glob("*"))] == [path.name for path in sorted(homework.NOTEBOOKS.glob("*.ipynb"))]
    for path in handed_out.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        text = "\n".join(cell.source for cell in notebook.cells)
        assert "<summary>Solution" not in text and text.count("<details>") == text.count("</details>")
        assert all(exercise.solution is None for exercise in exercises(notebook))


def test_stubs_points_and_hints_are_handed_out(handed_out):
    for path in handed_out.glob("*.ipynb"):
        ours, theirs = (exercises(nbformat.read(p, as_version=4)) for p in (homework.NOTEBOOKS / path.name, path))
        assert [(e.cell, e.points, e.size) for e in ours] == [(e.cell, e.points, e.size) for e in theirs]
    problems = (handed_out / "05_problems.ipynb").read_text(encoding="utf-8")
    assert problems.count("First hint") == problems.count("Second hint") == 15


def test_answers_are_not_written_over(handed_out):
    answered = handed_out / "03_fun.ipynb"
    handed = answered.read_bytes()
    answered.write_bytes(handed + b"\n")
    try:
        with pytest.raises(SystemExit, match="has 03_fun.ipynb already, perhaps with somebody's answers"):
            homework.main([str(handed_out)])
        assert answered.read_bytes() == handed + b"\n"
    finally:
        answered.write_bytes(handed)


def test_the_text_around_a_solution_stays():
    cell = new_markdown_cell("<details><summary>First hint</summary>\n\nAdd.\n</details>\n\n<details><summary>Solution</summary>\n\n"
                             "```python\nx = 1\n```\n\nSince it is one.\n</details>\n\n---\n## Next")
    source = homework.for_students(new_notebook(cells=[cell])).cells[0].source
    assert source == "<details><summary>First hint</summary>\n\nAdd.\n</details>\n\n---\n## Next"
    assert SOLUTION.search(cell.source)[1] == "x = 1"


# ---- Marks ----


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """(points, what was said) of the four students, and of a file that is no notebook."""
    folder, said = tmp_path_factory.mktemp("class"), []
    crash = FGSM.completed('raise MemoryError("I am full")')
    dies = VARIATION.completed("import os; os._exit(3)")
    endless = FGSM.completed("while True: pass")
    at_top = "def my_variation(x):\n    return half(x) + x.diff(dim=2).square().sum((1, 2, 3))\n\nwhile True: pass"
    paths = [
        submission(folder / "ada.ipynb", "import no_such_package", *map(right, (IOU, FGSM)), "half = lambda x: 0",
                   "def half(x):\n    return x.diff(dim=3).square().sum((1, 2, 3))", at_top),
        submission(folder / "ben/02_gradients.ipynb", right(IOU), crash, dies),
        submission(folder / "eve/02_gradients.ipynb", "this is no Python", endless, right(IOU), VARIATION.cell),
        submission(folder / "tom.ipynb", IOU.completed("return 2 * (a & b).sum((1, 2)) / (a.sum((1, 2)) + b.sum((1, 2)))")),
        folder / "zip.ipynb",
    ]
    paths[-1].write_text("not a notebook")
    table = grade.grade(paths, seed=7, seconds=60, say=said.append)
    return table, "\n".join(said)


def test_each_answer_costs_its_own_points_alone(marks):
    table, said = marks
    assert table == {
        "ada": {"my_iou": 1, "my_fgsm": 1, "my_variation": 1},      # what stands at the top of her cells is not run
        "ben": {"my_iou": 1, "my_fgsm": 0, "my_variation": 0},
        "eve": {"my_iou": 1, "my_fgsm": 0, "my_variation": 0},
        "tom": {"my_iou": 0, "my_fgsm": 0, "my_variation": 0},
    }


@pytest.mark.parametrize("sentence", ["MemoryError: I am full", "its process died (3)", "not done after 60 s", "not tried",
                                      "the cell is missing", "this is the Dice coefficient", "zip.ipynb: not a notebook"])
def test_it_says_why(marks, sentence):
    assert sentence in marks[1]


def test_the_points_are_written_as_csv(tmp_path, capsys):
    paths = [submission(tmp_path / f"{name}.ipynb", IOU.cell) for name in ("ada", "ben")]
    grade.main([*map(str, paths), "--csv", str(tmp_path / "out.csv")])
    rows = list(csv.reader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert rows == [["student", "points", "of", "my_iou", "my_fgsm", "my_variation"], ["ada", "0", "3", "0", "0", "0"],
                    ["ben", "0", "3", "0", "0", "0"]]
    assert "ben                           0 of 3" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_told(tmp_path, capsys):
    with pytest.raises(SystemExit):
        grade.main([str(tmp_path / "nobody.ipynb")])
    assert "nobody.ipynb" in capsys.readouterr().err


def test_everything_that_has_points_can_be_marked():
    assert set(MARKED) == set(ALL)


@pytest.mark.parametrize("name", [name for name, exercise in ALL.items() if exercise.size != "Open" and name != "my_new_style"])
def test_a_solution_gets_all_points_on_fresh_inputs(name, tmp_path):
    """Those of open problems, and the one that trains, take longer; the notebook's own tests run them."""
    stem = next(path for path in sorted(homework.NOTEBOOKS.glob("*.ipynb"))
                if name in {e.name for e in exercises(nbformat.read(path, as_version=4))})
    notebook = nbformat.read(stem, as_version=4)
    for cell in notebook.cells:
        if cell.source == ALL[name].cell:
            cell.source = right(ALL[name])
    path = tmp_path / "ada.ipynb"
    nbformat.write(notebook, path)
    assert grade.state(path, name) is None
    share, says = MARKED[name](grade.namespace(path)[name], 7)
    assert share == 1, says
