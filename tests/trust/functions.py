"""Every public function with every strange tensor, mode and context: `run.py trust functions [--write]`.

`python3 run.py test` tries each trick of tests/strange.py on each argument. Here each is tried once more in every other context and with
arguments of other memory formats and precisions, and all networks of `load_net` are given what is no picture. Exits 1 if anything is wrong.
"""

import sys
import time
from collections import Counter
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from helpers.nets import load_net  # noqa: E402
from helpers.recipes.marks import write_between  # noqa: E402
from tests.public import CALLS, EXCEPTIONS, TRUSTING, functions  # noqa: E402
from tests.strange import CONTEXTS, TRICKS, Tried, refused  # noqa: E402

NETWORKS = {"coursenet": "DEFAULT", "coursenet-robust": "DEFAULT", "efficientnet-lite0": "DEFAULT", "alexnet": None, "vgg11": None,
            "resnet18": None, "squeezenet1_1": None, "mobilenet_v3_small": None, "densenet121": None, "googlenet": None}
BASE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def of_function(name):
    """Each trick as it is and in each context, each pair of context, memory format and precision: (counts, what is wrong)."""
    tried = Tried(name, functions()[name]).everything()
    for context in CONTEXTS.values():
        tried.tricks(context)
        for form in (torch.contiguous_format, torch.channels_last):
            for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
                tried.pair(context, form, dtype)
    return tried.counts, tried.wrong


def of_network(name):
    """What a network answers to pictures, and refuses of what is none: (counts, what is wrong)."""
    net, counts, wrong = load_net(name, weights=NETWORKS[name]), Counter(), []
    with torch.no_grad():
        expected = net(BASE)
    right = {"channels last": BASE.contiguous(memory_format=torch.channels_last), "view": BASE.movedim(1, 3).contiguous().movedim(3, 1),
             "requires grad": BASE.clone().requires_grad_(), "float64": BASE.double()}
    strange = {"bytes": (BASE * 255).byte(), "0 to 255": BASE * 255, "0 to 255, requires grad": (BASE * 255).requires_grad_(),
               "one image": BASE[0], "grey": BASE[:, :1], "colour last": BASE.movedim(1, 3), "None": None, "array": BASE.numpy(),
               "not a number": BASE * float("nan"), "infinity": BASE + float("inf"), "elsewhere": BASE.to("meta")}
    for context in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with context():
            for what, x in right.items():
                close = torch.allclose(net(x), expected, 1e-3, 1e-3)
                counts["answered"] += close
                wrong += [f"{what} in {context.__name__}: another answer"] * (not close)
            for what, x in strange.items():
                try:
                    found, error = net(x), None
                except Exception as e:
                    found, error = None, e
                counts["refused"] += refused(None, found, error)
                wrong += [f"{what} in {context.__name__}: {error!r:.200}"] * (not refused(None, found, error))
    return counts, wrong


def main(args):
    counts, wrong = Counter(), 0
    for name, try_it in [*((name, of_function) for name in CALLS), *((name, of_network) for name in NETWORKS)]:
        found, complaints = try_it(name)
        counts += found
        wrong += len(complaints)
        print(f"{name}: {dict(found)}", *complaints, sep="\n    ", flush=True)
    calls, minutes = sum(counts.values()), time.process_time() / 60
    lines = [f"{len(functions())} public functions and classes were found by introspection; {len(CALLS)} of them are called with tensors "
             f"or networks, and of the others a test checks why not. {len(TRICKS)} kinds of strange argument, {len(CONTEXTS)} contexts, "
             f"memory formats and precisions in pairs, and {len(NETWORKS)} networks made {calls:,} calls:", "",
             "| what came of it | calls |", "|---|---|", f"| the right answer | {counts['answered']:,} |",
             f"| an error of ours, in a sentence that says what was expected | {counts['refused']:,} |",
             f"| an exception that is listed, of {len(EXCEPTIONS)} | {counts['exceptions']:,} |",
             f"| anything else: a wrong answer, another error, or something changed | {wrong:,} |", "",
             f"Nothing is asked of {len(TRUSTING)} steps, whose arguments others have checked, but that they answer the same each time. "
             f"PyTorch {torch.__version__.split('+')[0]} on a CPU, {minutes:.0f} minutes of one core."]
    print(*lines, sep="\n")
    if "--write" in args and not wrong:
        write_between(ROOT / "tests" / "README.md", "functions", "\n".join(lines))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
