"""Heat maps against rivals that know nothing, by three networks:  python -m helpers.recipes.league [--scenes N] [--write]

The scenes are drawn anew at each network's own size. EfficientNet-Lite0 does not know their eight shapes: a linear readout of its last
features is trained for them, on other scenes. With --write the figures go into data/league.json, which the notebook shows.
"""

import argparse
import time
from collections import OrderedDict
from functools import partial

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from helpers.attribution import grad_cam, integrated_gradients, occlusion, relu_backward, saliency, smooth_grad
from helpers.evaluation import bootstrap, deletion, insertion, mass_inside, pointing_game
from helpers.features import codes
from helpers.nets import DATA, OURS, Network, fast, load_net
from helpers.recipes.marks import write_figures
from helpers.rivals import centre, contrast, detail, edges, untrained
from helpers.transforms import blur_maps, gaussian_blur
from helpers.world.scenes import SHAPES, render_scenes

LAST_MAPS = {"coursenet": "relu5", "coursenet-robust": "relu5", "efficientnet-lite0": "block16"}
EARLIER = {"coursenet": "relu4", "coursenet-robust": "relu4", "efficientnet-lite0": "block11"}
SIZE = {"coursenet": 64, "coursenet-robust": 64, "efficientnet-lite0": 224}
MEASURES = {"pointing": 1, "mass": 1, "deletion": -1, "insertion": 1}        # -1: low is good
RIVALS = ("random", "centre", "saliency, untrained")
FITTED, AT_ONCE = 800, 10


def with_readout(net, scenes):
    """The network with a new last layer: logistic regression of the shapes on what its average pooling gives."""
    z = codes(net, scenes.images, "avgpool")["avgpool"].numpy()
    scale, readout = StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)
    make_pipeline(scale, readout).fit(z, scenes.labels.numpy())
    weight = readout.coef_ / scale.scale_
    fc = nn.Linear(weight.shape[1], len(SHAPES))
    fc.weight.data = torch.from_numpy(weight).float()
    fc.bias.data = torch.from_numpy(readout.intercept_ - weight @ scale.mean_).float()
    layers = OrderedDict(net.named_children()) | {"fc": fc}
    return Network(layers.items(), SHAPES).eval().requires_grad_(False)


def own(net, k, what=lambda scores: scores):
    """Each image's own class: images (b,3,h,w), classes (b,) -> (b,) of what is made of the scores."""
    return lambda x: what(net(x))[torch.arange(len(x)), k.repeat(len(x) // len(k))]


def maps_of(net, fresh, name, x, k, generator):
    """The maps of all methods for images (b,3,h,w) and their classes (b,), dict name -> (b,h,w). Lengths grow with the picture."""
    side, score, untaught, mean = x.shape[-1], own(net, k), own(fresh, k), x.mean((2, 3), keepdim=True)
    log_probability, window = own(net, k, partial(torch.log_softmax, dim=1)), side * 3 // 32
    with fast(x.device, exact=name not in OURS):        # gradients of EfficientNet-Lite0 are faster in float32
        smooth = smooth_grad(score, x, samples=16, sigma=0.15)
        walked = [integrated_gradients(s, x, baseline=mean, steps=16).sum(1).abs() for s in (score, untaught)]
        with relu_backward("guided"):
            guided = saliency(score, x)
        with relu_backward("deconvnet"):
            deconvnet = saliency(score, x)
        maps = {
            "random": torch.rand(x.shape[0], side, side, generator=generator), "centre": centre(x), "edges": edges(x),
            "contrast": contrast(x), "detail": detail(x, side / 13), "saliency, untrained": saliency(untaught, x),
            "integrated gradients, untrained": walked[1], "saliency": saliency(score, x),
            "SmoothGrad": smooth, "SmoothGrad, blurred": blur_maps(smooth, side / 28), "integrated gradients": walked[0],
            "deconvnet": deconvnet, "guided": guided,
            "Grad-CAM": grad_cam(net, x, LAST_MAPS[name], own(lambda y: y, k)),
            "Grad-CAM, earlier": grad_cam(net, x, EARLIER[name], own(lambda y: y, k))}
    with fast(x.device):
        cover = gaussian_blur(x, side / 14).clamp(0, 1)
        maps["occlusion"] = occlusion(log_probability, x, window=window, stride=window // 2, baseline=cover)
    return {method: m.float() for method, m in maps.items()}


def judged(net, name, scenes, labels):
    """All methods by all measures, dict method -> (measures, n)."""
    generator, fresh, parts = torch.Generator().manual_seed(0), untrained(name), {}
    for x, k, inside in zip(scenes.images.split(AT_ONCE), labels.split(AT_ONCE), scenes.masks.split(AT_ONCE), strict=True):
        x = x.contiguous(memory_format=torch.channels_last)
        probability = own(net, k, partial(torch.softmax, dim=1))
        maps = maps_of(net, fresh, name, x, k, generator)
        maps["the object itself"] = inside.float()          # the most that pointing and mass can reach
        stack = torch.stack(list(maps.values()))
        with fast(x.device):
            found = torch.stack([pointing_game(stack, inside), mass_inside(stack, inside),
                                 deletion(probability, x, stack), insertion(probability, x, stack, sigma=x.shape[-1] / 13)], 1)
        for method, rows in zip(maps, found, strict=True):
            parts.setdefault(method, []).append(rows)
    return {method: torch.cat(rows, 1) for method, rows in parts.items()}


def summary(results):
    """Means, and the paired differences to three rivals with their 95% intervals, as numbers that JSON can hold."""
    signs = torch.tensor(list(MEASURES.values()))[:, None]
    out = {}
    for method, rows in results.items():
        out[method] = {measure: {"mean": mean} for measure, mean in zip(MEASURES, rows.mean(1).tolist(), strict=True)}
        for rival in RIVALS:
            gain = signs * (rows - results[rival])          # positive is better, whatever the measure
            for measure, mean, low, high in zip(MEASURES, gain.mean(1), *bootstrap(gain), strict=True):
                out[method][measure][f"better than {rival}"] = [mean.item(), low.item(), high.item()]
    return out


def table(figures):
    """One row a method: means, and + or - where the interval of the paired difference to each of the rivals leaves 0 out."""
    def mark(interval):
        return "+" if interval[1] > 0 else "-" if interval[2] < 0 else "."

    lines = [f"{'':20}" + "".join(f"{measure:>14}" for measure in MEASURES)]
    for method, row in figures.items():
        cells = (f"{v['mean']:.2f} " + "".join(mark(v[f"better than {rival}"]) for rival in RIVALS) for v in row.values())
        lines.append(f"{method:20}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.league", description=__doc__)
    parser.add_argument("--scenes", type=int, default=100, help="how many each network is asked (100)")
    parser.add_argument("--networks", nargs="+", default=list(SIZE), choices=list(SIZE))
    parser.add_argument("--write", action="store_true", help="put the figures into data/league.json")
    args = parser.parse_args(argv)
    if args.write and set(args.networks) != set(SIZE):
        parser.error("--write puts the figures of all networks into one file: leave --networks out.")
    found = {}
    for name in args.networks:
        start, net = time.perf_counter(), load_net(name).to(memory_format=torch.channels_last)
        scenes = render_scenes(range(10_000, 10_000 + args.scenes), seed=5, size=SIZE[name])
        if name == "efficientnet-lite0":
            net = with_readout(net, render_scenes(range(FITTED), seed=5, size=SIZE[name]))
        labels = scenes.labels + len(net.classes) - len(SHAPES)
        right = torch.cat([net(x).argmax(1) for x in scenes.images.split(AT_ONCE)]).eq(labels).float().mean().item()
        figures = summary(judged(net, name, scenes, labels))
        found[name] = {"named right": right, "scenes": args.scenes, "size": SIZE[name], "methods": figures}
        print(f"\n{name}, {SIZE[name]} pixels, {args.scenes} scenes, {right:.0%} named right, {time.perf_counter() - start:.0f} s\n"
              f"{table(figures)}\n+ better, - worse, . neither, than {', than '.join(RIVALS)} (95% intervals)", flush=True)
    if args.write:
        command = f"python -m helpers.recipes.league --scenes {args.scenes} --write"
        write_figures(DATA / "league.json", {"command": command, "networks": found})


if __name__ == "__main__":
    main()
