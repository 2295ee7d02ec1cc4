"""Compare heat maps with the center on photographs with boxes, for three networks.

DATA has the layout of Tiny ImageNet. The maps are those of the benchmark, for the true class.
--write puts the figures into data/photographs.json.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmark import BATCH, SIZE, heat_maps, show, summarize
from common import write_table
from helpers.images import resize
from helpers.metrics import pointing_game
from helpers.networks import class_index, load_net, random_network
from tiny_imagenet import read_val


def masks_of(boxes, side):
    """Fill boxes, left, top, right, and bottom (n,4), as masks (n,side,side)."""
    at = torch.arange(side)
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    rows = (top <= at) & (at <= bottom)
    columns = (left <= at) & (at <= right)
    return rows[:, :, None] & columns[:, None, :]


def all_maps(net, name, images, classes):
    """Compute the maps of all methods at the photographs' own size, method -> (n,h,w)."""
    random_net = random_network(name)
    generator = torch.Generator().manual_seed(0)
    parts = {}
    for x, k in zip(images.split(BATCH), classes.split(BATCH)):
        maps = heat_maps(net, random_net, resize(x, SIZE[name]), k, generator)
        for method, m in maps.items():
            small = F.adaptive_avg_pool2d(m.clamp(min=0), images.shape[-1])
            parts.setdefault(method, []).append(small)
    return {method: torch.cat(maps) for method, maps in parts.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--each", type=int, default=5, help="photographs of each class")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    images, labels, boxes = read_val(args.data)
    chosen = torch.cat([(labels == k).nonzero()[:args.each, 0] for k in labels.unique()])
    names = [load_net("coursenet").classes[k] for k in labels[chosen]]
    masks = masks_of(boxes[chosen], images.shape[-1])
    table = {"photographs": len(chosen)}
    for name in SIZE:
        net = load_net(name)
        classes = torch.tensor([class_index(net, word) for word in names])
        maps = all_maps(net, name, images[chosen].float() / 255, classes)
        results = {method: {"pointing game": pointing_game(m, masks)} for method, m in maps.items()}
        table[name] = summarize(results, ["center"])
        show(name, table[name])
    if args.write:
        write_table("photographs", table)


if __name__ == "__main__":
    main()
