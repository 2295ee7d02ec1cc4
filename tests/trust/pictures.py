"""Thousands of strange pictures, each loaded rightly or refused in a sentence: `run.py trust pictures [--cases=5000] [--seed=N] [--write]`.

tests/strange.py draws the files and judges what comes. Here each is loaded in a process of its own, a fork of this one, so that its
highest memory is its own too: Linux starts a fork's high-water mark, VmHWM, at what it has. Seconds are those of a processor, since
others may use the machine. First come pictures as large as `decode` allows, and hard to unpack; of the cases a tenth are large. What
is wrong is printed, with the file's bytes, and the exit code is 1.
"""

import base64
import multiprocessing
import os
import platform
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import PIL
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from helpers.recipes.marks import write_between  # noqa: E402
from tests.strange import SMALL, at_the_limits, handed_over, judged, large, load, text_bombs  # noqa: E402

SECONDS, MEGABYTES, HUNG = 2, 500, 60
ENDS = "loaded", "refused", "not judged", "wrong"


def memory(field):
    """Megabytes of this process: VmRSS now, VmHWM at most."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def attempt(case, folder, answer):
    """In a fork: loads a picture, answers (what came of it, seconds, megabytes)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)        # the libraries' own warnings
    before, began = memory("VmRSS"), time.process_time()
    try:
        came = load(case, folder)
        cost = time.process_time() - began, memory("VmHWM") - before
        answer.send((judged(case, came), *cost))
    except Exception as error:
        answer.send((f"{type(error).__name__}: {error}", time.process_time() - began, memory("VmHWM") - before))


def tried(case, folder):
    """What came of a case, and what it cost; a process that ends in another way, or not within a minute, is wrong as well."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=attempt, args=(case, folder, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(HUNG) else ("it hung", HUNG, 0)
    except EOFError:
        return "the process ended", 0, 0
    finally:
        process.kill()
        process.join()


def main(args):
    options = dict(arg.removeprefix("--").split("=") for arg in args if "=" in arg)
    cases, first = int(options.get("cases", 5000)), int(options.get("seed", random.SystemRandom().randrange(10**9)))
    print(f"{cases} cases, --seed={first}", flush=True)
    torch.set_num_threads(1)
    counts, wrong, costs = Counter(), [], {}

    def look(case):
        came, seconds, megabytes = tried(case, Path(folder))
        fine = came in ENDS[:3] and seconds <= SECONDS and megabytes <= MEGABYTES
        kind = case.kind.split(" by ")[0].split(" of ")[0]
        counts[kind, came if fine else "wrong"] += 1
        costs[kind] = [max(pair) for pair in zip(costs.get(kind, (0, 0)), (seconds, megabytes))]
        if not fine:
            wrong.append(case)
            packed = base64.b85encode(zlib.compress(case.data)).decode() if len(case.data) < 10**4 else "many"
            print(f"WRONG {case}: {came}; {seconds:.1f} s, {megabytes:.0f} MB; zlib and base85: {packed}", flush=True)

    def run(strategy, number):
        seed(first)(settings(max_examples=number, deadline=None, database=None, phases=[Phase.generate],
                             suppress_health_check=list(HealthCheck))(given(handed_over(strategy))(look)))()

    with tempfile.TemporaryDirectory() as folder:
        for case in at_the_limits():
            look(case)
        run(SMALL, cases - cases // 10)
        run(st.one_of(large(), large(), large(), text_bombs()), cases // 10)
    text = table(counts, costs, first)
    print(text)
    if "--write" in args and not wrong:
        write_between(ROOT / "tests" / "README.md", "pictures", text)
    return int(bool(wrong))


def table(counts, costs, first):
    total = lambda what: sum(n for (_, came), n in counts.items() if came == what)
    lines = [f"| files | {' | '.join(ENDS)} | most seconds | most MB more |", "|---" * 7 + "|"]
    for kind, (seconds, megabytes) in sorted(costs.items()):
        numbers = " | ".join(str(counts[kind, came]) for came in ENDS)
        lines.append(f"| {kind} | {numbers} | {seconds:.2f} | {megabytes:.0f} |")
    worst = [max(cost) for cost in zip(*costs.values())]
    return f"""\
{sum(counts.values()):,} files (seed {first}): {total("loaded"):,} loaded as they were made or as OpenCV sees them, \
{total("refused"):,} refused in a sentence, {total("wrong")} wrong; and {total("not judged")} damaged ones loaded that OpenCV refuses, \
so that nothing judges them. The slowest took {worst[0]:.1f} s of a processor, the largest {worst[1]:.0f} MB more than before; \
{SECONDS} s and {MEGABYTES} MB are allowed. Python {platform.python_version()}, Pillow {PIL.__version__}, {platform.machine()}.

""" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
