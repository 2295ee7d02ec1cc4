"""Measure whether networks classify by shape or by texture (Geirhos 2019).

Style transfer gives each photograph the textures of six others. Which of the two classes does a
network predict? PHOTOS holds photographs whose names end in a class, "n07873807_pizza.webp".
--write puts the fraction of shape, with its interval, into data/cue_conflict.json.
"""

import argparse
from pathlib import Path

import torch

from common import write_table
from helpers.images import load_image, resize
from helpers.metrics import wilson_ci
from helpers.networks import load_net
from helpers.optimization import last
from helpers.style import LAYERS, style_grams, style_transfer

SIZE = {"coursenet": 64, "coursenet-robust": 64, "efficientnet-lite0": 224}
TEXTURES = 6


def read_photos(folder, nets):
    """Load the photographs of classes that all networks have: names, (n,3,224,224)."""
    files = {path.stem.split("_", 1)[1].replace("_", " "): path for path in folder.glob("n*_*")}
    names = [name for name in sorted(files) if all(name in net.classes for net in nets.values())]
    return names, torch.cat([load_image(files[name], size=224) for name in names])


@torch.no_grad()
def predict(net, x, names, size):
    """Predict the most probable of these classes, (b,3,h,w) -> (b,)."""
    columns = [net.classes.index(name) for name in names]
    return torch.cat([net(resize(part, size))[:, columns].argmax(1) for part in x.split(8)])


def conflicts(net, photos, shape, texture, style_weight):
    """Give photographs the textures of others, (n,3,224,224)."""
    images = []
    for s, t in zip(shape.split(TEXTURES), texture.split(TEXTURES)):
        grams = style_grams(net, photos[t], LAYERS[1:])     # without the pixels
        steps = style_transfer(net, photos[s], grams, sizes=(112, 224), steps=(50, 40),
                               style_weight=style_weight)
        images.append(last(steps).image)
    return torch.cat(images)


def shape_bias(predicted, shape, texture):
    """Compute the fraction of shape among predictions of either, and its Wilson interval."""
    by_shape = predicted == shape
    either = by_shape | (predicted == texture)
    return [float(value) for value in wilson_ci(by_shape[either])]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    nets = {name: load_net(name) for name in SIZE}
    names, photos = read_photos(args.photos, nets)
    n = len(names)
    shape = torch.arange(n).repeat_interleave(TEXTURES)
    step = torch.arange(1, TEXTURES + 1) * max(1, n // (TEXTURES + 1))
    texture = (shape + step.repeat(n)) % n
    table = {"classes": names}
    for weight in (3.0, 30.0):
        x = conflicts(nets["efficientnet-lite0"], photos, shape, texture, weight)
        row = table[f"style weight {weight:g}"] = {}
        for name, net in nets.items():
            correct = predict(net, photos, names, SIZE[name]) == torch.arange(n)
            fair = correct[shape] & correct[texture]    # it knows both
            predicted = predict(net, x[fair], names, SIZE[name])
            row[name] = shape_bias(predicted, shape[fair], texture[fair])
        print(weight, row, flush=True)
    if args.write:
        write_table("cue_conflict", table)


if __name__ == "__main__":
    main()
