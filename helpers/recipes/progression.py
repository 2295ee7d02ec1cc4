"""From noise to class pictures, step by step:  python -m helpers.recipes.progression [--write]

EfficientNet-Lite0 draws six classes in nine ways, from plain ascent on pixels to fixed magnitudes, and twelve other classes in two
ways for a blind test. With --write the pictures go into data/pictures/progression.webp and quiz.webp, and what the network says of
them into data/progression.json; the notebook shows both.
"""

import argparse
import json
import time
from functools import partial

import torch
import torch.nn.functional as F

from helpers.ascent import class_pictures, grey_where_small
from helpers.files import whole, write_text
from helpers.images import photos, resize, to_pil
from helpers.losses import total_variation
from helpers.nets import DATA, class_index, load_net
from helpers.optimize import NormalizedGradient
from helpers.param import FourierImage, MacoImage, PixelImage, mean_magnitude
from helpers.show import make_grid
from helpers.transforms import gaussian_blur, jitter, random_crop, random_rotate, random_scale

SHOWN = ["king penguin", "pizza", "school bus", "goldfish", "monarch", "lemon"]
ASKED = ["zebra", "strawberry", "flamingo", "volcano", "tiger", "pineapple", "jellyfish", "cheeseburger", "tractor", "hourglass",
         "tennis ball", "snail"]
SIZE, TILE = 224, 160


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def pixels(n):
    return PixelImage.noise(SIZE, SIZE, batch=n, sigma=0.05, generator=seeded())


def waves(n):
    return FourierImage.noise(SIZE, SIZE, batch=n, generator=seeded())


def phases(n):
    several = torch.cat([p.load(SIZE) for name, p in photos().items() if name not in ("hubble", "cameraman")])      # these two are grey
    return MacoImage.noise(mean_magnitude(several), batch=n, generator=seeded())


def turned_and_cropped(x, dice):
    """Turned a little, then a part of it, larger or smaller, then a little noise: (b,3,h,w) -> (b,3,192,192)."""
    part = random_crop(random_rotate(x, 10, generator=dice), 0.35, 1, size=192, generator=dice)
    return part + 0.05 * torch.randn(part.shape, generator=dice)


def shifted_scaled_and_turned(x, dice):
    return jitter(random_rotate(random_scale(x, 0.9, 1.1, generator=dice), 10, generator=dice), 16, generator=dice)


def rows(dice):
    """Each way to draw, name -> arguments of `class_pictures`; what is random in it is drawn from `dice`."""
    by_length = lambda length: {"image": pixels, "optimizer": lambda p: NormalizedGradient(p, lr=length)}
    by_adam = lambda image, lr: {"image": image, "optimizer": lambda p: torch.optim.Adam(p, lr=lr)}
    shift, crop = partial(jitter, pixels=16, generator=dice), partial(turned_and_cropped, dice=dice)
    smooth = lambda x: 2e-3 * total_variation(x)

    def blurred_and_clipped(x, gradient, index):
        return grey_where_small(gaussian_blur(x, 0.8) if index % 4 == 0 else x, (x - 0.5).norm(dim=1), 0.2)

    return {"nothing": by_length(4.0),
            "L2": by_length(4.0) | {"penalty": lambda x: 0.02 * (x - 0.5).square().sum((1, 2, 3))},
            "blur and clipping": by_length(10.0) | {"between": blurred_and_clipped},
            "jitter": by_length(4.0) | {"see": shift},
            "jitter, scales, turns": by_length(4.0) | {"see": partial(shifted_scaled_and_turned, dice=dice)},
            "random crops": by_length(4.0) | {"see": crop},
            "waves, jitter": by_adam(waves, 0.12) | {"see": shift, "penalty": smooth},
            "waves, random crops": by_adam(waves, 0.12) | {"see": crop, "penalty": smooth},
            "fixed magnitude, random crops": by_adam(phases, 0.1) | {"see": crop}}


def draw(net, names, how, dice, steps=150):
    dice.manual_seed(1)
    return class_pictures(net, [class_index(net, name) for name in names], steps=steps, exact=False, **how).clamp(0, 1)


@torch.no_grad()
def said_of(net, pictures, names, crops=10):
    """Mean score of the class that a picture was drawn for; the share of random crops that are named so; both by the network itself."""
    k, dice = torch.tensor([class_index(net, name) for name in names]), seeded(2)
    right = [net(random_crop(pictures, 0.5, 1, size=SIZE, generator=dice)).argmax(1) == k for _ in range(crops)]
    return {"score": net(pictures)[range(len(k)), k].mean().item(), "crops": torch.stack(right).float().mean().item()}


def named_by_others(pictures, names):
    """How many of the pictures our small pair names, at 64 pixels, among its classes of photographs."""
    found = {}
    for other in ("coursenet", "coursenet-robust"):
        judge, small = load_net(other), F.interpolate(pictures, 64, mode="bilinear", antialias=True).clamp(0, 1)
        found[other] = sum(judge.classes[i] == name for i, name in zip(judge(small).argmax(1).tolist(), names, strict=True))
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.progression", description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--out", type=str, help="a folder to look at the pictures first, as PNG")
    parser.add_argument("--write", action="store_true", help="store pictures and figures in data/")
    args = parser.parse_args(argv)
    net, dice = load_net("efficientnet-lite0").to(memory_format=torch.channels_last), torch.Generator()
    sheets, figures = {}, {}
    for name, how in rows(dice).items():
        start = time.perf_counter()
        pictures = draw(net, SHOWN, how, dice, args.steps)
        figures[name] = said_of(net, pictures, SHOWN) | named_by_others(pictures, SHOWN)
        sheets.setdefault("progression", []).append(resize(pictures, TILE))
        print(f"{name:32} score {figures[name]['score']:5.1f}, {figures[name]['crops']:4.0%} of its crops named by itself, "
              f"{figures[name]['coursenet']} of {len(SHOWN)} by coursenet, {figures[name]['coursenet-robust']} by coursenet-robust   "
              f"{time.perf_counter() - start:.0f} s", flush=True)
        if args.out:
            to_pil(make_grid(pictures, columns=len(SHOWN))).save(f"{args.out}/{name}.png")
    for name in ("random crops", "waves, random crops"):
        sheets.setdefault("quiz", []).append(resize(draw(net, ASKED, rows(dice)[name], dice, args.steps), TILE))
    for name, parts in sheets.items():
        sheet = to_pil(make_grid(torch.cat(parts), columns=len(parts[0]), gap=0))
        if args.out:
            sheet.save(f"{args.out}/{name}.png")
        if args.write:
            with whole(DATA / f"pictures/{name}.webp") as beside:
                sheet.save(beside, quality=40)
    if args.write:
        facts = {"command": "python -m helpers.recipes.progression --write", "steps": args.steps, "shown": SHOWN, "asked": ASKED}
        write_text(DATA / "progression.json", json.dumps(facts | {"rows": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
