"""What a notebook needs on Binder, which gives one core and 2 GB: `run.py bench binder [01 02 ...] [--write]`.

Each runs in a kernel of its own, on one core and with one thread; then every control of its widgets is moved, as the tests do. Memory
is the kernel's: JupyterLab's server comes on top, and the pages of GPU libraries, which Binder's build of PyTorch lacks, off.
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from helpers.recipes.marks import write_between
from helpers.recipes.notebooks import displayed, peak_memory

ROOT = Path(__file__).resolve().parents[2]
DRIVE = ROOT / "tests" / "drive.py"
HEAD = "notebook", "cells, s", "widgets, s", "MB after cells", "MB at most", "of it pages of GPU libraries, MB"


def drive(notebook):
    """A cell that moves the controls of all the widgets that the cells displayed."""
    return nbformat.v4.new_code_cell(f"__import__('runpy').run_path({str(DRIVE)!r})['drive']({displayed(notebook)!r})")


def measure(path):
    """A line of the table for one notebook, and what failed in its cells or widgets, or None."""
    notebook = nbformat.read(path, as_version=4)
    place, quiet = {"metadata": {"path": str(path.parent)}}, ["--log-level=ERROR"]
    client = NotebookClient(notebook, timeout=3600, startup_timeout=120, resources=place, extra_arguments=quiet)
    seconds, megabytes, failure = [], [], None
    with client.setup_kernel():
        for act in (run_cells, run_widgets):
            begin = time.perf_counter()
            try:
                act(client)
            except CellExecutionError as error:
                failure = str(error)
            seconds.append(time.perf_counter() - begin)
            megabytes.append(peak_memory(client.km.provisioner.pid))
            if failure:
                break
    (first, _), (most, unused) = megabytes[0], megabytes[-1]
    return (path.stem, *(f"{s:.0f}" for s in seconds), f"{first:,.0f}", f"{most:,.0f}", f"{unused:,.0f}"), failure


def run_cells(client):
    for index, cell in enumerate(client.nb.cells):
        if cell.cell_type == "code":
            client.execute_cell(cell, index)


def run_widgets(client):
    client.nb.cells.append(drive(client.nb))
    client.execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1)
    print("".join(output.get("text", "") for output in client.nb.cells[-1].outputs), end="", flush=True)


def main(args):
    names = [arg for arg in args if not arg.startswith("--")]
    if names and "--write" in args:
        sys.exit("--write puts a line for each notebook into README.md: run it with all of them.")
    os.environ["OMP_NUM_THREADS"] = "1"      # as binder/start has it
    if hasattr(os, "sched_setaffinity"):     # on Linux, and there only the memory is known, too
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})     # the kernels inherit it
    lines, failed = [line_of(HEAD), "|---" * len(HEAD) + "|"], 0
    print(*lines, sep="\n", flush=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if not names or path.name.startswith(tuple(names)):
            cells, failure = measure(path)
            lines.append(line_of(cells))
            print(lines[-1], flush=True)
            if failure:
                print(failure, file=sys.stderr)
                failed = 1
    if "--write" in args and not failed:
        write_between(ROOT / "README.md", "binder", "\n".join(lines))
    return failed


def line_of(cells):
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
