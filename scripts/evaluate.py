"""Evaluate the networks: the figures of their model cards.

DATA has the layout of Tiny ImageNet. --write puts the figures into data/README.md.
"""

import argparse
import re
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from helpers.feature_visualization import is_classified_as, maximize_class
from helpers.networks import DATA, load_net
from helpers.optimization import NormalizedGradient, last
from helpers.scenes import SHAPES, scenes
from tiny_imagenet import read_val
from train_coursenet import accuracy

PAIR = ("coursenet", "coursenet-robust")


def neighbor_cosine(filters):
    """Compute the cosine similarity of neighboring weights (n,3,h,w): the lower quartile."""
    pairs = [(filters[..., 1:], filters[..., :-1]), (filters[..., 1:, :], filters[..., :-1, :])]
    similarity = [F.cosine_similarity(a.flatten(1), b.flatten(1)) for a, b in pairs]
    return torch.stack(similarity).mean(0).quantile(0.25).item()


def high_frequencies(filters):
    """Compute the fraction of energy above 0.3 cycles per pixel (n,3,h,w): the largest."""
    energy = torch.fft.fft2(filters - filters.mean((2, 3), keepdim=True)).abs().square().sum(1)
    frequency = torch.fft.fftfreq(filters.shape[-1]).abs()
    high = torch.maximum(frequency[:, None], frequency) > 0.3
    return (energy[:, high].sum(1) / energy.sum((1, 2))).max().item()


def figures(net, other, images, labels):
    """Measure all figures of one network; the other one classifies its class visualizations."""
    classes = range(len(net.classes))
    world = scenes()
    shapes = world.labels + len(classes) - len(SHAPES)
    steps = maximize_class(net, classes, steps=100, optimizer=partial(NormalizedGradient, lr=0.5))
    return {
        "conv1: cosine similarity of neighboring weights, lower quartile":
            neighbor_cosine(net.conv1.weight),
        "conv1: energy of high frequencies, worst filter": high_frequencies(net.conv1.weight),
        "photographs, top-1": accuracy(net, images, labels),
        "photographs, top-1, after a 20-step l2 attack of 1.0":
            accuracy(net, images, labels, epsilon=1.0),
        "shipped scenes, top-1": accuracy(net, (world.images * 255).round().byte(), shapes),
        "its class visualizations classified correctly by the other":
            is_classified_as(other, last(steps).image, classes).float().mean().item(),
    }


def table(first, second):
    """Format the figures of both networks as a Markdown table."""
    rows = [f"| | {' | '.join(PAIR)} |", "|---|---|---|"]
    rows += [f"| {name} | {first[name]:.3f} | {second[name]:.3f} |" for name in first]
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
