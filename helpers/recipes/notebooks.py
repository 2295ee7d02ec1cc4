"""Executes notebooks from top to bottom, and writes them as HTML to build/:  python3 run.py notebooks [NAME] [--look=NETWORK]

With --look another network of torchvision takes the place of EfficientNet-Lite0, with random weights, so that nothing is downloaded.
What it shows then means nothing; that every cell runs is the point.
"""

import argparse
import ast
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter

from helpers.files import write_text

BUILD = Path(__file__).resolve().parents[2] / "build"
WIDGET = "application/vnd.jupyter.widget-view+json"
STILL = "(A widget: it appears when the notebook runs.)"     # what is stored in its place


LOOK, LOADED = 'LOOK = "efficientnet-lite0"', "load_net(LOOK), True"     # as the notebooks have them


def first_picture(notebook):
    """The index of the first cell in whose outputs there is a picture."""
    outputs = ((index, output.get("data", {})) for index, cell in enumerate(notebook.cells) for output in cell.get("outputs", ()))
    return next(index for index, data in outputs
                if any(kind.startswith("image/") for kind in data) or "<img " in "".join(data.get("text/html", "")))


def imports_of(cells):
    """The import statements of code cells, but for those that a condition or a function holds, as source."""
    statements = [node for cell in cells if cell.cell_type == "code" for node in ast.parse(cell.source).body]
    return "\n".join(ast.unparse(node) for node in statements if isinstance(node, (ast.Import, ast.ImportFrom)))


def displayed(notebook):
    """The widgets that the cells displayed, [(cell, model id), ...]."""
    return [(index, output.data[WIDGET]["model_id"]) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"
            for output in cell.outputs if WIDGET in output.get("data", {})]


def with_another(notebook, name):
    """The notebook with another network to look with, untrained."""
    source = "\n".join(cell.source for cell in notebook.cells)
    if source.count(LOOK) != 1 or source.count(LOADED) != 1:
        raise SystemExit(f"This notebook does not look with another network: expected {LOOK!r} and {LOADED!r} once each.")
    for cell in notebook.cells:
        cell.source = cell.source.replace(LOOK, f'LOOK = "{name}"').replace(LOADED, "load_net(LOOK, weights=None), False")


def execute(path, out, *, inplace, look=None):
    """Executes one notebook in a kernel of its own and writes it as HTML to a folder; returns which cell failed and how, or None."""
    notebook = nbformat.read(path, as_version=4)
    if look:
        with_another(notebook, look)
    metadata = nbformat.from_dict(notebook.metadata)
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for _, cell in cells:  # what an earlier run left would look like this one's
        cell.outputs, cell.execution_count = [], None
        cell.metadata.pop("execution", None)  # when it ran, and for how long
    place = {"metadata": {"path": str(path.parent), "name": path.stem}}
    quiet = ["--log-level=ERROR"]  # a kernel for this machine alone warns that its talk is not encrypted
    client = NotebookClient(notebook, timeout=600, startup_timeout=120, record_timing=False, resources=place, extra_arguments=quiet)
    failure = None
    start = time.perf_counter()
    with client.setup_kernel():
        for number, (index, cell) in enumerate(cells, 1):
            begin = time.perf_counter()
            try:
                client.execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                print(error, file=sys.stderr)
                failure = f"{path.stem}, cell {number}/{len(cells)}: {getattr(error, 'ename', type(error).__name__)}"
                break
            print(f"{path.stem}  cell {number}/{len(cells)}  {time.perf_counter() - begin:.1f} s", flush=True)
        client.set_widgets_metadata()
        memory = memory_note(*peak_memory(client.km.provisioner.pid))
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s{memory}", flush=True)
    out.mkdir(exist_ok=True)
    write_text(out / f"{path.stem}.html", HTMLExporter().from_notebook_node(notebook, place)[0])
    if inplace and not failure:
        notebook.metadata = metadata  # without the widgets' state, which is large and soon stale
        for output in (output for _, cell in cells for output in cell.outputs):
            if output.get("data", {}).pop(WIDGET, None):
                output.data["text/plain"] = STILL
        write_text(path, nbformat.writes(notebook) + "\n")
    return failure


def peak_memory(pid):
    """The largest memory of a process so far, and how much of it is pages of GPU libraries, in MB; zeros where the system has no /proc."""
    try:
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return (int(peak[1]) * 1024 / 1e6 if peak else 0), gpu_libraries(Path(f"/proc/{pid}/smaps").read_text())
    except OSError:
        return 0, 0


def memory_note(peak, unused):
    """The same in words, as ", 700 MB at most"; nothing where it isn't known."""
    note = f", {unused:.0f} MB of it the pages of GPU libraries" if unused >= 1 else ""  # builds for CPUs come without them
    return f", {peak:.0f} MB at most{note}" if peak else ""


def gpu_libraries(smaps):
    """MB in memory of the files of CUDA and Triton, from the text of /proc/PID/smaps."""
    library, lines = r"site-packages/(?:nvidia|triton)/.+|lib\w+_cuda\S*", r"(?:\w+: .*\n)*?"
    pages = re.findall(rf"^\S+-\S+ .*/(?:{library})\n{lines}Rss:\s+(\d+) kB", smaps, re.MULTILINE)
    return sum(map(int, pages)) * 1024 / 1e6


def main(args=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.notebooks", description=__doc__.split(":  ")[0])
    parser.add_argument("--inplace", action="store_true", help="also stores the outputs in the notebooks that did not fail")
    parser.add_argument("--look", metavar="NETWORK", help="one of torchvision's, with random weights, in place of the real one")
    parser.add_argument("--out", type=Path, default=BUILD)
    parser.add_argument("paths", type=Path, nargs="+")
    args = parser.parse_args(args)
    if args.look and args.inplace:
        parser.error("--look draws pictures that mean nothing: they are not to be stored --inplace.")
    failures = [execute(path.resolve(), args.out, inplace=args.inplace, look=args.look) for path in args.paths]
    for failure in filter(None, failures):
        print(f"failed: {failure}", file=sys.stderr)
    return int(any(failures))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
