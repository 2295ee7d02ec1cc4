"""Compare maps from which GrabCut can start, by the IoU of the masks that it finds.

For both initializations of the unknown pixels; on scenes as they are, whose objects are near the
center, and on scenes with objects in a corner. --write puts means, and differences to the center,
into data/grabcut_initializations.json.
"""

import argparse
import warnings

import torch

from benchmark import show, summarize
from common import write_table
from helpers.attribution import class_score, saliency
from helpers.baselines import center_prior
from helpers.metrics import iou
from helpers.networks import load_net, random_network
from helpers.scenes import SHAPES, render_scenes, scenes
from helpers.segmentation import grabcut
from helpers.transforms import blur_maps


def in_corners(n):
    """Render scenes whose object is in one of the four corners."""
    left, top = torch.randint(2, (2, n), generator=torch.Generator().manual_seed(0)).tolist()
    return render_scenes(range(20_000, 20_000 + n), seed=3, left=left, top=top)


def heat_maps(nets, x, classes):
    """Compute all maps, name -> (b,h,w)."""
    maps = {"center": center_prior(x)}
    for name, net in nets.items():
        maps[name] = blur_maps(saliency(class_score(net, classes), x), 2)
    largest = maps["robust"].amax((1, 2), keepdim=True).clamp(min=1e-12)
    maps["robust times center"] = maps["robust"] / largest * maps["center"]
    return maps


def masks_from(images, maps, unknown):
    """Segment each image by GrabCut, (n,h,w) bool."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # without a trimap, the brightest part is the mask
        return torch.cat([grabcut(x[None], m[None], unknown=unknown) for x, m in zip(images, maps)])


def measure(nets, world, unknown):
    """Measure the IoU of the masks from all maps, name -> measure -> (n,)."""
    parts = {}
    classes = world.labels + len(nets["coursenet"].classes) - len(SHAPES)
    for x, k in zip(world.images.split(20), classes.split(20)):
        for name, m in heat_maps(nets, x, k).items():
            parts.setdefault(name, []).append(masks_from(x, m, unknown))
    return {name: {"IoU": iou(torch.cat(masks), world.masks)} for name, masks in parts.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    nets = {"random network": random_network("coursenet"), "coursenet": load_net("coursenet"),
            "robust": load_net("coursenet-robust")}
    worlds = {"center": scenes()[list(range(args.scenes))], "corner": in_corners(args.scenes)}
    table = {"scenes": args.scenes}
    for place, world in worlds.items():
        for unknown in ("background", "foreground"):
            title = f"object in the {place}, unknown pixels {unknown}"
            table[title] = summarize(measure(nets, world, unknown), ["center"])
            show(title, table[title])
    if args.write:
        write_table("grabcut_initializations", table)


if __name__ == "__main__":
    main()
