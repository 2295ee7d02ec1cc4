"""What our methods cost beside other libraries': `run.py bench peers [ROW ...] [--write]`, on all cores and on one.

In each row ours and the others do the same work in one process, in turns, with the same network and input; before anything is timed,
their results must be equal. The bare cost is what nobody can avoid: the forward and backward passes themselves. With names, only the
rows that contain one of them. The others come in the extra `peers`; rows whose peer is missing are left out, and that is said.
"""

import platform
import statistics
import sys
import warnings
from pathlib import Path

import torch

from helpers.nets import has_bf16

sys.path.append(str(Path(__file__).resolve().parents[1]))     # the tests' slow and plain versions are peers, too
README = Path(__file__).resolve().parents[2] / "README.md"
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
    times, said = race.run()
    work, ours = race.work, f"{1000 * statistics.median(times['ours']):.1f}"
    bare = f"{1 / ratio(times, 'bare')[0]:.2f}" if race.bare else ""
    half = f"{1 / ratio(times, 'bf16')[0]:.2f}{said and '; ' + said}" if race.half else ""
    lines, faster = [], []
    for peer in race.peers or [""]:
        beside = ["", ""]
        if peer:
            middle, low, high = ratio(times, peer)
            beside = f"{middle:.2f} ({low:.2f} to {high:.2f})", f"{race.asked.get(peer, 1):g}"
            faster += [f"{race.work}: {peer} is faster"] if high < NOISE else []
        lines.append((work, ours, peer, *beside, bare, half))
        work = ours = bare = half = ""
    return lines, faster


def machine():
    known = torch.cpu.get_capabilities()
    kind = next((part for part in ("amx_bf16", "avx512_bf16", "avx512_f", "avx2") if known.get(part)), platform.machine())
    return f"PyTorch {torch.__version__.partition('+')[0]}, {torch.get_num_threads()} thread(s), {kind}; bf16: {has_bf16('cpu')}"


def main(args):
    names, slower = [arg for arg in args if not arg.startswith("--")], []
    warnings.filterwarnings("ignore")       # the others'
    print(machine(), "\n\n| ", " | ".join(HEAD), " |\n", "|---" * len(HEAD), "|", sep="", flush=True)
    for race in races(names):
        lines, faster = rows(race)
        print(*("| " + " | ".join(line) + " |" for line in lines), sep="\n", flush=True)
        slower += faster
    print(*slower, sep="\n", file=sys.stderr)
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
