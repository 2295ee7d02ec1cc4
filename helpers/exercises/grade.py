"""Marks submitted notebooks:  python3 run.py grade FILE.ipynb [...] [--csv FILE] [--seconds N] [--seed N]

Each answer runs alone, in a process of its own, against inputs that no notebook shows. One that crashes, does not end or is missing
costs its own points and no others. Prints what each student has reached and why, and writes the points as CSV.

This runs the students' code with your rights. A process of its own protects the other answers, and not the machine: use a container
or a machine that you can do without. The code could read the solutions, fill the memory, write over any file of yours, or write its own
marks (never more than the points there are). Nor is somebody found who looks for the check in memory, or who copies: read what seems odd.
"""

import argparse
import ast
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from helpers.exercises.homework import NOTEBOOKS
from helpers.exercises.stubs import exercises, named_in, stub_in
from helpers.files import whole, write_text

ROOT = NOTEBOOKS.parent


def student_of(path):
    """ada/05_problems.ipynb and ada.ipynb are Ada's: a file that still bears a notebook's own name is its folder's."""
    path = path.resolve()
    return path.parent.name if (NOTEBOOKS / path.name).exists() else path.stem


def sources(path):
    """What stands in the code cells of a submitted notebook, as far as Python can read it."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            try:
                nodes = ast.parse(cell.source).body
            except SyntaxError:
                nodes = []
            yield cell.source, nodes


def defined(node):
    """The names that a statement makes."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    return [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign) else []


def state(path, name):
    """"missing", "unreadable", "not tried", or None: there is an answer of this name."""
    found = "missing"
    for source, nodes in sources(path):
        if not nodes and f"def {name}(" in source:
            found = "unreadable"
        for node in nodes:
            if name in defined(node):
                stub = stub_in(ast.get_source_segment(source, node))
                found = "not tried" if stub and named_in(stub) == name else None
    return found


def namespace(path):
    """Of a submitted notebook, its imports, functions, classes and constants, each if it can be had; and nothing else is run."""
    from helpers.exercises.marking import NAMES, net, robust
    names = {**NAMES, "net": net(), "robust": robust()}
    for _, nodes in sources(path):
        for node in nodes:
            constant = isinstance(node, ast.Assign) and isinstance(node.value, (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Lambda))
            if constant or isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
                try:
                    exec(compile(ast.Module([node], []), path.name, "exec"), names)
                except Exception:       # it may need what the notebook has computed; the answer will tell
                    pass
    return names


def mark(path, name, seed, out):
    """In a process of its own: writes [share, what to say] to a file."""
    from helpers.exercises.marking import MARKED
    try:
        share, says = MARKED[name](namespace(path)[name], seed)
    except BaseException as error:      # whatever a student's code raises, SystemExit too
        share, says = 0.0, f"✗ {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    write_text(out, json.dumps([share, says]))


def marked(path, name, seed, seconds):
    """The same, from outside -> (share of the points, what to say)."""
    problem = state(path, name)
    if problem:
        return 0.0, {"missing": "✗ the cell is missing", "unreadable": "✗ Python can't read the cell", "not tried": "○ not tried"}[problem]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "verdict.json"
        command = [sys.executable, "-m", "helpers.exercises.grade", "--one", name, str(seed), str(out), str(path.resolve())]
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            return 0.0, f"✗ not done after {seconds:.0f} s"
        finally:
            stop(child)
        if not out.is_file():
            return 0.0, f"✗ its process died ({child.returncode})"
        return verdict(out)


def verdict(path):
    """What an answer's process has written -> (share, what to say): an answer could write there too, and whatever it likes."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            share, says = json.loads(file.read(10_000))
        share, says = share or 0.0, "".join(filter(str.isprintable, says.splitlines()[0]))
        return (share, says) if 0 <= share <= 1 else (0.0, f"✗ a share of {share} was reached; the most is 1")
    except Exception as error:
        return 0.0, f"✗ its verdict can't be read ({type(error).__name__})"


def stop(child):
    """Ends a process, and where the system can, all that it has started."""
    try:
        os.killpg(child.pid, signal.SIGKILL) if hasattr(os, "killpg") else child.kill()
    except OSError:
        pass
    child.wait()


def asked():
    """All exercises that are marked, {notebook: [Exercise]}."""
    found = {path.stem: exercises(nbformat.read(path, as_version=4)) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    return {stem: [exercise for exercise in each if exercise.points] for stem, each in found.items()}


def grade(paths, *, seed, seconds, say=print):
    """Points of each student, {student: {exercise: points}}, for the notebooks that came in; says each verdict."""
    table, ours = {}, asked()
    for path in paths:
        try:
            here = {name for _, nodes in sources(path) for node in nodes for name in defined(node)}
        except Exception as error:      # of nbformat, json or the file system
            say(f"{path}: not a notebook that can be read ({type(error).__name__})")
            continue
        stem = max(ours, key=lambda stem: (len(here & {exercise.name for exercise in ours[stem]}), stem == path.stem))
        points = table.setdefault(student_of(path), {})
        say(f"{student_of(path)}, {stem}")
        for exercise in ours[stem]:
            share, says = marked(path, exercise.name, seed, seconds)
            points[exercise.name] = round(share * exercise.points, 1)
            say(f"  {points[exercise.name]:4g} of {exercise.points:2}  {exercise.name:20} {says}")
    return table


def main(args=None):
    parser = argparse.ArgumentParser(prog="run.py grade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.ipynb")
    parser.add_argument("--csv", type=Path, default=Path("grades.csv"), help="where the points are written, grades.csv")
    parser.add_argument("--seconds", type=float, default=300, help="for each answer, 300")
    parser.add_argument("--seed", type=int, default=2026, help="draws the inputs; keep it to yourself, 2026")
    args = parser.parse_args(args)
    missing = [str(path) for path in args.files if not path.is_file()]
    if missing:
        parser.error(f"There is no {', '.join(missing)}.")
    if not args.csv.resolve().parent.is_dir():      # said before all the work, not after it
        parser.error(f"There is no folder {args.csv.parent} to write {args.csv.name} into.")
    print("This runs the code in these files, with your rights: in a container or on a machine that you can do without? (see --help)")
    table = grade(args.files, seed=args.seed, seconds=args.seconds)
    worth = {exercise.name: exercise.points for each in asked().values() for exercise in each}
    columns = [name for name in worth if any(name in points for points in table.values())]
    lines = [["student", "points", "of", *columns]]
    print()
    for student, points in sorted(table.items()):
        reached, of = sum(points.values()), sum(worth[name] for name in points)
        lines.append([student, f"{reached:g}", of, *(f"{points[name]:g}" if name in points else "" for name in columns)])
        print(f"{student:24} {reached:6g} of {of}")
    with whole(args.csv) as beside, open(beside, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    print(f"written to {args.csv}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one, seed, out, path = sys.argv[2:]
        mark(Path(path), one, int(seed), out)
    else:
        main()
