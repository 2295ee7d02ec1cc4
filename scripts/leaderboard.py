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
from helpers.exercises import challenges
from helpers.exercises.detective import paste_tag, tint
from helpers.exercises.exercise_cells import exercises
from helpers.feature_visualization import maximize_class
from helpers.figures import NOTEBOOKS
from helpers.networks import load_net
from helpers.optimization import descend, last
from helpers.parametrization import FourierImage, PixelImage
from helpers.photos import photos
from helpers.transforms import jitter

SEED = 1000     # a reader's scores have seed 0
NAMES = {"my_occluder": "occluder", "my_ascent": "class_visualization",
         "my_painting": "style_transfer", "my_flaw": "spurious_cue",
         "my_patch": "adversarial_patch"}


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


def methods(printed):
    """Return challenge -> method -> function, many of them printed solutions with other options."""
    generator = torch.Generator().manual_seed(0)

    def fourier(net, classes):
        image = FourierImage.noise(64, 64, batch=len(classes), generator=generator)
        steps = maximize_class(net, classes, steps=64, image=image,
                               transform=lambda x: jitter(x, 4, generator=generator),
                               optimizer=partial(torch.optim.Adam, lr=0.25))
        return last(steps).image

    named = {
        "occluder": {
            "512 pixels at a time": partial(printed["occluder"], each=512),
            "4 pixels at a time": partial(printed["occluder"], each=4),
        },
        "class_visualization": {
            "jitter alone": partial(printed["class_visualization"], tv_weight=0),
            "Fourier parametrization with jitter": fourier,
        },
        "style_transfer": {
            "learning rate 0.01": partial(printed["style_transfer"], lr=0.01),
            "learning rate 0.2": partial(printed["style_transfer"], lr=0.2),
        },
        "spurious_cue": {
            "tag": paste_tag,
            "tint": tint,
            "stronger stripes": partial(printed["spurious_cue"], amplitude=0.35),
        },
        "adversarial_patch": {
            "ten steps": partial(train_patch, steps=10),
            "many images and positions": train_patch,
        },
    }
    return {challenge: named[challenge] | {challenges.PRINTED: printed[challenge]}
            for challenge in named}


def printed_solutions(path=NOTEBOOKS / "05_problems.ipynb"):
    """Return challenge -> the function that the notebook prints as its solution."""
    found = {}
    for exercise in exercises(nbformat.read(path, as_version=4)):
        if exercise.name in NAMES:
            defined = {"torch": torch, "F": F, "device": torch.device("cpu")}
            exec(exercise.solution, defined)
            found[NAMES[exercise.name]] = defined[exercise.name]
    return found


def style_pairs():
    """Return pairs of a content and a style, (1,3,160,160) each."""
    album = photos()
    pairs = [("espresso", "temple"), ("rocket", "dahlia"), ("astronaut", "cat")]
    return [(album[content].load(160), album[style].load(160)) for content, style in pairs]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    net, robust = load_net("coursenet"), load_net("coursenet-robust")
    inputs = {"occluder": [net], "class_visualization": [net, robust],
              "style_transfer": [robust, style_pairs()], "spurious_cue": [net],
              "adversarial_patch": [net]}
    table = {challenge: {} for challenge in inputs}
    for challenge, named in methods(printed_solutions()).items():
        score = getattr(challenges, f"{challenge}_score")
        for name, method in named.items():
            table[challenge][name] = score(method, *inputs[challenge], seed=SEED)
            print(f"{challenge:20} {name:36} {table[challenge][name]:.1%}", flush=True)
    if args.write:
        write_table("leaderboard", table)


if __name__ == "__main__":
    main()
