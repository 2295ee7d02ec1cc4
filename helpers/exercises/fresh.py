"""Pictures that no notebook shows: what answers are tried on."""

from functools import cache

import torch

from helpers.nets import class_index
from helpers.world.scenes import SHAPES, render_scenes


def dice(seed):
    return torch.Generator().manual_seed(seed)


@cache
def fresh_scenes(n, seed):
    """Scenes of another world than the stored ones -> Scenes."""
    return render_scenes(n, seed=10_000 + seed)


def with_numbers(net, n, seed):
    """Fresh scenes for a network, and the numbers of their classes -> images (n,3,64,64), (n,), on the network's device."""
    fresh, device = fresh_scenes(n, seed), next(net.parameters()).device
    return fresh.images.to(device), torch.tensor([class_index(net, SHAPES[k]) for k in fresh.labels], device=device)


def of_class(net, k):
    """The score of each picture's own class, (b,3,h,w) -> (b,)."""
    return lambda x: net(x).gather(1, k[:, None])[:, 0]
