"""Score some methods in the open exercises, with other images than a reader's.

Among them are the solutions that 05_problems prints. --write puts the scores into
data/leaderboard.json, with which the checks rank an answer.
"""

import argparse
from functools import partial

import nbformat
import torch
import torch.nn.functional as F

from common import write_table
from helpers.attribution import class_score, input_gradient, saliency
from helpers.exercises import challenges
from helpers.exercises.detective import paste_tag, tint
from helpers.exercises.exercise_cells import exercises
from helpers.exercises.grading_inputs import names, net, robust, style_pairs
from helpers.feature_visualization import maximize_class
from helpers.figures import NOTEBOOKS
from helpers.optimization import NormalizedGradient, descend, last
from helpers.parametrization import FourierImage, PixelImage
from helpers.transforms import jitter

SEED = 1000     # a reader's scores have seed 0
NAMES = {"my_occluder": "occluder", "my_ascent": "class_visualization",
         "my_painting": "style_transfer", "my_flaw": "spurious_cue",
         "my_patch": "adversarial_patch"}


# ---- Occluders ----


def lead(net, predicted):
    """Return the logit of the predicted class, minus that of the runner-up."""
    def score(x):
        logits = net(x)
        others = logits.scatter(1, predicted[:, None], -torch.inf).amax(1)
        return logits.gather(1, predicted[:, None])[:, 0] - others
    return score


def occlude(map_of, each, score_of=class_score):
    """Return a function that turns the `each` largest pixels gray until the prediction changes."""
    def masks_for(net, x):
        predicted = net(x).argmax(1)
        score = score_of(net, predicted)
        masks = torch.zeros(len(x), *x.shape[2:], dtype=torch.bool)
        going = torch.ones(len(x), dtype=torch.bool)
        while going.any() and not masks.all():
            occluded = torch.where(masks[:, None], 0.5, x)
            going = net(occluded).argmax(1) == predicted
            values = map_of(score, occluded).masked_fill(masks, -torch.inf).flatten(1)
            more = masks.flatten(1).scatter(1, values.topk(each).indices, True)
            masks[going] = more.view(masks.shape)[going]
        return masks
    return masks_for


def lost_to_gray(score, x):
    """Compute, to first order, what the score loses when a pixel turns gray."""
    return (input_gradient(score, x) * (x - 0.5)).sum(1)


# ---- Spurious cues and patches ----


def stripes(images, kinds, amplitude=0.35):
    """Add stripes, with a color and a period for each kind."""
    colors = torch.eye(3).repeat(3, 1)[:8]
    columns = torch.arange(64)
    periods = [8 * (1 + k // 3) for k in range(8)]
    lines = torch.stack([columns % period < period // 2 for period in periods])
    cue = colors[:, :, None, None] * lines[:, None, None]
    return (images + amplitude * (cue.to(images)[kinds] - 0.2)).clamp(0, 1)


def train_patch(net, images, target, steps=150, batch=16):
    """Ascend on the expected log-probability over images and positions (Athalye 2018)."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.full((batch,), target)

    def loss(patch):
        pasted = images[torch.randint(len(images), (batch,), generator=generator)]
        corners = torch.randint(49, (batch, 2), generator=generator).tolist()
        for k, (top, left) in enumerate(corners):
            pasted[k, :, top:top + 16, left:left + 16] = patch[0]
        return F.cross_entropy(net(pasted), targets)

    adam = partial(torch.optim.Adam, lr=0.05)
    start = PixelImage(torch.full((1, 3, 16, 16), 0.5))
    return last(descend(start, loss, steps=steps, optimizer=adam)).image[0]


def methods():
    """Return challenge -> method -> function."""
    generator = torch.Generator().manual_seed(0)
    random_map = lambda score, x: torch.rand(x[:, 0].shape, generator=generator)
    shift = {"transform": lambda x: jitter(x, 4, generator=generator)}
    fourier = {"image": FourierImage.noise(64, 64, batch=32, generator=generator)}
    visualize = lambda lr, **options: lambda net, classes: last(maximize_class(
        net, classes, steps=64, optimizer=partial(torch.optim.Adam, lr=lr), **options)).image
    transfer = lambda optimizer: lambda loss, content, calls: last(
        descend(PixelImage(content), loss, steps=calls, optimizer=optimizer)).image
    return {
        "occluder": {
            "random pixels": occlude(random_map, 64),
            "saliency": occlude(saliency, 64),
            "gradient times difference to gray": occlude(lost_to_gray, 64),
            "of the lead, four pixels at a time": occlude(lost_to_gray, 4, lead),
        },
        "class_visualization": {
            "pixels": visualize(0.02),
            "pixels with jitter": visualize(0.02, **shift),
            "Fourier parametrization with jitter": visualize(0.25, **shift, **fourier),
        },
        "style_transfer": {
            "normalized gradient": transfer(NormalizedGradient),
            "Adam, learning rate 0.03": transfer(partial(torch.optim.Adam, lr=0.03)),
            "Adam, learning rate 0.2": transfer(partial(torch.optim.Adam, lr=0.2)),
        },
        "spurious_cue": {"tag": paste_tag, "tint": tint, "stripes": stripes},
        "adversarial_patch": {
            "ten steps": partial(train_patch, steps=10),
            "many images and positions": train_patch,
        },
    }


def printed_solutions(path=NOTEBOOKS / "05_problems.ipynb"):
    """Return challenge -> the function that the notebook prints as its solution."""
    found = {}
    for exercise in exercises(nbformat.read(path, as_version=4)):
        if exercise.name in NAMES:
            defined = names()
            exec(exercise.solution, defined)
            found[NAMES[exercise.name]] = defined[exercise.name]
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    inputs = {"occluder": [net()], "class_visualization": [net(), robust()],
              "style_transfer": [robust(), style_pairs()], "spurious_cue": [net()],
              "adversarial_patch": [net()]}
    table = {challenge: {} for challenge in inputs}
    printed = printed_solutions()
    for challenge, named in methods().items():
        score = getattr(challenges, f"{challenge}_score")
        for name, method in (named | {challenges.PRINTED: printed[challenge]}).items():
            table[challenge][name] = score(method, *inputs[challenge], seed=SEED)
            print(f"{challenge:20} {name:36} {table[challenge][name]:.1%}", flush=True)
    if args.write:
        write_table("leaderboard", table)


if __name__ == "__main__":
    main()
