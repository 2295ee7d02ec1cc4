"""Print the course's budgets: what there is, and what there may be at most.

NAME is the beginning of a notebook's name. With either option, the notebooks are executed, and
seconds and peak memory printed. `taskset -c 0 python3 run.py budgets --time` takes one core.
"""

import argparse
import os
import re
import subprocess
from pathlib import Path

import nbformat

from notebooks import execute, find

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = {   # cells, words, visible lines of code, seconds on two cores, on one
    "01_activations": (105, 4800, 430, 75, 110),
    "02_gradients": (105, 4800, 430, 100, 150),
    "03_fun": (105, 4800, 430, 150, 220),
    "04_summary": (60, 3000, None, 90, 120),
    "05_problems": (60, None, None, 60, 90),
}
FOLDS = re.compile(r"<details>.*?</details>|"
                   r"^#+ (?:References|Papers|[^\n]*[Cc]redits)$.*?(?=^#|\Z)", re.S | re.M)


def row(name, value, most, unit):
    value = f"{value:,.1f}" if unit == "MB" else f"{value:,.0f}"
    over = "  over" if most and float(value.replace(",", "")) > most else ""
    limit = f"of {most:,}" if most else ""
    print(f"{name:28}{value:>8} {limit:9} {unit}{over}", flush=True)


def count_lines(*patterns):
    """Count the lines of files."""
    paths = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def tree_size():
    """Add up the sizes of the files that git has or would take, in MB."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.split("\0")]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def count_words(notebook):
    """Count the words of the prose, without folds, references, and credits."""
    prose = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return len(FOLDS.sub("", prose).split())


def code_lines(notebook, *, folded):
    """Count the lines of code that are folded, or those that are visible."""
    chosen = [cell for cell in notebook.cells if cell.cell_type == "code"
              and ("fold" in cell.metadata.get("tags", [])) == folded]
    return sum(bool(line.strip()) for cell in chosen for line in cell.source.splitlines())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--time", "--memory", dest="run", action="store_true")
    args = parser.parse_args(argv)
    exercises = count_lines("helpers/exercises/*.py")
    row("helpers without exercises", count_lines("helpers/**/*.py") - exercises, 2800, "lines")
    row("exercises", exercises, 1200, "lines")
    row("scripts", count_lines("scripts/*.py"), 2000, "lines")
    row("run.py", count_lines("run.py"), 80, "lines")
    row("tests", count_lines("tests/**/*.py", "conftest.py"), 5000, "lines")
    row("the tree", tree_size(), 20, "MB")
    one_core = len(getattr(os, "sched_getaffinity", lambda _: "two")(0)) == 1
    for path in find(args.names):
        notebook = nbformat.read(path, as_version=4)
        cells, words, visible, *seconds = NOTEBOOKS.get(path.stem, [None] * 5)
        row(path.stem, len(notebook.cells), cells, "cells")
        row("", count_words(notebook), words, "words")
        row("", code_lines(notebook, folded=False), visible, "visible lines of code")
        row("", code_lines(notebook, folded=True), 200, "folded lines of code")
        row("", path.stat().st_size / 1e6, 2, "MB")
        if args.run:
            took, peak, error = execute(notebook, path)
            row("", took, seconds[one_core], "seconds")
            row("", peak, 1100, "MB of memory" + ", but a cell failed" * bool(error))


if __name__ == "__main__":
    main()
