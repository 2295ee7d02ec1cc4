"""Score some methods in the open exercises, with other images than a reader's.

--write puts the scores into data/leaderboard.json, with which the checks rank an answer.
"""

import argparse
from functools import partial

import torch

from common import write_table
from helpers.attribution import input_gradient, saliency
from helpers.exercises import challenges
from helpers.exercises.detective import paste_tag, tint
from helpers.exercises.grading_inputs import net, robust, style_pairs
from helpers.feature_visualization import maximize_class
from helpers.optimization import NormalizedGradient, descend, last
from helpers.parametrization import FourierImage, PixelImage
from helpers.transforms import jitter

SEED = 1000     # a reader's scores have seed 0


def occlude(map_of, each):
    """Return a function that turns the `each` largest pixels gray until the prediction changes."""
    def masks_for(net, x):
        predicted = net(x).argmax(1)
        score = lambda z: net(z).gather(1, predicted[:, None])[:, 0]
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
            "the same, eight pixels at a time": occlude(lost_to_gray, 8),
        },
        "class_visualization": {
            "pixels": visualize(0.02),
            "pixels with jitter": visualize(0.02, **shift),
            "Fourier parametrization with jitter": visualize(0.25, **shift, **fourier),
        },
        "style_transfer": {
            "normalized gradient": transfer(NormalizedGradient),
            "Adam, learning rate 0.1": transfer(partial(torch.optim.Adam, lr=0.1)),
        },
        "spurious_cue": {"tag": paste_tag, "tint": tint},
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(argv)
    inputs = {"occluder": [net()], "class_visualization": [net(), robust()],
              "style_transfer": [robust(), style_pairs()], "spurious_cue": [net()]}
    table = {challenge: {} for challenge in inputs}
    for challenge, named in methods().items():
        score = getattr(challenges, f"{challenge}_score")
        for name, method in named.items():
            table[challenge][name] = score(method, *inputs[challenge], seed=SEED)
            print(f"{challenge:20} {name:36} {table[challenge][name]:.1%}", flush=True)
    if args.write:
        write_table("leaderboard", table)


if __name__ == "__main__":
    main()
