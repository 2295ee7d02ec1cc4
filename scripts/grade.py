"""Grade submitted notebooks on inputs that no notebook shows.

Each answer runs in a process of its own. One that crashes, does not end, or is missing costs its
own points and no others. The points are printed with the feedback, and written as CSV.

This runs the students' code with your rights. It could read the solutions, fill the memory,
overwrite your files, or write its own grade: use a container, and read whatever looks odd.
"""

import argparse
import ast
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from helpers.exercises.exercise_cells import exercises, find_stub
from notebooks import find

RUN = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
CONSTANT = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Lambda)


def statements(path):
    """List (source, node) of the statements in a notebook's code cells that Python can parse."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        try:
            nodes = ast.parse(cell.source).body if cell.cell_type == "code" else []
        except SyntaxError:
            nodes = []
        found += [(ast.get_source_segment(cell.source, node), node) for node in nodes]
    return found


def answers(path):
    """Return the names that a notebook defines, name -> whether more than the stub is there."""
    found = {}
    for source, node in statements(path):
        defines = isinstance(node, (ast.FunctionDef, ast.ClassDef))
        targets = [node] if defines else getattr(node, "targets", [])
        for target in targets:
            name = getattr(target, "name", getattr(target, "id", None))
            found[name] = not find_stub(source)
    return found


def grade_here(path, name, seed):
    """Run a notebook's imports, functions, and constants, as far as they run; grade one answer."""
    from helpers.exercises.grading_inputs import CHECKS, names
    namespace = names()
    for _, node in statements(path):
        if isinstance(node, RUN) or isinstance(getattr(node, "value", None), CONSTANT):
            try:
                exec(compile(ast.Module([node], []), path.name, "exec"), namespace)
            except Exception:       # it may need what the notebook has computed
                pass
    return CHECKS[name](namespace[name], seed)


def grade(path, name, seed, seconds):
    """Grade one answer in a process of its own: the fraction of the points, and the feedback."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "grade.json"
        command = [sys.executable, __file__, "--one", path.resolve(), name, str(seed), out]
        try:
            done = subprocess.run(command, cwd=folder, timeout=seconds, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            fraction, feedback = json.loads(out.read_text(encoding="utf-8"))
        except subprocess.TimeoutExpired:
            return 0.0, f"✗ not done after {seconds:g} s"
        except (OSError, ValueError):       # it wrote nothing: it crashed
            return 0.0, "✗ " + done.stderr.strip().rpartition("\n")[2]
    return min(max(fraction or 0.0, 0.0), 1.0), feedback.splitlines()[0]


def grade_notebook(path, ours, seed, seconds):
    """Grade the exercises of the notebook of ours that fits best: name -> points."""
    there = answers(path)
    best = max(ours, key=lambda graded: sum(exercise.name in there for exercise in graded))
    points = {}
    for exercise in best:
        fraction, feedback = 0.0, "○ not answered"
        if there.get(exercise.name):
            fraction, feedback = grade(path, exercise.name, seed, seconds)
        points[exercise.name] = round(fraction * exercise.points, 1)
        print(f"  {points[exercise.name]:4g} of {exercise.points:2}  {exercise.name:20} {feedback}")
    return points


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.ipynb")
    parser.add_argument("--csv", type=Path, default=Path("grades.csv"))
    parser.add_argument("--seconds", type=float, default=300, help="for each answer")
    parser.add_argument("--seed", type=int, default=2026, help="draws the inputs; keep it secret")
    args = parser.parse_args(argv)
    notebooks = {path.name: nbformat.read(path, as_version=4) for path in find([])}
    ours = [[e for e in exercises(notebook) if e.points] for notebook in notebooks.values()]
    columns = [exercise.name for graded in ours for exercise in graded]
    with open(args.csv, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "points", *columns])
        for path in args.files:     # ada.ipynb and ada/01_activations.ipynb are Ada's
            student = path.resolve().parent.name if path.name in notebooks else path.stem
            print(f"{student}: {path}")
            points = grade_notebook(path, ours, args.seed, args.seconds)
            row = [points.get(name, "") for name in columns]
            writer.writerow([student, sum(points.values()), *row])


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        path, name, seed, out = sys.argv[2:]
        result = grade_here(Path(path), name, int(seed))
        Path(out).write_text(json.dumps(result), encoding="utf-8")
    else:
        main()
