"""Baseline maps that ignore the network: an explanation must beat them before it is believed."""

import torch

from helpers.images import check_images
from helpers.transforms import gaussian_blur


def center_prior(x):
    """Return a Gaussian at the center, where objects often are, (b,3,h,w) -> (b,h,w)."""
    rows, columns = (torch.linspace(-1, 1, side, device=x.device) for side in x.shape[2:])
    return torch.exp(-2 * (rows[:, None] ** 2 + columns ** 2)).expand(len(x), -1, -1)


def color_contrast(x):
    """Compute each pixel's distance from the mean color of its image, (b,3,h,w) -> (b,h,w)."""
    check_images(x)
    return (x - x.mean((2, 3), keepdim=True)).abs().amax(1)


def high_pass(x, sigma=5.0):
    """Compute each pixel's distance from the blurred image, (b,3,h,w) -> (b,h,w).

    This is the detail that `insertion` adds when it starts from a blurred image.
    """
    check_images(x)
    return (x - gaussian_blur(x, sigma).clamp(0, 1)).abs().amax(1)
