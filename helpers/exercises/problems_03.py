"""Checks of the half-hour problems of 03_fun. Each makes its own pictures from `seed`: an answer can be tried on fresh ones.

A problem's own right answer, with which the next cell draws, is the function that has the name of what it computes.
"""

import torch

from helpers.exercises.fresh import dice
from helpers.exercises.verdict import CUT, RIGHT, Verdict, called, told, verdict, wrong
from helpers.losses import content_loss, relative, style_loss
from helpers.style import load_transform_net, style_features


def shifted_gram(f, dy, dx):
    """Which channels are on together at a distance, (b,c,h,w) -> (b,c,c): the mean of f(p) f(p + (dy, dx))^T; Berger 2017."""
    h, w = f.shape[2:]
    here, there = f[..., :h - dy, :w - dx].flatten(2), f[..., dy:, dx:].flatten(2)
    return here @ there.transpose(1, 2) / here.shape[2]


@told
def gram_at(mine, *, seed=0):
    """mine(f, dy, dx): the Gram matrix of features and of themselves dy rows down and dx columns to the right, (b,c,h,w) -> (b,c,c)."""
    f, dy, dx = torch.randn(2, 5, 9, 11, generator=dice(seed)), 2, 3
    right, rolled = shifted_gram(f, dy, dx), f.roll((-dy, -dx), (2, 3))
    inside = (9 - dy) * (11 - dx)
    whole = f.flatten(2)
    found = verdict(mine, (f, dy, dx), lambda f, dy, dx: shifted_gram(f, dy, dx), [
        (whole @ rolled.flatten(2).transpose(1, 2) / 99, "roll joins the right edge to the left: leave out the places whose partner is "
                                                          "outside"),
        (right.transpose(1, 2), "rows and columns are exchanged: row i belongs to channel i at p, column j to channel j at p + (dy, dx)"),
        (right * inside, "that is the sum; take the mean over the pairs of places"),
        (right * inside / 99, "there are fewer pairs than places: divide by the number of pairs, (h - dy) (w - dx)"),
        (whole @ whole.transpose(1, 2) / 99, "nothing is shifted"),
        (shifted_gram(f.transpose(2, 3), dy, dx), "dy is the shift of rows, dx that of columns"),
    ], tolerance=1e-4, differentiable=True)
    for shift in ((dy, 0), (0, dx), (0, 0)):
        if found == RIGHT and verdict(mine, (f, *shift), shifted_gram, tolerance=1e-4) != RIGHT:
            return wrong(f"right for a shift by {dy, dx}, and not for {shift}: f[..., :-0] is empty; count from the front, :h - dy")
    return found


def moment_loss(features, targets):
    """How far channels' means and deviations are from a style's, dict -> (b,c,h,w), dict -> (mean, deviation), (1,c) -> (b,)."""
    each = []
    for name, target in targets.items():
        found, wanted = torch.stack([features[name].mean((2, 3)), features[name].std((2, 3), correction=0)], 1), torch.stack(target, 1)
        each.append(relative(found - wanted, wanted))
    return torch.stack(each).mean(0)


@told
def moments(mine, *, seed=0):
    """mine(features, targets): the style loss by means and deviations, dict -> (b,c,h,w), dict -> two of (1,c), to (b,)."""
    g = dice(seed)
    shapes = {"relu1": (3, 6, 8, 8), "relu2": (3, 4, 4, 4)}
    features = {name: torch.randn(shape, generator=g).requires_grad_() for name, shape in shapes.items()}
    targets = {name: (torch.randn(1, shape[1], generator=g), torch.rand(1, shape[1], generator=g) + 0.5) for name, shape in shapes.items()}

    def slip(mean=lambda f: f.mean((2, 3)), deviation=lambda f: f.std((2, 3), correction=0), squares=lambda d, t: relative(d, t), power=1):
        each = []
        for name, (m, s) in targets.items():
            d, t = torch.stack([mean(features[name]), deviation(features[name])], 1), torch.stack([m, s ** power], 1)
            each.append(squares(d - t, t))
        return torch.stack(each)

    means = torch.stack([relative(features[name].mean((2, 3)) - m, m) for name, (m, s) in targets.items()]).mean(0)
    variance = lambda f: f.var((2, 3), correction=0)
    found = verdict(lambda: mine(features, targets), (), lambda: moment_loss(features, targets), [
        (slip(deviation=variance, power=2).mean(0), "those are variances; compare deviations, their roots"),
        (slip(deviation=variance).mean(0), "a variance is compared with a deviation: take the root, f.std"),
        (slip(deviation=lambda f: f.std((2, 3))).mean(0), "nearly: it divides by one less than the number of places; correction=0"),
        (slip(squares=lambda d, t: d.flatten(1).square().sum(1)).mean(0), "divide each layer by its target's squared length, or the layer "
                                                                         "with the largest numbers decides alone"),
        (slip().sum(0), "that is the sum over the layers; take the mean"),
        (means, "the means alone; the deviations are missing"),
        (slip().mean(), "that is one number for the whole batch; keep one for each picture"),
    ], tolerance=1e-4)
    return found if found != RIGHT or mine(features, targets).requires_grad else CUT


@told
def new_style(mine, net, grams, crops, photo, *, seed=0):
    """mine(painter, net, grams, crops): a copy of the painter with one style, learnt by its norms' scales and shifts alone."""
    painter = load_transform_net().to(photo.device)
    before = {name: p.clone() for name, p in painter.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made, fault = called(mine, painter, net, grams, crops)
    if fault:
        return fault
    if not all(torch.equal(p, before[name]) for name, p in painter.state_dict().items()):
        return wrong("the painter itself has changed, and with it its nine styles: teach a copy")
    if not hasattr(made, "styles") or not hasattr(made, "named_parameters"):
        return wrong(f"the answer is a {type(made).__name__}, expected a TransformNet")
    if len(made.styles) != 1:
        return wrong(f"the answer has {len(made.styles)} styles, expected one, the new one")
    changed = [name for name, p in made.state_dict().items() if not name.endswith(("scale", "shift")) and not torch.equal(p, before[name])]
    if changed:
        return wrong(f"{len(changed)} convolutions have changed too, such as {changed[0]}: only the norms' scales and shifts may learn")
    with torch.no_grad():
        of = lambda y: style_loss(style_features(net, y, list(grams)), grams).item()
        drawn = made.eval()(photo)
        nearest = min(of(painter(photo, name)) for name in painter.styles)
        kept = content_loss(style_features(net, drawn, ["relu4"])["relu4"], style_features(net, photo, ["relu4"])["relu4"]).item()
    if of(drawn) >= nearest:
        return wrong(f"on a photograph that it did not train on, its style loss is {of(drawn):.3f}; the nearest old style has "
                     f"{nearest:.3f}. Start from the mean of the old scales and shifts, and train longer, or in larger steps")
    if kept > 0.9:
        return wrong(f"the style is there, and the photograph is not: its content loss is {kept:.2f}, and a grey picture's is about 1")
    return Verdict(1.0, f"✓ right: style loss {of(drawn):.3f} on a photograph that it did not train on, the nearest old one {nearest:.3f}")
