"""Regularisers of gradient ascent, each at its best, judged by a network that had no part:  python -m helpers.recipes.ascent [--write]

One network draws classes of photographs, and the other is asked what they are. How strong each regulariser is, how long its steps and
how many of them are chosen on one half of the classes; what is reported is the other half. Then the step from pixels to waves, one
thing exchanged at a time. With --write the figures go into data/ascent.json, which the notebook shows.
"""

import argparse
import json
import time
from functools import partial
from itertools import product

import torch
from torch import nn

from helpers.ascent import ascend, grey_where_small, named
from helpers.files import write_text
from helpers.images import photos
from helpers.losses import total_variation
from helpers.nets import DATA, PHOTOGRAPHS, load_net
from helpers.optimize import NormalizedGradient
from helpers.param import OPPONENT, SPREAD, FourierImage, MacoImage, PixelImage, mean_magnitude
from helpers.transforms import gaussian_blur, jitter, random_crop, random_rotate, random_scale

CHOSEN, JUDGED = list(range(0, PHOTOGRAPHS, 2)), list(range(1, PHOTOGRAPHS, 2))
LENGTHS = (16, 48, 144)         # after how many steps a picture is looked at


class Exchanged(nn.Module):
    """Between PixelImage and FourierImage, one property at a time: an image module for n pictures of 64 x 64.

    `sigmoid` keeps pixels within (0, 1), else they are clamped when drawn, and one beyond has no gradient; `colours` are brightness and
    two differences, else red, green and blue; `waves` in place of pixels; `falloff` divides each wave by its frequency.
    """

    def __init__(self, n, *, sigmoid=True, colours=True, waves=True, falloff=True, sigma=0.01, seed=0):
        super().__init__()
        waves_only = FourierImage.noise(64, 64)
        self.sigmoid, self.waves = sigmoid, waves
        axes = OPPONENT * SPREAD[:, None] if colours else torch.eye(3)
        flat = waves_only.scale[:1] / SPREAD[0] if falloff else torch.ones_like(waves_only.scale[:1])
        self.register_buffer("axes", axes), self.register_buffer("falloff", flat)
        generator = torch.Generator().manual_seed(seed)
        shape = (n, *waves_only.spectrum.shape[1:]) if waves else (n, 3, 64, 64)
        self.parameter = nn.Parameter(sigma * torch.randn(shape, generator=generator))

    def forward(self):
        p = self.parameter
        planes = torch.fft.irfft2(torch.view_as_complex(p) * self.falloff, s=(64, 64), norm="ortho") if self.waves else p
        x = torch.einsum("kc,bkhw->bchw", self.axes, planes)
        return x.sigmoid() if self.sigmoid else (0.5 + x).clamp(0, 1)


def adam(lr):
    return lambda p: torch.optim.Adam(p, lr=lr)


def of_length(lr):
    return lambda p: NormalizedGradient(p, lr=lr)


def grey(n):
    return PixelImage.noise(64, 64, batch=n, generator=torch.Generator().manual_seed(0))


def waves(n):
    return FourierImage.noise(64, 64, batch=n, generator=torch.Generator().manual_seed(0))


def fixed(n):
    several = torch.cat([p.load(64) for name, p in photos().items() if name not in ("hubble", "cameraman")])
    return MacoImage.noise(mean_magnitude(several), batch=n, generator=torch.Generator().manual_seed(0))


def scaled_and_turned(x, generator):
    return jitter(random_rotate(random_scale(x, 0.85, 1.15, generator=generator), 10, generator=generator), 4, generator=generator)


def regularisers(dice):
    """The rows of the first table, name -> (how it is drawn with one strength, the strengths, the step lengths)."""
    steps, small = (0.5, 1.0, 2.0), (0.01, 0.02, 0.05)
    turned = partial(scaled_and_turned, generator=dice)
    pixels = lambda lr, **how: {"image": grey, "optimizer": of_length(lr), **how}
    return {
        "nothing": (lambda s, lr: pixels(lr), (None,), steps),
        "L2": (lambda s, lr: pixels(lr, penalty=lambda x: s * (x - 0.5).square().sum((1, 2, 3))), (0.02, 0.1), steps),
        "blur": (lambda s, lr: pixels(lr, between=lambda x, g, i: gaussian_blur(x, s) if i % 4 == 0 else x), (0.5, 0.8), steps),
        "blur and small pixels": (lambda s, lr: pixels(lr, between=lambda x, g, i: grey_where_small(
            gaussian_blur(x, 0.7) if i % 4 == 0 else x, (x - 0.5).norm(dim=1), s)), (0.1, 0.4), steps),
        "small gradients": (lambda s, lr: pixels(lr, between=lambda x, g, i: grey_where_small(
            x, ((x - 0.5) * g).sum(1).abs(), s)), (0.1, 0.4), steps),
        "total variation": (lambda s, lr: pixels(lr, penalty=lambda x: s * total_variation(x)), (0.01, 0.05), steps),
        "jitter": (lambda s, lr: pixels(lr, see=lambda x: jitter(x, s, generator=dice)), (4, 8), steps),
        "jitter, scales, turns": (lambda s, lr: pixels(lr, see=turned), (None,), steps),
        "random crops": (lambda s, lr: pixels(lr, see=lambda x: random_crop(x, s, size=64, generator=dice)), (0.35, 0.6), steps),
        "jitter, by Adam": (lambda s, lr: {"image": grey, "optimizer": adam(lr), "see": lambda x: jitter(x, s, generator=dice)},
                            (4,), small),
        "waves and jitter": (lambda s, lr: {"image": waves, "optimizer": adam(lr), "see": lambda x: jitter(x, s, generator=dice)},
                             (4,), (0.05, 0.1, 0.25, 0.5)),
        "waves, scales, turns": (lambda s, lr: {"image": waves, "optimizer": adam(lr), "see": turned}, (None,), (0.05, 0.1, 0.25, 0.5)),
        "fixed magnitude": (lambda s, lr: {"image": fixed, "optimizer": adam(lr), "see": turned}, (None,), (0.1, 0.3, 1.0)),
    }


def exchanges(dice):
    """The rows of the second table: from pixels to waves, all with Adam and jitter by 4."""
    shift = {"see": lambda x: jitter(x, 4, generator=dice)}
    rows = {"pixels, clamped": {"sigmoid": False, "colours": False, "waves": False, "sigma": 0.1},
            "pixels, sigmoid": {"colours": False, "waves": False, "sigma": 0.4},
            "and colours": {"waves": False, "sigma": 0.4},
            "and waves": {"falloff": False, "sigma": 0.4},
            "and 1/f": {},
            "waves and 1/f, no colours": {"colours": False},
            "waves and 1/f, no sigmoid": {"sigmoid": False},
            "waves and 1/f, a strong start": {"sigma": 0.4}}
    lengths = (0.01, 0.03, 0.1, 0.3)
    return {name: (lambda s, lr, how=how: {"image": lambda n: Exchanged(n, **how), "optimizer": adam(lr), **shift}, (None,), lengths)
            for name, how in rows.items()}


def drawn(net, other, classes, how, dice):
    """Draws the classes and asks the other network after each of LENGTHS: steps -> (n,) bool."""
    dice.manual_seed(0)
    found, how = {}, dict(how)
    for step in ascend(net, classes, steps=LENGTHS[-1], image=how.pop("image")(len(classes)), exact=False, **how):
        if step.index in LENGTHS:
            found[step.index] = named(other, step.image.clamp(0, 1), classes)
    return found


def at_its_best(net, other, draw, strengths, lengths, dice):
    """The share that the other network names, of the judged classes, with what was best for the chosen ones."""
    tried = {(s, lr, n): hit.float().mean().item() for s, lr in product(strengths, lengths)
             for n, hit in drawn(net, other, CHOSEN, draw(s, lr), dice).items()}
    strength, lr, steps = max(tried, key=tried.get)
    judged = drawn(net, other, JUDGED, draw(strength, lr), dice)[steps].float().mean().item()
    return {"judged": judged, "chosen": max(tried.values()), "strength": strength, "step": lr, "steps": steps, "tried": len(tried)}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.ascent", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", nargs="+", help="only those whose name contains one of these")
    parser.add_argument("--write", action="store_true", help="put the figures into data/ascent.json")
    args = parser.parse_args(argv)
    if args.rows and args.write:
        parser.error("--write puts all rows into one file: leave --rows out.")
    dice, found = torch.Generator(), {}
    net, robust = (load_net(name).to(memory_format=torch.channels_last) for name in ("coursenet", "coursenet-robust"))
    plain = {"nothing, coursenet-robust": (regularisers(dice)["nothing"][0], (None,), (0.5, 1.0, 2.0))}
    for title, rows in {"regularisers": regularisers(dice) | plain, "exchanged": exchanges(dice)}.items():
        print(f"\n{title}: named by the other network, of {len(JUDGED)} classes that had no part in the choice")
        for name, row in rows.items():
            if args.rows and not any(part in name for part in args.rows):
                continue
            start, (one, other) = time.perf_counter(), (robust, net) if "robust" in name else (net, robust)
            found.setdefault(title, {})[name] = f = at_its_best(one, other, *row, dice)
            print(f"{name:32} {f['judged']:4.0%}   (chosen {f['chosen']:4.0%}: strength {f['strength']}, step {f['step']}, "
                  f"{f['steps']} steps; of {f['tried']} tried)  {time.perf_counter() - start:.0f} s", flush=True)
    if args.write:
        write_text(DATA / "ascent.json", json.dumps({"command": "python -m helpers.recipes.ascent --write"} | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
