"""What our methods cost beside other libraries': `run.py bench peers [ROW ...] [--write]`, on all cores, and again on one.

In each row ours and the others do the same work in one process, in turns, with the same network and input; before anything is timed,
their results are compared. The bare cost is what nobody can avoid: the forward and backward passes themselves. With names, only the
rows that contain one of them. With --write the tables go into README.md and into README.md beside this file. The others come in
the extra `peers`; rows whose peer is missing are left out, and that is said.
"""

import os
import platform
import statistics
import subprocess
import sys
import warnings
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from helpers.nets import has_bf16
from helpers.recipes.marks import write_between

sys.path.append(str(Path(__file__).resolve().parents[1]))     # the tests' slow and plain versions are peers, too
HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
NOISE = 0.97        # a peer is faster if three quarters of all rounds say so, by more than this
HEAD = ("work", "ours, ms", "beside", "times as long (quartiles)", "asked", "ours to the bare cost", "bf16, times as fast")


def races(names):
    from races import activations, fun, gradients
    for make in [make for module in (activations, gradients, fun) for make in module.RACES]:
        try:
            yield from (race for race in make() if not names or any(name in race.work for name in names))
        except ImportError as missing:
            print(f"{make.__name__}: {missing.name} is not installed. Try `python3 run.py bench peers`.", file=sys.stderr)


def rows(race):
    """The lines of the table for one race, and the peers that are faster than we are."""
    from races.race import ratio
    times, notes = race.run()
    work, ours = race.work, f"{1000 * statistics.median(times['ours']):.1f}"
    bare = f"{ratio(times, 'ours', 'bare')[1]:.2f}" if race.bare else ""
    half = f"{ratio(times, 'ours', 'bf16')[1]:.2f}{notes['bf16'] and '; ' + notes['bf16']}" if race.half else ""
    lines, faster = [], []
    for peer in race.peers or [""]:
        beside = ["", ""]
        if peer:
            low, middle, high = ratio(times, peer)
            asked = race.asked.get(peer, 1)
            reached = middle >= asked * (NOISE if asked == 1 else 1)
            beside = f"{middle:.2f} ({low:.2f} to {high:.2f})", f"{'✓' if reached else '✗'} {asked:g}"
            faster += [f"{race.work}: {peer} is faster"] if high < NOISE else []
        lines.append((work, ours, f"{peer}: {notes[peer]}" if notes.get(peer) else peer, *beside, bare, half))
        work = ours = bare = half = ""
    return lines, faster


def machine():
    known = torch.cpu.get_capabilities()
    kind = next((part for part in ("amx_bf16", "avx512_bf16", "avx512_f", "avx2") if known.get(part)), platform.machine())
    cores, found = torch.get_num_threads(), []
    for name in ("torch", "captum", "grad-cam", "torch-lucent", "quantus", "openTSNE", "scikit-learn", "faiss-cpu"):
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name).partition('+')[0]}")
    half = "computes" if has_bf16("cpu") else "does not compute"
    return f"On {cores} core{'s' * (cores > 1)} of a processor that {half} in bf16 ({kind}): {', '.join(found)}."


def table(names):
    """Prints the table row by row; returns it, and the peers that are faster than we are, or have another result."""
    lines, slower = [machine(), "", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"], []
    print(*lines, sep="\n", flush=True)
    for race in races(names):
        try:
            new, faster = rows(race)
        except AssertionError as error:
            new, faster = [(race.work, "", "another result: not timed", "", "", "", "")], [str(error)]
        new = ["| " + " | ".join(line) + " |" for line in new]
        print(*new, sep="\n", flush=True)
        lines, slower = lines + new, slower + faster
    return "\n".join(lines), slower


def split(table):
    """A table -> the lines before its rows, and the lines of each row, dict work -> list."""
    head, parts, work = [], {}, ""
    for line in table.splitlines():
        first = line.split("|")[1].strip() if line.startswith("| ") else HEAD[0]
        work = first or work        # a row goes on where the first cell is empty
        if work == HEAD[0]:
            head.append(line)
        else:
            parts.setdefault(work, []).append(line)
    return head, parts


def merged(page, table):
    """The table that stands in a page, with the rows of a new one in their places or below; ValueError if that is of another machine."""
    (before, old), (head, new) = split(page.partition("<!-- peers -->\n")[2].partition("\n<!-- /peers -->")[0]), split(table)
    if before != head:
        raise ValueError(f"The page has rows of another machine or of other versions ({before[0]} {head[0]}). Try --write without names.")
    return "\n".join(head + sum((old | new).values(), []))


def main(args):
    names, one = [arg for arg in args if not arg.startswith("--")], os.environ.get("OMP_NUM_THREADS") == "1"
    warnings.filterwarnings("ignore")       # the others'
    found, slower = table(names)
    print("", *slower, sep="\n", file=sys.stderr, flush=True)
    if "--write" in args:
        page = HERE / "README.md" if one else README
        write_between(page, "peers", merged(page.read_text(encoding="utf-8"), found) if names else found)
    if one:
        return int(bool(slower))
    first = [min(os.sched_getaffinity(0))] if hasattr(os, "sched_setaffinity") else []
    narrow = {"preexec_fn": lambda: os.sched_setaffinity(0, first)} if first else {}        # and no second core for other threads
    again = subprocess.run([sys.executable, __file__, *args], env=os.environ | {"OMP_NUM_THREADS": "1"}, **narrow)
    return int(bool(slower) or again.returncode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
