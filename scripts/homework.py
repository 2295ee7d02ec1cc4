"""Write the notebooks for students, with points and hints, and without solutions."""

import argparse
import sys
from pathlib import Path

import nbformat

from helpers.exercises.exercise_cells import SOLUTION
from notebooks import find


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that does not exist yet")
    args = parser.parse_args(argv)
    if args.folder.exists():
        return f"{args.folder} exists already, perhaps with answers: name another folder."
    args.folder.mkdir(parents=True)
    for path in find([]):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = SOLUTION.sub("", cell.source).strip() or "*Your answer is above.*"
        nbformat.write(notebook, args.folder / path.name)


if __name__ == "__main__":
    sys.exit(main())
