"""How strong must a method be until it no longer improves?  python -m helpers.recipes.strengths [--scenes N] [--write]

Heat maps of coursenet from few copies, windows or steps to many, on scenes that the league does not judge. With --write the figures
go into data/strengths.json, which the notebook shows.
"""

import argparse
import time
from functools import partial

import torch

from helpers.attribution import grad_cam, integrated_gradients, occlusion, smooth_grad
from helpers.evaluation import bootstrap, deletion, insertion, mass_inside, pointing_game
from helpers.nets import DATA, PHOTOGRAPHS, fast, load_net
from helpers.recipes.league import MEASURES, own
from helpers.recipes.marks import write_figures
from helpers.transforms import gaussian_blur
from helpers.world.scenes import scenes

AT_ONCE = 25
REFERENCE = {"SmoothGrad": "16 copies", "integrated gradients": "16 steps", "occlusion": "6 px, by 3", "Grad-CAM": "relu5"}


def entrants(net, x, k):
    """Methods at several strengths, dict method -> dict strength -> a function that gives the maps (b,h,w)."""
    score, cover, mean = own(net, k), gaussian_blur(x, 4).clamp(0, 1), x.mean((2, 3), keepdim=True)
    log_probability = own(net, k, partial(torch.log_softmax, dim=1))
    covering = lambda window, stride, what=log_probability, by=cover: lambda: occlusion(what, x, window=window, stride=stride, baseline=by)
    walking = lambda steps, by=mean: lambda: integrated_gradients(score, x, baseline=by, steps=steps).sum(1).abs()
    return {
        "SmoothGrad": {f"{n} copies": partial(smooth_grad, score, x, samples=n, sigma=0.15) for n in (1, 4, 16, 64)}
        | {f"noise of {sigma}": partial(smooth_grad, score, x, sigma=sigma) for sigma in (0.05, 0.3)},
        "integrated gradients": {f"{n} steps": walking(n) for n in (1, 4, 16, 64)}
        | {"from black": walking(16, 0.0), "from grey": walking(16, 0.5), "from its blurred self": walking(16, cover)},
        "occlusion": {f"{window} px, by {stride}": covering(window, stride)
                      for window, stride in ((16, 16), (16, 8), (16, 4), (8, 4), (6, 3), (4, 2))}
        | {"by 3, grey": covering(6, 3, by=0.5), "by 3, the score": covering(6, 3, own(net, k))},
        "Grad-CAM": {layer: partial(grad_cam, net, x, layer, own(lambda y: y, k)) for layer in ("relu2", "relu3", "relu4", "relu5")},
    }


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.strengths", description=__doc__.split("\n\n")[0])
    parser.add_argument("--scenes", type=int, default=150)
    parser.add_argument("--write", action="store_true", help="put the figures into data/strengths.json")
    args = parser.parse_args(argv)
    net, world, found = load_net("coursenet").to(memory_format=torch.channels_last), scenes()[list(range(1200, 1200 + args.scenes))], {}
    for x, labels, inside in zip(*(t.split(AT_ONCE) for t in (world.images, world.labels, world.masks)), strict=True):
        x, k = x.contiguous(memory_format=torch.channels_last), labels + PHOTOGRAPHS
        with fast("cpu"):
            probability = own(net, k, partial(torch.softmax, dim=1))
            for method, strengths in entrants(net, x, k).items():
                for strength, make in strengths.items():
                    began = time.perf_counter()
                    m = make().float()
                    took = torch.full((len(x),), 1000 * (time.perf_counter() - began) / len(x))
                    row = torch.stack([pointing_game(m, inside), mass_inside(m, inside), deletion(probability, x, m).float(),
                                       insertion(probability, x, m).float(), took])
                    found.setdefault(method, {}).setdefault(strength, []).append(row)
    figures = {}
    for method, strengths in found.items():
        whole = {strength: torch.cat(rows, 1) for strength, rows in strengths.items()}
        for strength, rows in whole.items():
            gains = torch.tensor(list(MEASURES.values()))[:, None] * (rows - whole[REFERENCE[method]])[:-1]
            ends = torch.stack([gains.mean(1), *bootstrap(gains)], 1).tolist()
            row = {m: {"mean": v, "better than the reference": gain}
                   for m, v, gain in zip(MEASURES, rows[:-1].mean(1).tolist(), ends, strict=True)}
            figures.setdefault(method, {})[strength] = row | {"milliseconds": rows[-1].mean().item()}
            print(f"{method:22}{strength:22}{rows[-1].mean():6.1f} ms   " + "   ".join(
                f"{m} {v['mean']:.3f} ({v['better than the reference'][1]:+.3f} to {v['better than the reference'][2]:+.3f})"
                for m, v in row.items()))
    if args.write:
        command = f"python -m helpers.recipes.strengths --scenes {args.scenes} --write"
        stored = {"command": command, "scenes": args.scenes, "reference": REFERENCE, "methods": figures}
        write_figures(DATA / "strengths.json", stored)


if __name__ == "__main__":
    main()
