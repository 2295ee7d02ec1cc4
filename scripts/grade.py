"""Grade the homework in DIR/submissions, on inputs that no notebook shows: DIR/grades.csv.

Each submission runs in a process of its own, within limits of time and memory. What people grade is
collected in DIR/written; enter its points into DIR/written.csv, and run this again. Submissions
that are graded already are not graded again, unless they are newer.

This runs the students' code with your rights: notebooks/HOMEWORK.md says what to do about it.
"""

import argparse
import ast
import csv
import faulthandler
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook

from helpers.exercises.homework import TEXTS, checks, draw_variant, solutions

RUN = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
MAGIC = re.compile(r"^([ \t]*)[%!].*$", re.M)
CANVAS_COLUMNS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework"]
WRITTEN = TEXTS["written"]


# ---- In the process of one submission ----


def definitions(path):
    """Run a notebook's imports, functions, classes, and constants, as far as they run -> names."""
    names = {}
    for cell in nbformat.read(path, as_version=4).cells:
        nodes = []
        if cell.cell_type == "code":
            with suppress(SyntaxError):
                nodes = ast.parse(MAGIC.sub(r"\1pass", cell.source)).body
        for node in nodes:
            if isinstance(node, RUN) or is_constant(node):
                with suppress(Exception):   # it may need what the notebook has computed
                    exec(compile(ast.Module([node], []), path.name, "exec"), names)
    return names


def is_constant(node):
    """Tell whether a statement assigns something without calling a function."""
    return isinstance(node, (ast.Assign, ast.AnnAssign)) and not calls(node)


def calls(node):
    """Tell whether a node of the syntax tree calls a function; a lambda does so only later."""
    if isinstance(node, ast.Lambda):
        return False
    return isinstance(node, ast.Call) or any(map(calls, ast.iter_child_nodes(node)))


def grade_here(path, seed, key, seconds, gigabytes, out):
    """Grade what is not graded yet: append lines of name, points, and feedback to `out`."""
    limit_time = partial(faulthandler.dump_traceback_later, seconds, exit=True)
    if sys.platform == "linux":
        import resource
        limit = int(gigabytes * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    done = read_grades(out)
    limit_time()
    answers = definitions(path)
    for name, (points, check) in checks(draw_variant(seed), key).items():
        if name in done:
            continue
        append(out, name, 0, "✗ it crashed, or took too long")      # the next line takes it back
        limit_time()
        try:
            found = check(answers.get(name, unanswered))
            append(out, name, points * (found.fraction or 0), found.message.splitlines()[0])
        except Exception as error:
            append(out, name, 0, f"✗ {type(error).__name__}: {error}")


def unanswered():
    ...


def append(out, *line):
    with open(out, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_grades(out):
    """Read the last line of each function -> dict name -> (points, feedback)."""
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    return {name: (points, feedback) for name, points, feedback in map(json.loads, lines)}


# ---- For all submissions ----


def grade(path, folder, seed, args):
    """Grade a submission in as many processes as it takes -> dict name -> (points, feedback)."""
    out = folder / "results" / ("--".join(path.relative_to(folder).parts[1:]) + ".jsonl")
    if out.exists() and out.stat().st_mtime < path.stat().st_mtime:
        out.unlink()
    limits = [args.seconds, args.gigabytes]
    command = [sys.executable, __file__, "--one", path, seed, args.key, *limits, out]
    threads = str(max(1, os.cpu_count() // args.jobs))
    names = list(solutions(draw_variant(seed)))
    found = read_grades(out)
    while len(found) < len(names):
        subprocess.run(list(map(str, command)), cwd=folder / "results", stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env=os.environ | {"OMP_NUM_THREADS": threads})
        before, found = found, read_grades(out)
        if len(found) == len(before):       # not even its first function was reached
            found = dict.fromkeys(names, (0, "✗ not a notebook that runs")) | found
    total = sum(points for points, _ in found.values())
    print(f"{total:4g}  {path.relative_to(folder)}", flush=True)
    return found


def student(submission):
    """Return the name, the number in Canvas, and the login of an author, as far as known."""
    first = re.split(r"[/\\]|\.ipynb$", submission)[0]
    found = re.match(r"([^_]+)_(?:LATE_)?(\d+)_", first)    # as Canvas and Moodle name files
    return (found[1], found[2], "") if found else (first, "", first)


def sections(path):
    """Split a notebook at its headings -> dict heading -> cells; {} if it is none."""
    found = {}
    heading = None
    cells = []
    with suppress(Exception):
        cells = nbformat.read(path, as_version=4).cells
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            heading = cell.source.splitlines()[0]
        found.setdefault(heading, []).append(cell)
    return found


def collect_written(paths, folder):
    """Write a notebook for each written part, with all answers to it, to read in JupyterLab."""
    (folder / "written").mkdir(exist_ok=True)
    answers = {path.relative_to(folder / "submissions"): sections(path) for path in paths}
    for row in WRITTEN:
        cells = []
        for name, found in answers.items():
            cells += [new_markdown_cell(f"# {name}"), *found.get(row["heading"], [])]
        for k, cell in enumerate(cells):
            cell.id = f"cell{k}"            # unique, since students began with the same notebook
        nbformat.write(new_notebook(cells=cells), folder / "written" / f"{row['part']}.ipynb")


def read_written(table, submissions):
    """Return the rows of written.csv: submission, part, most, and the points if people gave any."""
    given = {}
    if table.exists():
        with open(table, newline="", encoding="utf-8-sig") as file:
            for submission, part, _, points in csv.reader(file):
                given[submission, part] = points
    return [[submission, row["part"], row["points"], given.get((submission, row["part"]), "")]
            for submission in submissions for row in WRITTEN]


def write_table(path, columns, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where `homework` wrote")
    parser.add_argument("--jobs", type=int, default=2, help="submissions at the same time")
    parser.add_argument("--key", type=int, default=0, help="draws the inputs; keep it secret")
    parser.add_argument("--seconds", type=float, default=30, help="for each function")
    parser.add_argument("--gigabytes", type=float, default=4, help="for a process, on Linux")
    args = parser.parse_args(argv)
    folder = args.folder.resolve()
    seed = nbformat.read(folder / "homework.ipynb", as_version=4).metadata.homework.seed
    paths = sorted(path for path in folder.glob("submissions/**/*.ipynb")
                   if ".ipynb_checkpoints" not in path.parts)
    (folder / "results").mkdir(exist_ok=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(partial(grade, folder=folder, seed=seed, args=args), paths))
    collect_written(paths, folder)
    submissions = [str(path.relative_to(folder / "submissions")) for path in paths]
    written = read_written(folder / "written.csv", submissions)
    totals = {}
    feedback = []
    for submission, grades in zip(submissions, results):
        feedback += [[submission, function, *grade] for function, grade in grades.items()]
        totals[submission] = sum(points for points, _ in grades.values())
    for submission, *_, points in written:
        totals[submission] += float(points or 0)
    rows = []
    for submission, total in totals.items():
        name, number, login = student(submission)
        rows.append([name, number, "", login, "", f"{total:g}"])
    write_table(folder / "grades.csv", CANVAS_COLUMNS, rows)
    write_table(folder / "feedback.csv", ["submission", "function", "points", "feedback"], feedback)
    write_table(folder / "written.csv", ["submission", "part", "at most", "points"], written)
    missing = sum(points == "" for *_, points in written)
    print(f"{missing} answers in {folder / 'written.csv'} have no points yet.")


if __name__ == "__main__":
    if "--one" in sys.argv:
        path, seed, key, seconds, gigabytes, out = sys.argv[2:]
        grade_here(Path(path), int(seed), int(key), float(seconds), float(gigabytes), Path(out))
    else:
        main()
