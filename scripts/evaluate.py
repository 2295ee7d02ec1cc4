"""Evaluate the networks: the figures of their model cards.

DATA has the layout of Tiny ImageNet. --write puts the figures into data/README.md.
"""

import argparse
import re
from functools import partial
from pathlib import Path

from helpers.feature_visualization import in_top_k, visualize_classes
from helpers.networks import DATA, load_net
from helpers.optimization import NormalizedGradient
from helpers.scenes import SHAPES, scenes
from tiny_imagenet import read_val
from train_coursenet import accuracy

PAIR = ("coursenet", "coursenet-robust")


def figures(net, other, images, labels):
    """Measure all figures of one network; the other one classifies its class visualizations."""
    classes = range(len(net.classes))
    world = scenes()
    shapes = world.labels + len(classes) - len(SHAPES)
    pictures = visualize_classes(net, classes, steps=100,
                                 optimizer=partial(NormalizedGradient, lr=0.5))
    return {
        "photographs, top-1": accuracy(net, images, labels),
        "photographs, top-1, after a 20-step l2 attack of 1.0":
            accuracy(net, images, labels, epsilon=1.0),
        "shipped scenes, top-1": accuracy(net, (world.images * 255).round().byte(), shapes),
        "its class visualizations classified correctly by the other":
            in_top_k(other, pictures, classes).float().mean().item(),
        "parameters": sum(p.numel() for p in net.parameters()),
    }


def table(first, second):
    """Format the figures of both networks as a Markdown table."""
    show = lambda value: f"{value:,}" if isinstance(value, int) else f"{value:.1%}"
    rows = [f"| | {' | '.join(PAIR)} |", "|---|---|---|"]
    rows += [f"| {name} | {show(first[name])} | {show(second[name])} |" for name in first]
    return "\n".join(rows)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    images, labels, _ = read_val(args.data)
    nets = [load_net(name) for name in PAIR]
    measured = [figures(*pair, images, labels) for pair in (nets, nets[::-1])]
    print(table(*measured))
    if args.write:
        page = (DATA / "README.md").read_text(encoding="utf-8")
        before, old, after = re.split(r"(?<=<!-- figures -->\n)|(?=\n<!-- /figures -->)", page)
        (DATA / "README.md").write_text(before + table(*measured) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
