"""Execute the notebooks from top to bottom, and print the time and peak memory of each cell.

NAME is the beginning of a notebook's name, such as 01; 00 is a test. --inplace stores the outputs
and folds cells. The memory, which only Linux tells, does not count pages of GPU libraries: builds
for CPUs come without them.
"""

import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
WIDGET = "application/vnd.jupyter.widget-view+json"
STILL = "(A widget: it appears when the notebook runs.)"
GPU_PAGES = re.compile(r"^\S+-\S+ .*/(?:site-packages/(?:nvidia|triton)/.+|lib\w+_cuda\S*)\n"
                       r"(?:\w+: .*\n)*?Rss:\s+(\d+) kB", re.M)


def find(names):
    """List the notebooks whose names begin with one of these, or all of the course."""
    paths = [*ROOT.glob("tests/notebooks/*.ipynb"), *sorted(NOTEBOOKS.glob("*.ipynb"))]
    return [path for path in paths
            if (path.name.startswith(tuple(names)) if names else path.parent == NOTEBOOKS)]


def peak_memory(process):
    """Read a process's peak memory since the last call in MB, without pages of GPU libraries."""
    if sys.platform != "linux":
        return 0
    peak = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
    pages = GPU_PAGES.findall((process / "smaps").read_text())
    (process / "clear_refs").write_text("5")        # the peak begins again from what it holds now
    return (int(peak[1]) - sum(map(int, pages))) * 1024 / 1e6


def execute(notebook, path):
    """Execute a notebook in a kernel of its own: seconds, peak memory, and the error or None."""
    peaks = []
    times = [time.perf_counter()]

    def report(cell, cell_index, execute_reply):
        peaks.append(peak_memory(Path("/proc") / str(client.km.provisioner.pid)))
        times.append(time.perf_counter())
        seconds = times[-1] - times[-2]
        print(f"{path.stem}  cell {cell_index}  {seconds:5.1f} s  {peaks[-1]:5.0f} MB", flush=True)

    client = NotebookClient(notebook, timeout=600, startup_timeout=120, record_timing=False,
                            resources={"metadata": {"path": str(path.parent)}},
                            on_cell_executed=report)
    error = None
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as failure:
        error = str(failure)
    return time.perf_counter() - times[0], max(peaks, default=0), error


def fold(notebook):
    """Fold the cells with the tag `fold`, and no others, in JupyterLab, on the site, and on Colab.

    A heading with this tag folds its section, in JupyterLab.
    """
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag != "hide-input"]
        for key in ("jupyter", "cellView", "jp-MarkdownHeadingCollapsed"):
            cell.metadata.pop(key, None)
        if "fold" in tags and cell.cell_type == "markdown":
            cell.metadata["jp-MarkdownHeadingCollapsed"] = True
        elif "fold" in tags:
            tags.append("hide-input")
            cell.metadata.update(jupyter={"source_hidden": True}, cellView="form")
        if tags:
            cell.metadata.tags = tags


def drop_stills(cell):
    """Remove the stills of widgets from a code cell's outputs, for where no widget can run."""
    cell.outputs = [output for output in cell.outputs
                    if output.get("data") != {"text/plain": STILL}]


def store(notebook, path):
    """Fold a notebook's cells, and write it without the state of widgets, which is soon stale."""
    fold(notebook)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = LANGUAGE      # without the version that happened to run
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:                  # what libraries log is not what they compute
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    for data in [output.get("data", {}) for cell in cells for output in cell.outputs]:
        if data.pop(WIDGET, None):
            data["text/plain"] = STILL
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--inplace", action="store_true", help="store the outputs")
    parser.add_argument("--fold", action="store_true", help="only fold cells, execute nothing")
    args = parser.parse_args(argv)
    failed = []
    for path in find(args.names):
        notebook = nbformat.read(path, as_version=4)
        if args.fold:
            store(notebook, path)
            continue
        seconds, peak, error = execute(notebook, path)
        print(f"{path.stem}: {seconds:.0f} s, {peak:.0f} MB", error or "", sep="\n", flush=True)
        if error:
            failed.append(path.stem)
        elif args.inplace:
            store(notebook, path)
    return f"failed: {', '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
