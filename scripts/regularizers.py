"""Compare regularizers of gradient ascent, each tuned, by a network that had no part in it.

coursenet draws the classes of photographs, and coursenet-robust recognizes them or not. Strength,
step size, and number of steps are chosen on one half of the classes; the accuracy is that of the
other half. --write puts it, with what was chosen, into data/regularizers.json.
"""

import argparse
from functools import partial
from itertools import product

import torch

from common import write_table
from helpers.feature_visualization import is_classified_as, maximize_class
from helpers.losses import total_variation
from helpers.networks import load_net
from helpers.optimization import NormalizedGradient
from helpers.parametrization import FourierImage, MacoImage, PixelImage, mean_magnitude
from helpers.photos import photos
from helpers.scenes import SHAPES
from helpers.transforms import gaussian_blur, jitter, random_crop

STEPS = (16, 48, 144)       # after how many of them an image is judged


class ChangedPixels(PixelImage):
    """Pixels that `change(x, gradient, index)` returns after each step (Yosinski 2015)."""

    def __init__(self, start, change):
        super().__init__(start)
        self.change = change
        self.index = 0

    @torch.no_grad()
    def project(self):
        super().project()
        self.index += 1
        self.pixels.copy_(self.change(self.pixels, self.pixels.grad, self.index))


def clip(x, size, fraction):
    """Set the fraction of pixels with the smallest size (b,h,w) to gray, (b,3,h,w) -> (b,3,h,w)."""
    threshold = size.flatten(1).quantile(fraction, dim=1).view(-1, 1, 1)
    return torch.where((size < threshold)[:, None], 0.5, x)


def maco(n):
    album = photos()
    names = ("cat", "espresso", "astronaut", "rocket", "temple", "dahlia", "hopper")
    magnitude = mean_magnitude(torch.cat([album[name].load(64) for name in names]))
    return MacoImage.noise(magnitude, batch=n)


def methods(generator):
    """Return name -> (image, optimizer, strengths, step sizes, strength -> options)."""
    pixels = lambda n: PixelImage.noise(64, 64, batch=n)
    fourier = lambda n: FourierImage.noise(64, 64, batch=n)
    adam = torch.optim.Adam
    fixed = NormalizedGradient      # steps of a fixed length
    lengths = (0.5, 1.0, 2.0)
    rates = (0.05, 0.1, 0.25, 0.5)

    def blur(x, index, sigma):
        return gaussian_blur(x, sigma) if index % 4 == 0 else x

    def changed(change):
        return {"image": lambda n: ChangedPixels(pixels(n)(), change)}

    shift = lambda s: {"transform": lambda x: jitter(x, s, generator=generator)}
    crop = lambda s: {"transform": lambda x: random_crop(x, s, size=64, generator=generator)}
    l2 = lambda s: {"regularizer": lambda x: s * (x - 0.5).square().sum((1, 2, 3))}
    smoothness = lambda s: {"regularizer": lambda x: s * total_variation(x)}
    blurring = lambda s: changed(lambda x, g, i: blur(x, i, s))
    clip_norm = lambda s: changed(lambda x, g, i: clip(blur(x, i, 0.7), (x - 0.5).norm(dim=1), s))
    clip_contribution = lambda s: changed(lambda x, g, i: clip(x, ((x - 0.5) * g).sum(1).abs(), s))
    return {
        "no regularizer": (pixels, fixed, (None,), lengths, lambda s: {}),
        "L2": (pixels, fixed, (0.02, 0.1), lengths, l2),
        "blur": (pixels, fixed, (0.5, 0.8), lengths, blurring),
        "blur, clipped by norm": (pixels, fixed, (0.1, 0.4), lengths, clip_norm),
        "clipped by contribution": (pixels, fixed, (0.1, 0.4), lengths, clip_contribution),
        "total variation": (pixels, fixed, (0.01, 0.05), lengths, smoothness),
        "jitter": (pixels, fixed, (4, 8), lengths, shift),
        "random crops": (pixels, fixed, (0.35, 0.6), lengths, crop),
        "Fourier, jitter": (fourier, adam, (4,), rates, shift),
        "MACO, jitter": (maco, adam, (4,), (0.1, 0.3, 1.0), shift),
    }


def tune(net, judge, generator, image, optimizer, strengths, sizes, options):
    """Choose what is best on even classes, and return its accuracy on odd ones."""
    def accuracies(classes, strength, size):
        generator.manual_seed(0)
        chosen = {"image": image} | options(strength)
        start = chosen.pop("image")(len(classes))
        steps = maximize_class(net, classes, steps=STEPS[-1], image=start,
                               optimizer=partial(optimizer, lr=size), **chosen)
        hits = {step.index: is_classified_as(judge, step.image.clamp(0, 1), classes)
                for step in steps if step.index in STEPS}
        return {steps: hit.float().mean().item() for steps, hit in hits.items()}

    n = len(net.classes) - len(SHAPES)
    tried = {}
    for strength, size in product(strengths, sizes):
        for steps, accuracy in accuracies(range(0, n, 2), strength, size).items():
            tried[strength, size, steps] = accuracy
    strength, size, steps = max(tried, key=tried.get)
    accuracy = accuracies(range(1, n, 2), strength, size)[steps]
    return {"accuracy": accuracy, "strength": strength, "step size": size, "steps": steps}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    generator = torch.Generator()
    net, judge = load_net("coursenet"), load_net("coursenet-robust")
    table = {}
    for name, row in methods(generator).items():
        table[name] = tune(net, judge, generator, *row)
        print(name, table[name], flush=True)
    if args.write:
        write_table("regularizers", table)


if __name__ == "__main__":
    main()
