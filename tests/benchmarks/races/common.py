"""The networks and pictures of the rows, and how results are compared."""

import copy
from functools import cache

import torch

from helpers.evaluation import rank_correlation
from helpers.images import photos
from helpers.nets import fast, load_net
from helpers.world.scenes import scenes

LAST = {"memory_format": torch.channels_last}


@cache
def network(name):
    """One of ours, or one of torchvision's with random weights, which take the same time; channels last, as in the notebooks."""
    torch.manual_seed(0)
    trained = name.startswith(("coursenet", "efficientnet"))
    return load_net(name, weights="DEFAULT" if trained else None).to(**LAST)


@cache
def cat(size):
    return photos()["cat"].load(size).contiguous(**LAST)


@cache
def world(n):
    """n pictures of 64 pixels: the 1,504 scenes, from the first on again where there are too few."""
    images = scenes().images
    return images[torch.arange(n) % len(images)].contiguous(**LAST)


@torch.no_grad()
def score_of(name, x):
    """The score of the class that the network names for x."""
    net = network(name)
    k = net(x).argmax(1).item()
    return lambda z: net(z)[:, k]


def there_and_back(score, x):
    """The passes that no gradient of a score can avoid."""
    z = x.clone().requires_grad_()
    torch.autograd.grad(score(z).sum(), z)


def in_half(f):
    def halved():
        with fast("cpu"):
            return f()
    return halved


def ranks(full, half):
    """For maps: do they put the pixels in the same order?"""
    return f"rank correlation {rank_correlation(full.float(), half.float()).mean():.4f}"


def error(full, half):
    """For anything else: how far apart they are, relative to its size."""
    return f"off by {(full - half.float()).norm() / full.norm():.1%}"


@cache
def alive(name):
    """The same network as a reader of torchvision's documentation has it: its parameters are to be trained."""
    return copy.deepcopy(network(name)).requires_grad_()
