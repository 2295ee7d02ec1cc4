"""The lecture's figures with EfficientNet-Lite0, to be looked at: build/figures/*.jpg, and how long each took.

With names, only those: attribution guided inversion classes dream segmentation. Nothing here is a test; what a picture should
show stands above each function. The numbers in the calls are those that gave the clearest pictures of some dozens tried.
"""

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage import data

from helpers.activations import activations
from helpers.attribution import grad_cam, input_gradient, occlusion, relu_backward, saliency, smooth_grad
from helpers.dream import descend_octaves
from helpers.images import load_image, photos, to_pil
from helpers.inversion import code_error, invert
from helpers.losses import total_variation
from helpers.nets import class_index, fast, load_net
from helpers.optimize import NormalizedGradient, descend, last
from helpers.param import FourierImage
from helpers.segmentation import grabcut
from helpers.show import gradient_picture, heat, make_grid, overlay
from helpers.transforms import blur_maps, gaussian_blur, jitter, random_crop, random_rotate

OUT = Path(__file__).resolve().parents[2] / "build/figures"


def album(names, size=224):
    """Photographs that installed packages carry, dict name -> (1,3,size,size).

    The moped is from the Middlebury stereo data, whose licence scikit-image does not say: it is for trying only.
    """
    others = {"moped": lambda: data.stereo_motorcycle()[0], "tripod": data.camera,
              "hopper": lambda: np.asarray(Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)))}
    return {name: load_image(Image.fromarray(others[name]()), size=size) if name in others else photos()[name].load(size)
            for name in names}


def save(rows, name):
    """Rows of pictures of one size, [[(1,3,h,w), ...], ...], as one file."""
    OUT.mkdir(parents=True, exist_ok=True)
    to_pil(make_grid(torch.cat(sum(rows, [])), columns=len(rows[0]), gap=2)).save(OUT / f"{name}.jpg", quality=92)


def top(net, x):
    """The score of the class that the network names, as a function of images; and its number."""
    with torch.no_grad():
        k = net(x).argmax(1).item()
    return (lambda z: net(z)[:, k]), k


def cut_off(values, share=0.995):
    """A map from 0 to 1 at its quantile `share`: a few pixels are far brighter than all others."""
    return (values / values.flatten().quantile(share)).clamp(0, 1)


def maps_of(net, x):
    """The maps of three methods at their best, dict name -> (1,h,w): blurred SmoothGrad, Grad-CAM, occlusion by a blurred cover."""
    score, k = top(net, x)
    log_probability = lambda z: net(z).log_softmax(1)[:, k]
    return {"SmoothGrad": blur_maps(smooth_grad(score, x, sigma=0.15, samples=16), 8),
            "Grad-CAM": grad_cam(net, x, "block16", lambda y: y[:, k]),
            "occlusion": occlusion(log_probability, x, window=64, stride=16, baseline=gaussian_blur(x, 16)).clamp(min=0)}


# The gradient is noise; SmoothGrad outlines dahlia and tower; blurred, it, Grad-CAM and occlusion agree on cup, tower, flower and
# the tripod's legs. Of the cat that fills its picture no window matters: its last map is black.
def attribution(net):
    rows = []
    for x in album(["cat", "espresso", "temple", "dahlia", "tripod"]).values():
        score, _ = top(net, x)
        smooth = smooth_grad(score, x, sigma=0.15, samples=16)
        rows.append([x, heat(cut_off(saliency(score, x))), heat(cut_off(smooth)), *(overlay(x, m) for m in maps_of(net, x).values())])
    save(rows, "attribution")


def shifted_mean(gradient, x, border=32):
    """The mean of a gradient over 16 places of the picture within a mirrored border, (b,3,h,w) -> the same.

    A convolution of stride 2 hands its gradient back unevenly, and five of them leave a lattice of 32 pixels. It stays where it is
    while the picture moves, so the mean has little of it.
    """
    total = torch.zeros_like(x)
    padded = F.pad(x, [border] * 4, mode="reflect")
    for k in range(16):
        shift = (8 * (k // 4) + k % 4, 8 * (k % 4) + k // 4)     # each of 16 rows and columns modulo 32 once
        total += gradient(padded.roll(shift, (2, 3))).roll([-n for n in shift], (2, 3))[..., border:-border, border:-border]
    return total / 16


# Guided backprop draws eyes, rim, roof and petals. Averaged over shifts the lattice is gone, and the lines are closed.
def guided(net):
    rows = []
    for x in album(["cat", "espresso", "temple", "dahlia", "tripod"]).values():
        score, _ = top(net, x)
        plain = input_gradient(score, x)
        with relu_backward("guided"):
            once, many = input_gradient(score, x), shifted_mean(partial(input_gradient, score), x)
            rows.append([x, gradient_picture(plain), gradient_picture(once, share=0.99), gradient_picture(many)])
    save(rows, "guided")


# Every picture gives its layer nearly the features of the cat. Colours go first, then where things are; eyes stay longest.
def inversion(net, *, steps=200, lr=0.12, weight=3e-4):
    x = album(["cat"])["cat"]
    row, errors = [x], {}
    for layer in ("block1", "block3", "block5", "block8", "block11", "block14", "block16"):
        image = FourierImage.noise(*x.shape[2:], generator=torch.Generator().manual_seed(0))
        adam = lambda p: torch.optim.Adam(p, lr=lr)     # in float32: rounded to bf16, deep features cannot be met as closely
        row.append(last(invert(net, x, layer, image=image, tv_weight=weight, steps=steps, optimizer=adam)).image)
        errors[layer] = round(code_error(net, row[-1], x, layer).item(), 2)
    print(f"relative errors of the features: {errors}")
    save([row[:4], row[4:]], "inversion")


# Penguins, a slice, a yellow bus, fish, wings, a lemon's skin: clearer in the second row, where each step sees another part of the
# picture, larger or smaller, instead of all of it a little shifted.
def classes(net, *, steps=150, lr=0.12, weight=2e-3, seed=1):
    names = ["king penguin", "pizza", "school bus", "goldfish", "monarch", "lemon"]
    wanted = torch.tensor([[class_index(net, name)] for name in names])
    generator = torch.Generator()
    views = {"shifts": lambda z: jitter(z, 16, generator=generator),
             "crops": lambda z: random_crop(z, 0.35, 1, size=192, generator=generator)}
    rows = []
    for name, view in views.items():
        start = time.perf_counter()
        image = FourierImage.noise(224, 224, batch=len(names), generator=generator.manual_seed(seed))

        def loss(z, view=view):
            seen = view(random_rotate(z, 10, generator=generator))
            seen = seen + 0.05 * torch.randn(seen.shape, generator=generator)
            with fast(z.device):
                scores = net(seen.contiguous(memory_format=torch.channels_last))
            return weight * total_variation(z).sum() - scores.float().gather(1, wanted).sum()

        rows.append(last(descend(image, loss, steps=steps, optimizer=lambda p: torch.optim.Adam(p, lr=lr))).image.split(1))
        print(f"class pictures with {name}: {time.perf_counter() - start:.1f} s")
    save([list(row) for row in rows], "classes")


# Edges and arcs; animals in the bushes; trees and florets.
def dream(net, *, steps=12, length=0.012, weight=500):
    start, row = photos()["temple"].load((320, 480)), []
    for layer in ("block6", "block11", "block13"):
        generator = torch.Generator().manual_seed(0)

        def loss(z, layer=layer, generator=generator):
            with fast(z.device):
                seen = jitter(z, 16, generator=generator).contiguous(memory_format=torch.channels_last)
                a = activations(net, seen, layer)[layer].float()
            return weight * total_variation(z).sum() / z.numel() - a.square().mean() / 2

        def dreamt(image, loss=loss):       # `length` is that of a step in the root mean square of its pixels
            side = image().numel() ** 0.5
            return descend(image, loss, steps=steps, optimizer=lambda p: NormalizedGradient(p, lr=length * side))

        row.append(last(descend_octaves(start, dreamt, scale=1.4, octaves=4)).image)
    save([row], "dream")


def cut_out(x, values, unknown, background):
    """The object of a map on white, (1,3,h,w) and (1,h,w) -> (1,3,h,w)."""
    return torch.where(grabcut(x, values, background=background, unknown=unknown)[:, None], x, 1.0)


# Three maps, then what GrabCut makes of SmoothGrad's with the pixels in doubt started as ground and as object, and of Grad-CAM's.
# Dahlia, temple and moped come out whole, the officer but for her hat's edge; of the tripod, the grass it stands on.
def segmentation(net):
    rows = []
    ways = [("SmoothGrad", "ground", 0.3), ("SmoothGrad", "object", 0.3), ("Grad-CAM", "ground", 0.3), ("Grad-CAM", "object", 0.5)]
    for x in album(["espresso", "dahlia", "temple", "cat", "moped", "tripod", "hopper"]).values():
        maps = maps_of(net, x)
        rows.append([x, *(overlay(x, m) for m in maps.values()), *(cut_out(x, maps[m], unknown, share) for m, unknown, share in ways)])
    save(rows, "segmentation")


FIGURES = {f.__name__: f for f in (attribution, guided, inversion, classes, dream, segmentation)}


def main(names):
    net = load_net("efficientnet-lite0").to(memory_format=torch.channels_last)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in names or FIGURES:
        start = time.perf_counter()
        FIGURES[name](net)
        print(f"{name:14} {time.perf_counter() - start:6.1f} s   {OUT / name}.jpg", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
