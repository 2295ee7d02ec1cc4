"""The league on photographs with boxes:  python -m helpers.recipes.photographs --data DIR [--write]

The heat maps of the league, and rivals that know nothing, for the right class of Tiny ImageNet's validation photographs. Three questions
of each: does its largest value lie in the object's box, which share of its mass does, and does a box that is made from it meet the
true one? Boxes are made in two ways: round the largest part of the map above a share of its maximum (Selvaraju 2017, who take 15%), and
round the mask of GrabCut (Simonyan 2014). The share, and how much the map is blurred first, are those that do best on one half of the
photographs, and are judged on the other.
With --write the figures go into data/photographs.json, which the notebook shows. The photographs are not shipped.
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from torchvision.ops import box_iou, masks_to_boxes

from helpers.evaluation import bootstrap, mass_inside, pointing_game
from helpers.images import resize
from helpers.nets import DATA, class_index, load_net
from helpers.recipes.league import AT_ONCE, SIZE, maps_of
from helpers.recipes.marks import write_figures
from helpers.recipes.seeds import cut_out
from helpers.recipes.tiny_imagenet import read_boxes, read_val
from helpers.rivals import untrained
from helpers.segmentation import largest_part
from helpers.transforms import blur_maps

SHARES, BLURS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), (0, 2, 4)        # of the maximum; pixels
WAYS = [(blur, share) for blur in BLURS for share in SHARES]
PUBLISHED = WAYS.index((0, 0.15))
WHOLE = "the whole picture"


def chosen(labels, each):
    """The first `each` photographs of each class: labels (n,) -> indices, class by class in turn, so that halves have all classes."""
    return torch.stack([(labels == k).nonzero()[:each, 0] for k in labels.unique()], 1).flatten()


def inside(boxes, side):
    """Masks of boxes [left, top, right, bottom] whose last pixel counts, (n,4) -> (n,side,side) bool."""
    at = torch.arange(side)
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    return ((top <= at) & (at <= bottom))[:, :, None] & ((left <= at) & (at <= right))[:, None, :]


def around(masks):
    """The box of each mask, its last pixel within, (n,h,w) bool -> (n,4)."""
    return masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1])


def overlap(masks, boxes):
    """How well the box of each mask meets the true one: intersection over union, (n,h,w) and (n,4) -> (n,)."""
    return box_iou(around(masks), boxes + torch.tensor([0, 0, 1, 1])).diagonal()


def cut(maps, share):
    """The largest part of each map above a share of its maximum, (n,h,w) -> (n,h,w) bool."""
    return torch.cat([largest_part(m[None] >= share * m.max()) for m in maps])


def found_by(tried):
    """Is the object found, in the way that did best on the other half? (ways,n) bool -> (n,) bool, and the ways of both halves."""
    halves = torch.arange(tried.shape[1]) % 2
    best = [tried[:, halves != half].float().mean(1).argmax().item() for half in (0, 1)]
    return torch.where(halves == 0, tried[best[0]], tried[best[1]]), [WAYS[k] for k in best]


def played(net, name, images, names, boxes):
    """All methods on photographs (n,3,64,64), the names of their classes, and their boxes: dict method -> dict question -> (n,)."""
    k, side = torch.tensor([class_index(net, name) for name in names]), images.shape[-1]
    generator, fresh, parts, ranks = torch.Generator().manual_seed(0), untrained(name), {}, []
    for x, right in zip(images.split(AT_ONCE), k.split(AT_ONCE), strict=True):
        x = resize(x, SIZE[name]).contiguous(memory_format=torch.channels_last)
        scores = net(x)
        ranks.append((scores > scores.gather(1, right[:, None])).sum(1))
        for method, m in maps_of(net, fresh, name, x, right, generator).items():
            parts.setdefault(method, []).append(F.adaptive_avg_pool2d(m.float().clamp(min=0), side))
    ranks, masks, results = torch.cat(ranks), inside(boxes, side), {}
    for method, maps in {method: torch.cat(m) for method, m in parts.items()}.items():
        blurred = {blur: blur_maps(maps, blur) if blur else maps for blur in BLURS}         # speckles make no box
        tried = torch.stack([overlap(cut(blurred[blur], share), boxes) >= 0.5 for blur, share in WAYS])
        found, ways = found_by(tried)
        results[method] = {
            "pointing": pointing_game(maps, masks), "mass": mass_inside(maps, masks), "box": found, "ways": ways,
            "box at 15%": tried[PUBLISHED], "box by GrabCut": overlap(cut_out(images, blurred[2], "object"), boxes) >= 0.5}
    whole = torch.ones(len(images), side, side)
    found = overlap(whole > 0, boxes) >= 0.5
    results[WHOLE] = {"pointing": pointing_game(whole, masks), "mass": mass_inside(whole, masks), "box": found, "ways": [],
                      "box at 15%": found, "box by GrabCut": found}
    return results, ranks


def summary(results, ranks, small):
    """Means with intervals, as numbers that JSON can hold: pointing and boxes also where the object is small; errors count wrong names."""
    def interval(values):
        return [values.float().mean().item(), *(v.item() for v in bootstrap(values))]

    figures = {}
    for method, row in results.items():
        figures[method] = {"ways": row["ways"], **{q: interval(row[q]) for q in row if q != "ways"}}
        figures[method] |= {f"{q}, small objects": interval(row[q][small]) for q in ("pointing", "mass", "box", "box by GrabCut")}
        figures[method] |= {f"error, top {k}": interval(~(row["box"] & (ranks < k))) for k in (1, 5)}
        for rival in ("centre", WHOLE):
            figures[method] |= {f"{q} better than {rival}": interval(row[q].float() - results[rival][q].float())
                                for q in ("pointing", "box")}
    return figures


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.photographs", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="folder in the layout of Tiny ImageNet")
    parser.add_argument("--each", type=int, default=5, help="photographs of each class (5)")
    parser.add_argument("--networks", nargs="+", default=list(SIZE), choices=list(SIZE))
    parser.add_argument("--write", action="store_true", help="put the figures into data/photographs.json")
    args = parser.parse_args(argv)
    path, classes = DATA / "photographs.json", load_net("coursenet").classes
    images, labels = read_val(args.data)
    index = chosen(labels, args.each)
    images, boxes, names = images[index].float() / 255, read_boxes(args.data)[index], [classes[k] for k in labels[index]]
    area = inside(boxes, images.shape[-1]).float().mean((1, 2))
    small = area < 0.25
    for name in args.networks:
        start, net = time.perf_counter(), load_net(name).to(memory_format=torch.channels_last)
        results, ranks = played(net, name, images, names, boxes)
        right = {f"named right, top {k}": (ranks < k).float().mean().item() for k in (1, 5)}
        figures = summary(results, ranks, small)
        print(f"\n{name}: {len(images)} photographs, {small.sum()} with a box below a quarter of the picture; mean box {area.mean():.0%}; "
              f"{', '.join(f'{what} {v:.0%}' for what, v in right.items())}; {time.perf_counter() - start:.0f} s")
        columns = [q for q in figures[WHOLE] if "better" not in q and q != "ways"]
        print(" " * 22 + " ".join(f"{q:>16.16}" for q in columns))
        for method, row in figures.items():
            print(f"{method:22}" + " ".join(f"{row[q][0]:16.2f}" for q in columns) + f"   {row['ways']}", flush=True)
        if args.write:          # one network after the other, or each by a run of its own
            stored = json.loads(path.read_text()) if path.exists() else {"networks": {}}
            stored["networks"][name] = {"photographs": len(images), "small": small.sum().item(), "mean box": area.mean().item(), **right,
                                        "methods": figures}
            stored["command"] = f"python -m helpers.recipes.photographs --data DIR --each {args.each} --write"
            write_figures(path, stored)


if __name__ == "__main__":
    main()
