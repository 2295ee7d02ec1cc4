"""Find the exercises of a notebook.

An exercise is a cell whose code ends in `...`, above a fold with its solution, and below a heading:
"### Your turn: occlusion · 15 min · difficulty 2 of 3 · skip it if you have ...".
"""

import ast
import re
from typing import NamedTuple

SOLUTION = re.compile(
    r"<details><summary>Solution</summary>\n\n```python\n(.*?)\n```\n.*?</details>\n*", re.S)
HEADING = re.compile(
    r"^### Your turn: .+? · (\d+ min) · difficulty [123] of 3 · skip it if .+$", re.M)


class Exercise(NamedTuple):
    """Hold what a notebook says about an exercise."""

    cell: str               # the source of its cell
    stub: str               # the part of the cell that the reader completes; it ends in ...
    solution: str | None    # the code in the fold below the cell
    size: str | None        # "15 min"

    @property
    def name(self):
        """Return the name that the stub defines."""
        return re.match(r"(?:def |class )?(\w+)", self.stub)[1]

    def answered(self, answer):
        """Return the source of the cell with an answer instead of its stub."""
        return self.cell.replace(self.stub, answer)

    def completed(self, body):
        """Return the source of the cell with a body instead of the dots."""
        return self.answered(self.stub.removesuffix("...") + body)


def exercises(notebook):
    """List the exercises of a notebook, in order -> [Exercise]."""
    found = []
    above = ""
    for cell, below in zip(notebook.cells, [*notebook.cells[1:], None]):
        if cell.cell_type == "markdown":
            above = cell.source
        elif cell.cell_type == "code" and find_stub(cell.source):
            found.append(read_exercise(cell.source, above, below.source if below else ""))
    return found


def read_exercise(source, above, below):
    """Read an exercise from the source of its cell and the text above and below it."""
    solution = SOLUTION.search(below)
    size = (HEADING.findall(above) or [None])[-1]
    return Exercise(source, find_stub(source), solution and solution[1], size)


def find_stub(source):
    """Return the source of the function, class, or assignment that ends in `...`, or None."""
    if "..." not in source:         # so cells with magic commands need no parsing
        return None
    for node in ast.parse(source).body:
        last = node
        while isinstance(last, (ast.FunctionDef, ast.ClassDef)):
            last = last.body[-1]
        if isinstance(last, (ast.Expr, ast.Assign)) and is_ellipsis(last.value):
            return ast.get_source_segment(source, node)
    return None


def is_ellipsis(node):
    """Tell whether a node of the syntax tree is `...`."""
    return isinstance(node, ast.Constant) and node.value is Ellipsis
