"""The homework: its variants, its notebook, and the grading of submissions that misbehave."""

import csv
import inspect
import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import grade
import homework
from helpers.exercises import homework as parts
from helpers.exercises.exercise_cells import exercises

SEED = 2026
DEPENDS = {"rule": ["MyReLU"], "colors": ["my_saliency", "my_smooth_grad"],
           "smooth": ["my_smooth_grad"], "penalty": ["my_ascent"], "step": ["my_ascent"],
           "ball": ["my_pgd"], "goal": ["my_pgd"], "statistic": ["my_statistic"],
           "error": ["my_style_loss"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("homework")
    homework.main([str(folder), "--seed", str(SEED)])
    return folder


def test_each_option_is_drawn_and_has_a_solution():
    variants = [parts.draw_variant(seed) for seed in range(60)]
    for question, options in parts.OPTIONS.items():
        assert {variant[question] for variant in variants} == set(options)
    shared = [len(set(a.items()) & set(b.items())) for a, b in zip(variants, variants[1:])]
    assert sum(shared) / len(shared) < 0.25 * len(parts.OPTIONS)


@pytest.mark.parametrize("seed", [2026, 2028, 2029])     # with each kind of norm
def test_our_solutions_are_right_and_those_of_another_variant_are_not(seed):
    variant = parts.draw_variant(seed)
    checks = parts.checks(variant, key=seed)
    assert sum(points for points, _ in checks.values()) == 52
    grades = lambda variant: {name: check(parts.solutions(variant)[name])
                              for name, (_, check) in checks.items()}
    assert {found.fraction for found in grades(variant).values()} == {1}
    for question, names in DEPENDS.items():
        other = next(option for option in parts.OPTIONS[question] if option != variant[question])
        wrong = {name: found.message for name, found in grades(variant | {question: other}).items()
                 if found.fraction == 0}
        assert set(wrong) == set(names)
        assert all("another homework" in message for message in wrong.values())


def test_the_points_add_up_to_100():
    written = sum(row["points"] for row in grade.WRITTEN)
    graded = sum(points for points, _ in parts.checks(parts.draw_variant(SEED), 0).values())
    assert written + graded == 100


def test_the_notebook_has_stubs_and_expected_output(folder):
    notebook = nbformat.read(folder / "homework.ipynb", as_version=4)
    found = exercises(notebook)
    assert {exercise.name for exercise in found} == set(parts.solutions(parts.draw_variant(SEED)))
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "<<" not in text + (folder / "rubric.md").read_text(encoding="utf-8")
    assert text.count("# expected: ") == len(found)
    assert {row["heading"] for row in grade.WRITTEN} <= set(text.splitlines())
    assert "exists" in homework.main([str(folder), "--seed", "1"])      # perhaps with answers


def submission(folder, name, *sources):
    """Write a notebook with these cells of code."""
    path = folder / "submissions" / name
    path.parent.mkdir(exist_ok=True)
    report = [new_markdown_cell("## 8. The detective's report"), new_markdown_cell("It was B.")]
    cells = [*map(new_code_cell, sources), *report]
    nbformat.write(new_notebook(cells=cells), path)


@pytest.mark.long
def test_a_bad_submission_costs_its_own_points_alone(folder):
    right = ("from helpers.losses import gram_matrix\n"
             + inspect.getsource(parts.covariance).replace("covariance(", "my_statistic("))
    assert parts.draw_variant(SEED)["statistic"] == "covariance"
    waits = "def my_saliency(score, x):\n    import time; time.sleep(1000)"
    ends = "def my_smooth_grad(score, x, noise, batch):\n    import os; os._exit(0)"
    fills = "def my_norm(x, alpha):\n    return torch.ones(int(2e9))"
    submission(folder, "lovelaceada_LATE_12_345_homework.ipynb", "1 / 0", "no Python", right)
    submission(folder, "Alan Turing_9_assignsubmission_file/x.ipynb", waits, ends, fills, right)
    (folder / "submissions/grace.ipynb").write_text("not a notebook")
    options = [str(folder), "--jobs", "3", "--seconds", "10"]
    grade.main(options)

    def read(name):
        with open(folder / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    rows = {row["Student"]: row for row in read("grades.csv")}
    assert {name: float(row["Homework"]) for name, row in rows.items()} == {
        "lovelaceada": 4, "Alan Turing": 4, "grace": 0}
    assert list(rows["grace"]) == grade.CANVAS_COLUMNS
    assert (rows["lovelaceada"]["ID"], rows["grace"]["SIS Login ID"]) == ("12", "grace")
    page = (folder / "written/8. Report.ipynb").read_text(encoding="utf-8")
    assert page.count("It was B.") == 2

    written = read("written.csv")
    written[0]["points"] = "2.5"
    with open(folder / "written.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, written[0])
        writer.writeheader()
        writer.writerows(written)
    submission(folder, "grace.ipynb", right)
    os.utime(folder / "submissions/grace.ipynb", (2e9, 2e9))
    before = (folder / "feedback.csv").read_text(encoding="utf-8")
    grade.main(options)         # grades grace's new notebook, and no other
    assert sum(float(row["Homework"]) for row in read("grades.csv")) == 14.5
    assert "took too long" in before and read("written.csv")[0]["points"] == "2.5"
