"""Maps that know nothing of what was learnt: what an explanation must be better than before it is praised."""

import numpy as np
import torch

from helpers.images import check_images, wide
from helpers.nets import load_net
from helpers.transforms import gaussian_blur


def centre(x):
    """Bright in the middle, whatever the pictures show, (b,3,h,w) -> (b,h,w): photographers put their object there."""
    check_images(x)
    rows, columns = (torch.linspace(-1, 1, n, device=x.device).square() for n in x.shape[2:])
    return torch.exp(-2 * (rows[:, None] + columns)).expand(len(x), -1, -1)


def edges(x):
    """How fast the brightness changes, (b,3,h,w) -> (b,h,w): Sobel's filters. It never asks a network."""
    from scipy import ndimage  # not at the top: with what it imports, it takes most of a second
    check_images(x)
    greys = wide(x.detach()).mean(1).cpu().numpy()      # one by one: of a stack, Sobel's filters would smooth from picture to picture, too
    return torch.from_numpy(np.stack([np.hypot(*(ndimage.sobel(grey, axis=axis) for axis in (0, 1))) for grey in greys])).to(x)


def contrast(x):
    """How far each pixel is from its picture's mean colour, (b,3,h,w) -> (b,h,w): objects stand out, and no network is asked."""
    check_images(x)
    return (x - x.mean((2, 3), keepdim=True)).abs().amax(1)


def detail(x, sigma=5.0):
    """How far each pixel is from its blurred self, (b,3,h,w) -> (b,h,w): what a blurred picture, as `insertion` starts from, lacks."""
    check_images(x)
    return (x - gaussian_blur(x, sigma).clamp(0, 1)).abs().amax(1)


def untrained(name, *, seed=0):
    """The network of this name with random weights: a map that explains what was learnt must be better than its map. Adebayo 2018."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return load_net(name, weights=None).to(memory_format=torch.channels_last)
