"""Compare heat maps with baselines on rendered scenes, for three networks.

The scenes are rendered at each network's own size. EfficientNet-Lite0 does not know their shapes: a
logistic regression of the features after its average pooling takes the place of its last layer.
--write puts means, and differences to three baselines with 95% intervals, into data/benchmark.json.
"""

import argparse
from collections import OrderedDict
from functools import partial

import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from common import interval, write_table
from helpers.all_methods import METHODS
from helpers.attribution import class_score
from helpers.baselines import center_prior, color_contrast, high_pass
from helpers.features import extract_features
from helpers.metrics import deletion, insertion, pointing_game
from helpers.networks import load_net, random_network
from helpers.scenes import SHAPES, render_scenes
from helpers.transforms import blur_maps

SIZE = {"coursenet": 64, "coursenet-robust": 64, "efficientnet-lite0": 224}
MEASURES = ("pointing game", "deletion", "insertion")
BASELINES = ("random", "center", "saliency, random network")
BATCH = 8


def with_probe(net, scenes):
    """Replace the last layer by a logistic regression of the scenes' shapes."""
    features = extract_features(net, scenes.images, "avgpool", batch=BATCH)
    model = LogisticRegression(max_iter=1000).fit(features, scenes.labels)
    fc = nn.Linear(features.shape[1], len(SHAPES))
    fc.weight.data = torch.from_numpy(model.coef_).float()
    fc.bias.data = torch.from_numpy(model.intercept_).float()
    layers = OrderedDict(net.named_children(), fc=fc)
    return nn.Sequential(layers).eval().requires_grad_(False)


def heat_maps(net, random_net, x, classes, generator):
    """Compute the maps of all baselines and methods, name -> (b,h,w)."""
    side = x.shape[-1]
    maps = {
        "random": torch.rand(len(x), side, side, generator=generator),
        "center": center_prior(x),
        "color contrast": color_contrast(x),
        "high-pass": high_pass(x, side / 13),
        "saliency, random network": METHODS["saliency"](random_net, x, classes),
    }
    maps |= {name: method(net, x, classes) for name, method in METHODS.items()}
    maps["SmoothGrad, blurred"] = blur_maps(maps["SmoothGrad"], side / 28)
    return maps


def measure(net, name, scenes, labels):
    """Measure all methods on all scenes, method -> measure -> (n,)."""
    random_net = random_network(name)
    generator = torch.Generator().manual_seed(0)
    parts = []
    batches = zip(scenes.images.split(BATCH), labels.split(BATCH), scenes.masks.split(BATCH))
    for x, classes, masks in batches:
        probability = class_score(net, classes, partial(torch.softmax, dim=1))
        maps = heat_maps(net, random_net, x, classes, generator)
        maps["ground-truth mask"] = masks.float()       # always points at the object
        stack = torch.stack(list(maps.values()))        # (methods,b,h,w)
        found = [pointing_game(stack, masks),
                 deletion(probability, x, stack),
                 insertion(probability, x, stack, sigma=x.shape[-1] / 13)]
        parts.append(torch.stack(found))
    found = torch.cat(parts, 2)                         # (measures,methods,n)
    return {method: dict(zip(MEASURES, found[:, k])) for k, method in enumerate(maps)}


def summarize(results, baselines):
    """Compute means, and paired differences to baselines, method -> measure -> intervals."""
    summary = {}
    for method, row in results.items():
        for name, values in row.items():
            sign = -1 if name == "deletion" else 1      # a positive difference is better
            entry = {f"better than {baseline}": interval(sign * (values - results[baseline][name]))
                     for baseline in baselines}
            entry["mean"] = values.mean().item()
            summary.setdefault(method, {})[name] = entry
    return summary


def show(title, summary):
    """Print the means of all methods."""
    for method, row in summary.items():
        means = [f"{name} {entry['mean']:.3f}" for name, entry in row.items()]
        print(title, method, *means, sep="  ", flush=True)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    table = {}
    for name in SIZE:
        net = load_net(name)
        scenes = render_scenes(range(10_000, 10_000 + args.scenes), seed=5, size=SIZE[name])
        labels = scenes.labels
        if name == "efficientnet-lite0":
            net = with_probe(net, render_scenes(800, seed=5, size=SIZE[name]))
        else:
            labels = labels + len(net.classes) - len(SHAPES)
        logits = torch.cat([net(x) for x in scenes.images.split(BATCH)])
        accuracy = (logits.argmax(1) == labels).float().mean().item()
        methods = summarize(measure(net, name, scenes, labels), BASELINES)
        table[name] = {"accuracy": accuracy, "scenes": args.scenes, "methods": methods}
        show(f"{name}: accuracy {accuracy:.0%}", methods)
    if args.write:
        write_table("benchmark", table)


if __name__ == "__main__":
    main()
