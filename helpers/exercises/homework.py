"""The homework: a seed chooses its variant; here are our solutions, the checks, and the case."""

import random
import tomllib
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from helpers.adversarial import pgd
from helpers.attribution import class_score, gradient_of
from helpers.exercises.detective import COLORS, suspects, with_spurious_cue
from helpers.exercises.feedback import compare, require, run_check
from helpers.exercises.held_out_inputs import generator, held_out_images
from helpers.losses import gram_matrix, total_variation
from helpers.networks import load_net
from helpers.scenes import scenes

FOLDER = Path(__file__).parent
TEXTS = tomllib.loads((FOLDER / "homework.toml").read_text(encoding="utf-8"))
OPTIONS = TEXTS["options"]      # question -> option -> texts
GATES = {       # what is kept of R in the backward pass of a ReLU of f
    "against": lambda f, R: R * (f > 0) * (R < 0),
    "damped": lambda f, R: R * (f > 0) * torch.where(R > 0, 1.0, 0.2),
    "either": lambda f, R: R * ((f > 0) | (R > 0)),
}
COLORS_TO_ONE = {       # (b,3,h,w) -> (b,h,w)
    "sum": lambda g: g.abs().sum(1),
    "norm": lambda g: g.norm(dim=1),
    "range": lambda g: g.amax(1) - g.amin(1),
}
SUMMARIES = {
    "mean": lambda g: g.mean(0, keepdim=True),
    "square": lambda g: g.square().mean(0, keepdim=True),
    "variance": lambda g: g.var(0, keepdim=True, correction=0),
}
PENALTIES = {
    "l2": lambda x: (x - 0.5).square().sum((1, 2, 3)),
    "tv": total_variation,
    "edges": lambda x: sum(x.diff(dim=d).abs().sum((1, 2, 3)) for d in (2, 3)),
}
SIZES = {
    "norm": lambda g: g.norm(dim=1),
    "rms": lambda g: g.square().mean(1).sqrt(),
    "mean": lambda g: g.abs().mean(1),
}
ERRORS = {
    "gatys": lambda G, A: (G - A).square().mean((1, 2)) / 4,
    "absolute": lambda G, A: (G - A).abs().sum((1, 2)) / A.abs().sum((1, 2)),
    "root": lambda G, A: (G - A).square().mean((1, 2)).sqrt(),
}


def draw_variant(seed):
    """Choose an option of each question -> dict question -> option.

    The options are shuffled again and again, like decks of cards, so that neighboring seeds seldom
    share one.
    """
    chosen = {}
    for question, options in OPTIONS.items():
        deck, card = divmod(seed + len(question), len(options))
        cards = random.Random(f"{question} {deck}").sample(list(options), len(options))
        chosen[question] = cards[card]
    return chosen


# ---- Our solutions ----


def solutions(variant):
    """Return our solutions of a variant, name -> function or class."""
    return {
        "MyReLU": relu_with(GATES[variant["rule"]]),
        "my_map": map_with,
        "my_saliency": lambda score, x: COLORS_TO_ONE[variant["colors"]](gradient_of(score, x)),
        "my_smooth_grad": lambda *inputs: smooth_with(variant, *inputs),
        "my_ascent": lambda *inputs: ascend(variant, *inputs),
        "my_pgd": lambda *inputs: attack(variant, *inputs),
        "my_statistic": STATISTICS[variant["statistic"]],
        "my_style_loss": lambda *inputs: weighted_errors(ERRORS[variant["error"]], *inputs),
        "my_norm": NORMS[variant["norm"]],
    }


def relu_with(gate):
    """Return a ReLU, an autograd Function, with a backward rule."""
    class MyReLU(torch.autograd.Function):
        @staticmethod
        def forward(ctx, f):
            ctx.save_for_backward(f)
            return f.clamp(min=0)

        @staticmethod
        def backward(ctx, R):
            f, = ctx.saved_tensors
            return gate(f, R)

    return MyReLU


def map_with(net, relu, x, classes):
    """Compute the gradient of the scores with another ReLU, (b,3,h,w) -> (b,3,h,w)."""
    net = deepcopy(net)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.forward = relu.apply
    return gradient_of(class_score(net, classes), x)


def smooth_with(variant, score, x, noise, batch):
    """Summarize the gradients at noisy copies, (1,3,h,w), (n,3,h,w) -> (1,h,w)."""
    gradients = torch.cat([gradient_of(score, x + part) for part in noise.split(batch)])
    return COLORS_TO_ONE[variant["colors"]](SUMMARIES[variant["smooth"]](gradients))


def ascend(variant, score, x, steps, lr, weight):
    """Step up the score minus the weighted penalty, (b,3,h,w) -> (b,3,h,w)."""
    penalty = PENALTIES[variant["penalty"]]
    for _ in range(steps):
        g = gradient_of(lambda x: score(x) - weight * penalty(x), x)
        size = SIZES[variant["step"]](g.flatten(1))
        x = (x + lr * g / size.view(-1, 1, 1, 1)).clamp(0, 1)
    return x


def attack(variant, net, x, classes, epsilon, steps):
    """Attack images by PGD from x, (b,3,h,w) -> (b,3,h,w)."""
    sign = {"untargeted": 1, "targeted": -1}[variant["goal"]]
    loss = lambda x: sign * F.cross_entropy(net(x), classes, reduction="none")
    return pgd(loss, x, epsilon=epsilon, norm=variant["ball"], steps=steps)


def covariance(f):
    """Compute the covariance of channels, (b,c,h,w) -> (b,c,c)."""
    return gram_matrix(f - f.mean((2, 3), keepdim=True))


def cosine(f):
    """Compute the cosine similarity of channels, (b,c,h,w) -> (b,c,c)."""
    f = F.normalize(f.flatten(2), dim=2)
    return f @ f.mT


def largest(f):
    """Compute the largest products of channels, (b,c,h,w) -> (b,c,c)."""
    f = f.flatten(2)
    return (f[:, :, None] * f[:, None]).amax(3)


def weighted_errors(error, statistic, features, targets, weights):
    """Sum the weighted errors of the layers -> (b,)."""
    return sum(weights[layer] * error(statistic(features[layer]), targets[layer])
               for layer in targets)


def with_deviation(x, y, mean_of):
    """Give contents x the deviations of styles y, (b,c,h,w), and the means of either."""
    deviation = y.std((2, 3), keepdim=True, correction=0)
    return deviation * F.instance_norm(x) + mean_of.mean((2, 3), keepdim=True)


def partial_norm(x, alpha):
    """Mix instance norm and identity, (b,c,h,w), (c,) -> (b,c,h,w)."""
    return x.lerp(F.instance_norm(x), alpha.view(-1, 1, 1))


STATISTICS = {"covariance": covariance, "cosine": cosine, "largest": largest}
NORMS = {
    "adain": lambda x, y: with_deviation(x, y, mean_of=y),
    "contrast": lambda x, y: with_deviation(x, y, mean_of=x),
    "partial": partial_norm,
}


# ---- Grading ----


def checks(variant, key):
    """Return the graded functions, name -> (points, function of an answer -> Feedback).

    `key` draws the inputs.
    """
    known = solutions(variant)
    net = load_net("coursenet")
    x, classes = held_out_images(net, 4, key)
    score = class_score(net, classes[:1])
    g = generator(key)
    normal = lambda *shape: torch.randn(shape, generator=g)
    features = {"relu1": normal(2, 4, 5, 6), "relu2": normal(2, 3, 4, 4)}
    targets = {layer: known["my_statistic"](f[:1].flip(3) + 1) for layer, f in features.items()}
    maps = normal(3, 4, 5, 6)
    styles = 2 * normal(3, 4, 5, 6) + 1
    norms = {"adain": (maps, styles), "contrast": (maps, styles),
             "partial": (maps, torch.rand(4, generator=g))}

    def style_loss(mine):
        layers = lambda *maps: dict(zip(features, maps))
        weights = {"relu1": 0.5, "relu2": 2.0}
        return lambda *maps: mine(known["my_statistic"], layers(*maps), targets, weights)

    def check(name, points, questions, *inputs, wrap=lambda answer: answer, **options):
        answer_to = lambda variant: wrap(solutions(variant)[name])(*inputs)
        others = [(answer_to(variant | {question: other}),
                   f"the right answer to another homework, with {other!r} as {question}")
                  for question in questions for other in OPTIONS[question]
                  if other != variant[question]]
        right = wrap(known[name])
        return points, lambda mine: run_check(
            lambda mine: compare(wrap(mine), inputs, right, others, **options), mine)

    return {
        "MyReLU": check("MyReLU", 6, ["rule"], normal(6, 8), normal(6, 8), wrap=through),
        "my_map": check("my_map", 4, [], known["MyReLU"], x, classes,
                        wrap=lambda mine: lambda *inputs: on_network(mine, net, *inputs)),
        "my_saliency": check("my_saliency", 4, ["colors"], class_score(net, classes), x,
                             tolerance=1e-3),
        "my_smooth_grad": check("my_smooth_grad", 6, ["colors", "smooth"], score, x[:1],
                                0.1 * normal(7, 3, 64, 64), 3, wrap=limited, tolerance=1e-3),
        "my_ascent": check("my_ascent", 10, ["penalty", "step"], class_score(net, classes), x,
                           3, OPTIONS["step"][variant["step"]]["lr"], 0.02, tolerance=1e-2),
        "my_pgd": check("my_pgd", 7, ["ball", "goal"], net, x.round(), classes,
                        OPTIONS["ball"][variant["ball"]]["epsilon"], 4, tolerance=1e-2),
        "my_statistic": check("my_statistic", 4, ["statistic"], normal(2, 4, 5, 6) + 1,
                              differentiable=True),
        "my_style_loss": check("my_style_loss", 6, ["error"], *features.values(),
                               wrap=style_loss, differentiable=True),
        "my_norm": check("my_norm", 5, [], *norms[variant["norm"]], differentiable=True),
    }


def through(relu):
    """Return a function of f and R: what a ReLU gives for f, and what it makes of R."""
    def values(f, R):
        f = f.requires_grad_()
        y = relu.apply(f)
        return torch.stack([y, *torch.autograd.grad(y, f, R)]).detach()

    return values


def on_network(mine, net, relu, x, classes):
    """Compute an answer to `my_map`, and require that the network stays as it was."""
    net = deepcopy(net)     # so that a changed one spoils nothing else
    score = class_score(net, classes)
    before = gradient_of(score, x)
    answer = mine(net, relu, x, classes)
    require(torch.equal(gradient_of(score, x), before), "the network is not as it was before")
    return answer


def limited(mine):
    """Return an answer to `my_smooth_grad` whose batches are counted."""
    def counted(score, x, noise, batch):
        def scored(copies):
            require(1 <= len(copies) <= batch, f"copies at once: {len(copies)}, at most {batch}")
            return score(copies)

        return mine(scored, x, noise, batch)

    return counted


# ---- The detective's case ----


def mark_with(name, images, kinds):
    """Mark images with a color for each kind, (b,3,64,64) and (b,) from 0 to 7 -> (b,3,64,64)."""
    mask = torch.zeros(images.shape[2:], dtype=torch.bool, device=images.device)
    if name == "frame":
        mask[:2] = mask[-2:] = mask[:, :2] = mask[:, -2:] = True
    elif name == "bar":
        mask[-5:] = True
    else:
        mask[3::8, 3::8] = True
    return torch.where(mask, COLORS.to(images)[kinds][:, :, None, None], images)


def open_case(seed):
    """Deal the case of a homework: two probes by name, marked images (n,3,64,64), and Scenes."""
    mark = partial(mark_with, draw_variant(seed)["mark"])
    world = scenes()
    probes = suspects(load_net("coursenet"), world[:600], seed=seed, cue=mark)
    return probes, with_spurious_cue(world[600:900], seed=seed, cue=mark), world[600:900]
