"""How long a learner waits: `run.py bench waiting [01 02 ...] [--write]`.

From the start of a fresh kernel to a notebook's first picture; then, after all its cells, from the move of a control to the picture that
follows it. With --write both tables go into README.md beside this file. What is measured comes from files that the system has read before;
the first start after the computer's own takes longer.
"""

import argparse
import json
import re
import time
from importlib.metadata import version
from itertools import groupby, pairwise
from math import ceil
from operator import itemgetter
from os import cpu_count, environ
from pathlib import Path
from statistics import median

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from helpers.recipes.marks import write_between
from helpers.recipes.notebooks import displayed, first_picture, imports_of

ROOT = Path(__file__).resolve().parents[2]
DRIVE, PAGE = ROOT / "tests" / "drive.py", Path(__file__).with_name("README.md")
FIRST = 6           # seconds to the first picture, the target
MAP, OCCLUSION = 150, 1000      # milliseconds from a move to its picture in 95 of 100 moves, the targets
TARGETS = {("01", "draw_occlusion"): OCCLUSION, ("04", "look"): OCCLUSION, ("04", "look_through"): OCCLUSION,
           ("02", "deceive"): None, ("02", "weigh"): None, ("03", "regrow"): None}      # the last three draw by many steps: no target


def client_of(notebook, path):
    place, quiet = {"metadata": {"path": str(path.parent)}}, ["--log-level=ERROR"]
    return NotebookClient(notebook, timeout=3600, startup_timeout=120, resources=place, extra_arguments=quiet)


def start(path):
    """Seconds that the kernel, torch, all other imports and the rest take until the first picture, in a fresh kernel."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells[:first_picture(notebook) + 1] if cell.cell_type == "code"]
    notebook.cells = [new_code_cell("import torch"), new_code_cell(imports_of(cells)), *cells]      # so that imports are timed apart
    client, ends = client_of(notebook, path), [time.perf_counter()]
    with client.setup_kernel():
        ends.append(time.perf_counter())
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
            ends.append(time.perf_counter())
    kernel, torch, imports, *rest = (end - begin for begin, end in pairwise(ends))
    return kernel, torch, imports, sum(rest)


def starts(paths, repeats=3):
    """Lines of a table, one for each notebook."""
    yield from heading("notebook", "first picture, s", "target", "kernel", "torch", "other imports", "the rest", "in code cell")
    for path in paths:
        runs = [start(path) for _ in range(repeats)]
        totals, parts = sorted(map(sum, runs)), [f"{median(part):.1f}" for part in zip(*runs, strict=True)]
        notebook = nbformat.read(path, as_version=4)
        cell = sum(cell.cell_type == "code" for cell in notebook.cells[:first_picture(notebook) + 1])
        took = f"{median(totals):.1f} ({totals[0]:.1f} to {totals[-1]:.1f})"
        yield line(path.stem, took, met(median(totals), FIRST, "s"), *parts, cell)


def widgets(paths):
    """Lines of a table, one for each widget whose picture follows its controls, and network in it."""
    yield from heading("widget", "network", "moves", "median, ms", "95th percentile", "target", "slowest control")
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        found = move_all(notebook, path)
        for (cell, network), moves in groupby(found, itemgetter(0, 1)):
            moves = [(control, 1000 * seconds) for _, _, control, seconds in moves]
            took, name = [ms for _, ms in moves], re.search(r"explore\((\w+)", notebook.cells[cell].source)[1]
            each = {control: late([ms for c, ms in moves if c == control]) for control, _ in moves}
            slow = max(each, key=each.get)
            target = TARGETS.get((path.stem[:2], name), MAP)
            yield line(f"{path.stem[:2]}, {title(notebook, cell)}: `{name}`", network, len(moves), f"{median(took):.0f}",
                       f"{late(took):.0f}", met(late(took), target, "ms") if target else "", f"{slow}, {each[slow]:.0f}")


def move_all(notebook, path):
    """Runs a notebook and moves its widgets: [[cell, network, control, seconds], ...], by cells."""
    client = client_of(notebook, path)
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                client.execute_cell(cell, index)
        notebook.cells.append(new_code_cell(f"__import__('runpy').run_path({str(DRIVE)!r})['times']({displayed(notebook)!r})"))
        client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
    return json.loads("".join(output.get("text", "") for output in notebook.cells[-1].outputs if output.get("name") == "stdout"))


def late(values):
    """The 95th percentile: the least of the values that 95 of 100 do not exceed."""
    return sorted(values)[ceil(0.95 * len(values)) - 1]


def title(notebook, cell):
    """The heading under which a cell stands."""
    above = "\n".join(cell.source for cell in notebook.cells[:cell] if cell.cell_type == "markdown")
    return re.findall(r"^#+ (.+)", above, re.MULTILINE)[-1]


def met(value, target, unit):
    return f"{'✓' if value <= target else '✗'} {target} {unit}"


def line(*values):
    return "| " + " | ".join(map(str, values)) + " |"


def heading(*names):
    return line(*names), "|" + "---|" * len(names)


def main():
    parser = argparse.ArgumentParser(prog="tests/benchmarks/waiting.py", description=__doc__)
    parser.add_argument("names", nargs="*", help="how the notebooks' names begin, 01 02 ...; all of them without")
    parser.add_argument("--starts", action="store_true", help="the first pictures alone, which takes a minute or two")
    parser.add_argument("--write", action="store_true", help="puts the tables into README.md beside this file")
    args = parser.parse_args()
    paths = [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if not args.names or path.name.startswith(tuple(args.names))]
    threads = environ.get("OMP_NUM_THREADS", cpu_count())
    pytorch = version("torch").split("+")[0]
    lines = [f"Measured with PyTorch {pytorch}, threads: {threads}. First pictures: the median of three starts, and their range."]
    print(lines[0])
    for table in [starts(paths)] + [widgets(paths)] * (not args.starts):
        lines.append("")
        print()
        for text in table:
            print(text, flush=True)
            lines.append(text)
    if args.write:
        if not PAGE.exists():
            PAGE.write_text("# What the benchmarks found\n", encoding="utf-8")
        write_between(PAGE, "waiting", "\n".join(lines))


if __name__ == "__main__":
    main()
