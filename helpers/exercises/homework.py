"""Writes the notebooks for students, with the points of each exercise and without solutions:  python3 run.py homework DIR"""

import argparse
from pathlib import Path

import nbformat

from helpers.exercises.stubs import SOLUTION, exercises
from helpers.files import write_text

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def for_students(notebook):
    """A copy of a notebook in which no solution stands; hints stay."""
    copy = nbformat.from_dict(notebook)
    for cell in copy.cells:
        if cell.cell_type == "markdown":
            cell.source = SOLUTION.sub("", cell.source).strip() or "*Your answer stands above.*"
    return copy


def main(args=None):
    parser = argparse.ArgumentParser(prog="run.py homework", description=__doc__.split(":  ")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder = parser.parse_args(args).folder
    notebooks = {path.name: nbformat.read(path, as_version=4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    texts = {name: nbformat.writes(for_students(notebook)) + "\n" for name, notebook in notebooks.items()}
    # Those that are as they would be written come from a call that was interrupted.
    there = [name for name, text in texts.items() if (folder / name).exists() and (folder / name).read_bytes() != text.encode()]
    if there:
        raise SystemExit(f"{folder} has {', '.join(there)} already, perhaps with somebody's answers: name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, notebook in notebooks.items():
        write_text(folder / name, texts[name])
        found = [exercise for exercise in exercises(notebook) if exercise.points]
        print(f"{folder / name}: {len(found)} exercises, {sum(exercise.points for exercise in found)} points")


if __name__ == "__main__":
    main()
