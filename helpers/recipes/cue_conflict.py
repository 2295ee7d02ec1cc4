"""By shape or by texture?  python -m helpers.recipes.cue_conflict --photos DIR [--write]

Pictures with the shape of one class and the texture of another (Geirhos 2019), made by style transfer from photographs of a folder
whose names end in a class, "n07873807_pizza.webp". Which of the two does a network say? For EfficientNet-Lite0, the pair, and rivals
that know nothing. With --write the figures go into data/cue_conflict.json, which the notebook shows.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from helpers.files import write_text
from helpers.images import load_image, resize
from helpers.nets import DATA, OURS, load_net
from helpers.optimize import last
from helpers.style import CONTENT, LAYERS, style_grams, style_transfer

BIG = "efficientnet-lite0"
SIDE = {BIG: 224, **dict.fromkeys(OURS, 64)}        # at which each network looks
# Who makes the pictures: with whose features, but not their pixels, at which sides, for how many steps.
MAKERS = {BIG: {"layers": LAYERS[1:], "content_layer": CONTENT, "sizes": (112, 224), "steps": (50, 40)},
          "coursenet-robust": {"layers": [f"relu{k}" for k in range(1, 6)], "content_layer": "relu3", "sizes": (64, 128),
                               "steps": (50, 40)}}
WEIGHTS = (3.0, 30.0)


def photographs(folder, nets):
    """Photographs of classes that all networks know: names, and (n,3,224,224) in [0,1]."""
    files = {path.stem.split("_", 1)[-1].replace("_", " "): path for path in sorted(folder.glob("n*_*.*"))}
    names = [name for name in files if all(name in net.classes for net in nets.values())]
    if len(names) < 2:
        raise SystemExit(f"{folder} holds {len(names)} photographs of classes that all networks know; expected at least 2, with names "
                         'like "n07873807_pizza.webp".')
    return names, torch.cat([load_image(files[name], size=224) for name in names])


@torch.no_grad()
def answers(net, x, names, side):
    """Which of these classes is the likeliest, (b,3,h,w) -> (b,); all others of the network are left out."""
    columns = [net.classes.index(name) for name in names]
    return torch.cat([net(resize(part, side).contiguous(memory_format=torch.channels_last))[:, columns].argmax(1) for part in x.split(16)])


def nearest_pixels(x, photos):
    """A rival that knows shapes by rote: the photograph nearest in 8 x 8 grey pixels, (b,3,h,w) and (n,3,H,W) -> (b,)."""
    seen = [F.normalize(s - s.mean(1, keepdim=True)) for s in (resize(y, 8).mean(1).flatten(1) for y in (x, photos))]
    return (seen[0] @ seen[1].T).argmax(1)


def nearest_colours(x, photos):
    """A rival that knows nothing but colours: the photograph nearest in mean and spread of each, (b,3,h,w) and (n,3,H,W) -> (b,)."""
    seen = [torch.cat([y.mean((2, 3)), y.std((2, 3))], 1) for y in (x, photos)]
    return torch.cdist(*seen).argmin(1)


def conflicts(net, photos, textures, maker, weight):
    """Every photograph in some of the others' textures: (n,3,h,w), and the classes of shape (n,) and texture (n,) of each.

    `textures` says how many, fewer than there are photographs; they are spread evenly over the list.
    """
    pictures, side, n = [], maker["sizes"][-1], len(photos)
    shape = torch.arange(n).repeat_interleave(textures)
    texture = (shape + torch.arange(1, textures + 1).repeat(n) * max(1, n // (textures + 1))) % n
    how = {key: maker[key] for key in ("content_layer", "sizes", "steps")}
    for s, t in zip(shape.split(textures), texture.split(textures)):
        grams = style_grams(net, photos[t], maker["layers"])
        content = resize(photos[s], side).contiguous(memory_format=torch.channels_last)
        steps = style_transfer(net, content, grams, style_weight=weight, optimizer=lambda p: torch.optim.Adam(p, lr=0.03),
                               exact=False, **how)
        pictures.append(last(steps).image)
    return torch.cat(pictures), shape, texture


def bias(said, shape, texture):
    """Shape answers among those that are one of the two: the share, its interval over shapes, and how many were either."""
    by_shape, by_texture = said == shape, said == texture
    either = by_shape | by_texture
    if not either.any():
        return {"either": 0.0, "shape": None}
    # Pictures of one photograph are no independent draws: whole photographs are drawn.
    groups = torch.stack([torch.stack([by_shape[shape == s].sum(), either[shape == s].sum()]) for s in shape.unique()]).double()
    draws = torch.randint(len(groups), (2000, len(groups)), generator=torch.Generator().manual_seed(0))
    sums = groups[draws].sum(1)
    low, high = (sums[:, 0] / sums[:, 1].clamp(min=1)).quantile(torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    return {"either": either.float().mean().item(), "shape": (by_shape.sum() / either.sum()).item(), "low": low, "high": high}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.cue_conflict", description=__doc__.split("\n\n")[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--textures", type=int, default=6, help="for each photograph")
    parser.add_argument("--write", action="store_true", help="put the figures into data/cue_conflict.json")
    args = parser.parse_args(argv)
    nets = {name: load_net(name).to(memory_format=torch.channels_last) for name in SIDE}
    names, photos = photographs(args.photos, nets)
    if not 0 < args.textures < len(names):
        raise SystemExit(f"Got {args.textures} textures for each of {len(names)} photographs; expected 1 to {len(names) - 1}.")
    right = {n: answers(net, photos, names, SIDE[n]) == torch.arange(len(names)) for n, net in nets.items()}
    print(f"{len(names)} photographs, named right by " + ", ".join(f"{n} {int(r.sum())}" for n, r in right.items()))
    found = {"classes": names, "named": {n: int(r.sum()) for n, r in right.items()}, "bias": {}}
    for maker, how in MAKERS.items():
        for weight in WEIGHTS:
            start = time.perf_counter()
            x, shape, texture = conflicts(nets[maker], photos, args.textures, how, weight)
            said = {n: answers(net, x, names, SIDE[n]) for n, net in nets.items()}
            said |= {"8 x 8 grey pixels": nearest_pixels(x, photos), "colours alone": nearest_colours(x, photos)}
            rows = found["bias"][f"{maker}, {weight:g}"] = {}
            print(f"\nmade by {maker} with style weight {weight:g}: {len(x)} pictures, {time.perf_counter() - start:.0f} s")
            for who, k in said.items():
                known = right.get(who, torch.ones(len(names), dtype=torch.bool))
                fair = known[shape] & known[texture]        # of the others it does not know one of the two
                row = rows[who] = bias(k[fair], shape[fair], texture[fair]) | {"pictures": int(fair.sum())}
                print(f"{who:20} {row['pictures']:3} pictures, one of the two in {row['either']:4.0%}, of these by shape "
                      + ("-" if row["shape"] is None else f"{row['shape']:4.0%} ({row['low']:.0%} to {row['high']:.0%})"), flush=True)
    if args.write:
        found["command"] = f"python -m helpers.recipes.cue_conflict --photos DIR --textures {args.textures} --write"
        write_text(DATA / "cue_conflict.json", json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
