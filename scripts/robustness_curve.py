"""Measure accuracy on scenes against the perturbation budget of an attack, for both networks.

In l2 and l-infinity: random perturbations, and PGD with restarts. --write puts the curves into
data/robustness_curve.json.
"""

import argparse

import torch
import torch.nn.functional as F

from common import write_table
from helpers.adversarial import PROJECTIONS, pgd
from helpers.networks import load_net
from helpers.optimization import normalize_gradient
from helpers.scenes import SHAPES, scenes

EPSILONS = {
    "l2": (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0),
    "linf": tuple(n / 255 for n in (0, 0.5, 1, 2, 3, 4, 6, 8, 16)),
}


def accuracy(net, x, classes, epsilon, norm, attack):
    """Measure the accuracy on images (n,3,h,w) that are perturbed within a budget."""
    loss = lambda z: F.cross_entropy(net(z), classes, reduction="none")
    if attack == "PGD":
        z = pgd(loss, x, epsilon=epsilon, norm=norm, steps=20, restarts=2)
    else:
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        z = PROJECTIONS[norm](x + epsilon * normalize_gradient(noise, norm), x, epsilon)
    return (net(z).argmax(1) == classes).float().mean().item()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    world = scenes()[list(range(args.scenes))]
    table = {"epsilons": EPSILONS, "scenes": args.scenes}
    for name in ("coursenet", "coursenet-robust"):
        net = load_net(name)
        classes = world.labels + len(net.classes) - len(SHAPES)
        for norm in EPSILONS:
            for attack in ("random", "PGD"):
                values = [accuracy(net, world.images, classes, epsilon, norm, attack)
                          for epsilon in EPSILONS[norm]]
                table.setdefault(name, {}).setdefault(norm, {})[attack] = values
                print(name, norm, attack, *[f"{v:.1%}" for v in values], flush=True)
    if args.write:
        write_table("robustness_curve", table)


if __name__ == "__main__":
    main()
