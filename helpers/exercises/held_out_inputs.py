"""Draw inputs that no notebook shows, to test answers on."""

from functools import cache

import torch

from helpers.networks import class_index
from helpers.scenes import SHAPES, render_scenes


def generator(seed):
    """Return a random number generator on the CPU."""
    return torch.Generator().manual_seed(seed)


@cache
def held_out_scenes(n, seed):
    """Render scenes with other seeds than the shipped ones -> Scenes."""
    return render_scenes(n, seed=10_000 + seed)


def held_out_images(net, n, seed):
    """Return images (n,3,64,64) of scenes and their classes (n,), on the network's device."""
    drawn = held_out_scenes(n, seed)
    device = next(net.parameters()).device
    classes = [class_index(net, SHAPES[label]) for label in drawn.labels]
    return drawn.images.to(device), torch.tensor(classes, device=device)
