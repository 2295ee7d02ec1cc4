"""What was reached in the open exercises, on pictures of another draw than a reader's:  python -m helpers.recipes.leaderboard [--write]

Prints the table of each contest; --write puts it into data/leaderboard.json. Takes some minutes.
"""

import argparse
import json

import torch

from helpers.ascent import class_pictures
from helpers.attribution import input_gradient, saliency
from helpers.exercises import contests
from helpers.exercises.detective import paste_tag, tint
from helpers.files import write_text
from helpers.images import photos
from helpers.losses import total_variation
from helpers.nets import load_net
from helpers.optimize import descend, last
from helpers.param import FourierImage, PixelImage
from helpers.rivals import centre, contrast, detail, edges
from helpers.transforms import jitter

SEED = 1000     # a reader's scores are of seed 0


# ---- Maps that ask no network ----

def by_luck(x):
    return torch.rand(x[:, 0].shape, generator=torch.Generator().manual_seed(0))


# ---- Occluders: which pixels to make grey ----

def growing(orders, net, x, shares=(0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1)):
    """For each image the smallest share of pixels, the largest of `orders` (b,h,w) first, that changes the answer -> masks."""
    ranks, answers = orders.flatten(1).argsort(1, descending=True).argsort(1).view(orders.shape), net(x).argmax(1)
    masks, open_ = torch.ones_like(orders, dtype=torch.bool), torch.ones(len(x), dtype=torch.bool, device=x.device)
    for share in shares:
        mask = ranks < share * orders[0].numel()
        changed = open_ & (net(torch.where(mask[:, None], 0.5, x)).argmax(1) != answers)
        masks[changed], open_ = mask[changed], open_ & ~changed
    return masks


@torch.no_grad()
def one_window(net, x):
    """The smallest square that changes the answer, moved by half its side."""
    answers, masks = net(x).argmax(1), torch.ones(len(x), *x.shape[2:], dtype=torch.bool, device=x.device)
    for side in (48, 36, 26, 18, 12, 8):
        for top in range(0, x.shape[2] - side + 1, side // 2):
            for left in range(0, x.shape[3] - side + 1, side // 2):
                mask = torch.zeros_like(masks[0])
                mask[top:top + side, left:left + side] = True
                changed = net(torch.where(mask, 0.5, x)).argmax(1) != answers
                masks[changed & (masks.sum((1, 2)) > side ** 2)] = mask
    return masks


def own_score(net, x):
    answers = net(x).argmax(1)
    return lambda z: net(z).gather(1, answers[:, None])[:, 0]


def by_chance(net, x):
    with torch.no_grad():
        return growing(torch.rand(len(x), *x.shape[2:], generator=torch.Generator().manual_seed(0)).to(x), net, x)


def most_salient(net, x):
    return growing(saliency(own_score(net, x), x), net, x)


def what_grey_takes(net, x):
    """Gradient times the way to grey: what the score loses, to first order."""
    return growing((input_gradient(own_score(net, x), x) * (x - 0.5)).sum(1), net, x)


def step_by_step(net, x, each=8):
    """As before, but the gradient is taken anew after each few pixels."""
    score, answers = own_score(net, x), net(x).argmax(1)
    masks, going = torch.zeros(len(x), *x.shape[2:], dtype=torch.bool, device=x.device), torch.arange(len(x), device=x.device)
    for _ in range(200):
        seen = torch.where(masks[:, None], 0.5, x)
        with torch.no_grad():
            going = (net(seen).argmax(1) == answers).nonzero()[:, 0]
        if len(going) == 0:
            break
        loses = (input_gradient(score, seen) * (seen - 0.5)).sum(1).masked_fill(masks, -torch.inf)
        best = loses[going].flatten(1).topk(each, dim=1).indices
        masks[going] = masks[going].flatten(1).scatter(1, best, True).view(len(going), *x.shape[2:])
    return masks


# ---- Ascent: pictures of classes that another network names ----

def pixels(step, steps, **how):
    adam = lambda p: torch.optim.Adam(p, lr=step)
    return lambda net, classes: class_pictures(net, classes, batch=32, steps=steps, optimizer=adam, **how)


def shifted(side):
    g = torch.Generator().manual_seed(0)
    return lambda x: jitter(x, side, generator=g)


def smooth(weight):
    return lambda x: weight * total_variation(x)


def waves(net, classes):
    g = torch.Generator().manual_seed(0)
    return class_pictures(net, classes, batch=32, steps=64, image=lambda n: FourierImage.noise(64, 64, batch=n, generator=g),
                          optimizer=lambda p: torch.optim.Adam(p, lr=0.25), see=shifted(4))


# ---- Paintings: a small loss in few calls ----

def by(optimizer, image=PixelImage):
    def paint(loss, content, calls):
        return last(descend(image(content), loss, steps=calls, optimizer=optimizer)).image
    return paint


def by_lbfgs(loss, content, calls):
    """LBFGS asks for the loss several times a step, so it stops where the calls end."""
    kept = content
    def watched(x):
        nonlocal kept
        kept = x.detach().clone()
        return loss(x)
    try:
        for _ in descend(PixelImage(content), watched, steps=calls, optimizer=lambda p: torch.optim.LBFGS(p, lr=1, max_iter=5)):
            pass
    except ValueError:
        pass
    return kept.clamp(0, 1)


# ---- Flaws ----

def grain(images, kinds):
    """A faint lattice over all of the picture, of another direction or period for each kind."""
    h, w = images.shape[2:]
    rows, columns = torch.arange(h).view(-1, 1), torch.arange(w)
    lines = torch.stack([(rows % (2 + k // 2) < 1) + 0 * columns if k % 2 else (columns % (2 + k // 2) < 1) + 0 * rows for k in range(8)])
    return (images + 0.1 * (lines.to(images)[kinds][:, None] - 0.3)).clamp(0, 1)


def entrants(net, robust, pairs):
    """Each contest: (how its score is found, {name: entrant})."""
    adam = lambda rate: lambda p: torch.optim.Adam(p, lr=rate)
    return {
        "rival": (contests.rival_score, {
            "by chance": by_luck, "the centre": centre, "edges": edges, "detail": detail,
            "contrast": contrast, "contrast times the centre": lambda x: contrast(x) * centre(x)}),
        "occluder": (lambda mine, seed: contests.occluder_score(mine, net, seed), {
            "pixels by chance": by_chance, "one square": one_window, "the most salient pixels": most_salient,
            "gradient times the way to grey": what_grey_takes, "the same, eight pixels at a time": step_by_step}),
        "ascent": (lambda mine, seed: contests.ascent_score(mine, net, robust, seed), {
            "pixels, Adam": pixels(0.02, 64), "and shifted": pixels(0.02, 64, see=shifted(4)),
            "and smooth": pixels(0.02, 64, see=shifted(4), penalty=smooth(0.05)), "waves, shifted": waves}),
        "painting": (lambda mine, seed: contests.painting_score(mine, robust, pairs, 60, seed), {
            "steps of length 1": by(None), "Adam, rate 0.03": by(adam(0.03)), "Adam, rate 0.1": by(adam(0.1)), "LBFGS": by_lbfgs}),
        "flaw": (lambda mine, seed: contests.flaw_score(mine, net, seed), {
            "a tag": paste_tag, "coloured glass": tint, "a lattice": grain}),
    }


def main(args=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.leaderboard", description=__doc__.split(":  ")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", nargs="*", default=[], metavar="CONTEST")
    args = parser.parse_args(args)
    net, robust, found = load_net("coursenet"), load_net("coursenet-robust"), {}
    for contest, (score, entries) in entrants(net, robust, pairs()).items():
        if args.only and contest not in args.only:
            continue
        found[contest] = {}
        for name, entry in entries.items():
            value, fault = score(entry, SEED)
            print(f"{contest:10} {name:32}", fault.says if fault else f"{value:.1%}", flush=True)
            if value is not None:
                found[contest][name] = round(value, 4)
    if args.write:
        before = json.loads(contests.FILE.read_text(encoding="utf-8")) if contests.FILE.exists() else {}
        write_text(contests.FILE, json.dumps(before | found, indent=1) + "\n")


def pairs():
    """What is painted, and how: a photograph and another, (1,3,h,w) each."""
    album = photos()
    return [(album[content].load(size), album[style].load(size)) for content, style, size in
            [("cat", "dahlia", 160), ("temple", "hubble", 160), ("astronaut", "espresso", 160)]]


if __name__ == "__main__":
    main()
