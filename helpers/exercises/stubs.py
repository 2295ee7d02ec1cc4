"""The exercises of a notebook: cells whose code ends in `...`, below a line that says their size, above a fold with the solution."""

import ast
import re
from typing import NamedTuple

SOLUTION = re.compile(r"<details><summary>Solution</summary>\n\n```python\n(.*?)\n```\n.*?</details>\n*", re.S)
SIZE = re.compile(r"\*\*(Short|Half an hour|Open)(?:, [^*,]+)*?(?:, (\d+) points?)?\.\*\*")


class Exercise(NamedTuple):
    cell: str               # its source
    stub: str               # the part of it that the reader completes; it ends in ...
    solution: str | None    # what stands in the fold below the cell
    size: str | None        # "Short", "Half an hour" or "Open"
    points: int             # 0 where it is not marked

    @property
    def name(self):
        return named_in(self.stub)

    def answered(self, answer):
        """The cell with an answer in the place of its stub."""
        return self.cell.replace(self.stub, answer)

    def completed(self, body):
        """The cell with this in the place of the dots."""
        return self.answered(self.stub.removesuffix("...") + body)


def exercises(notebook):
    """All exercises of a notebook, in their order."""
    found, above = [], ""
    for cell, below in zip(notebook.cells, [*notebook.cells[1:], None]):
        if cell.cell_type == "markdown":
            above = cell.source
        stub = cell.cell_type == "code" and "..." in cell.source and stub_in(cell.source)
        if stub:
            block, size = below and SOLUTION.search(below.source), [*SIZE.finditer(above)]
            found.append(Exercise(cell.source, stub, block and block[1], size and size[-1][1], int(size and size[-1][2] or 0)))
    return found


def stub_in(source):
    """The source of the function, or of the name, that is still `...`; or None."""
    for node in ast.parse(source).body:
        last = node.body[-1] if isinstance(node, ast.FunctionDef) else node
        if isinstance(last, (ast.Expr, ast.Assign)) and isinstance(last.value, ast.Constant) and last.value.value is Ellipsis:
            return ast.get_source_segment(source, node)


def named_in(source):
    """The name that a function or an assignment makes."""
    return re.match(r"(?:def )?(\w+)", source)[1]
