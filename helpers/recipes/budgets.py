"""How many answers survive a budget:  python -m helpers.recipes.budgets [--scenes N] [--write]

Accuracy on scenes against the budget of an attack, in l2 and in l-infinity, for the pair: changes at random, one step (FGSM, and its
like in l2), and projected ascent with restarts. With --write the figures go into data/budgets.json, which the notebook shows.
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F

from helpers.adversarial import PROJECTIONS, perturb
from helpers.files import write_text
from helpers.nets import DATA, OURS, PHOTOGRAPHS, load_net
from helpers.optimize import steepest
from helpers.world.scenes import scenes

BUDGETS = {"l2": (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0), "linf": tuple(n / 255 for n in (0.5, 1, 2, 3, 4, 6, 8, 16))}


def attacked(net, x, k, *, epsilon, norm, kind, generator):
    """Images moved within a budget, (b,3,h,w) and classes (b,) -> (b,3,h,w)."""
    mistake = lambda z: F.cross_entropy(net(z), k, reduction="none")
    if kind == "at random":
        return PROJECTIONS[norm](x + epsilon * steepest(torch.randn(x.shape, generator=generator), norm), x, epsilon)
    if kind == "one step":
        return perturb(mistake, x, epsilon=epsilon, norm=norm, steps=1, step=epsilon)
    return perturb(mistake, x, epsilon=epsilon, norm=norm, steps=20, restarts=2)


def survivors(net, x, k, norm, kind, batch=40):
    """For each budget, smallest first: which answers are still right, (budgets, n) bool.

    What fell to a smaller budget has fallen to all larger ones: the smaller change lies within them. So only what still stands is
    attacked again, but for changes at random, which are no attack.
    """
    standing, rows, generator = torch.arange(len(x)), [], torch.Generator().manual_seed(0)
    for epsilon in BUDGETS[norm]:
        right = torch.zeros(len(x), dtype=torch.bool)
        for part in standing.split(batch) if len(standing) else ():      # an empty tensor splits into one empty part
            moved = attacked(net, x[part], k[part], epsilon=epsilon, norm=norm, kind=kind, generator=generator)
            right[part] = net(moved.contiguous(memory_format=torch.channels_last)).argmax(1) == k[part]
        standing = torch.arange(len(x)) if kind == "at random" else right.nonzero()[:, 0]
        rows.append(right)
    return torch.stack(rows)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.budgets", description=__doc__.split("\n\n")[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="put the figures into data/budgets.json")
    args = parser.parse_args(argv)
    world, found = scenes()[list(range(args.scenes))], {}
    x, k = world.images.contiguous(memory_format=torch.channels_last), world.labels + PHOTOGRAPHS
    for name in OURS:
        net = load_net(name).to(memory_format=torch.channels_last)
        found[name] = {"unchanged": torch.cat([net(a).argmax(1) for a in x.split(40)]).eq(k).float().mean().item()}
        for norm, budgets in BUDGETS.items():
            unit = 255 if norm == "linf" else 1
            print(f"\n{name}, {norm}: right of {args.scenes} scenes\n{'':12}" + "".join(f"{unit * b:>7.4g}" for b in budgets))
            for kind in ("at random", "one step", "best attack"):
                start = time.perf_counter()
                rows = survivors(net, x, k, norm, kind).float().mean(1).tolist()
                found[name].setdefault(norm, {})[kind] = rows
                print(f"{kind:12}" + "".join(f"{r:7.1%}" for r in rows) + f"   {time.perf_counter() - start:.0f} s", flush=True)
    if args.write:
        command = f"python -m helpers.recipes.budgets --scenes {args.scenes} --write"
        write_text(DATA / "budgets.json", json.dumps({"command": command, "budgets": BUDGETS, "networks": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
