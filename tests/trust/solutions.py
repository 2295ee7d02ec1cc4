"""Mistakes put into the solutions of the exercises, one at a time: is each called wrong? `run.py trust solutions [01 02 ...] [--write]`.

A notebook runs in a kernel, as a reader runs it; then each mutant of each solution that has a right answer takes the place of its stub.
Those that are called right, and why they are, are in survivors.md. Open exercises have a score in the place of a right answer.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

import nbformat
from jupyter_core.utils import run_sync
from mutants import SURVIVORS, mutants
from nbclient import NotebookClient

from helpers.exercises.stubs import exercises
from helpers.recipes.marks import write_between

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120       # a mutant may never end
ANSWER = """
import signal
def _late(*_):
    raise TimeoutError("it did not end")
signal.signal(signal.SIGALRM, _late)
signal.alarm({seconds})
try:
    exec({cell!r}, dict(globals()))
finally:
    signal.alarm(0)
"""


def verdict(client, cell):
    """What a cell prints in the notebook's kernel, or "✗" and the error that it ends in."""
    outputs = []
    ask = run_sync(client.kc.execute_interactive)
    reply = ask(ANSWER.format(seconds=SECONDS, cell=cell), store_history=False, stop_on_error=False, allow_stdin=False,
                timeout=10 * SECONDS, output_hook=outputs.append)["content"]
    if reply["status"] != "ok":
        return f"✗ {reply['ename']}: {reply['evalue']}"
    return "".join(output["content"]["text"] for output in outputs if output["msg_type"] == "stream").strip()


def trial(path):
    """The rows of one notebook, (exercise, mutants, called wrong), and how many are called right for no reason that is known."""
    notebook = nbformat.read(path, as_version=4)
    asked = [exercise for exercise in exercises(notebook) if exercise.size != "Open"]
    client = NotebookClient(notebook, timeout=3600, startup_timeout=120, resources={"metadata": {"path": str(path.parent)}})
    known, rows, unread = SURVIVORS.read_text(encoding="utf-8"), [], 0
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
        for exercise in asked:
            if not verdict(client, exercise.answered(exercise.solution)).startswith("✓"):
                sys.exit(f"solutions: {path.name}, {exercise.name}: its own solution is not called right.")
            every, right = mutants(exercise.solution), []
            for mutant in every:
                if verdict(client, exercise.answered(mutant.source)).startswith("✓"):
                    right.append(mutant)
                    if mutant.key(exercise.name) not in known:
                        unread += 1
                        print(f"* {mutant.key(exercise.name)} {exercise.name}: {mutant}", flush=True)
            rows.append((f"`{exercise.name}`", len(every), len(every) - len(right)))
            print(*rows[-1], flush=True)
    return rows, unread


def main():
    parser = ArgumentParser(prog="run.py trust solutions", description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", default=[""], help="how their names begin")
    parser.add_argument("--write", action="store_true", help="puts the table into tests/README.md")
    args = parser.parse_args()
    rows, unread = [], 0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if path.name.startswith(tuple(args.notebooks)):
            more, without = trial(path)
            rows, unread = rows + more, unread + without
    table = ["| exercise | mutants of its solution | called wrong |", "|---|---|---|", *(f"| {name} | {n} | {k} |" for name, n, k in rows)]
    table += ["", f"All: {sum(row[2] for row in rows)} of {sum(row[1] for row in rows)}. "
              f"Of those that are called right, {unread} have no reason yet in [survivors.md](trust/survivors.md)."]
    print(*table, sep="\n")
    if args.write:
        write_between(ROOT / "tests" / "README.md", "solutions", "\n".join(table))
    return bool(unread)


if __name__ == "__main__":
    sys.exit(main())
