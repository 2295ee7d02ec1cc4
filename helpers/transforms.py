"""What is done to an image before a network sees it."""

import torch
import torch.nn.functional as F

from helpers.images import check_images


def gaussian_blur(images, sigma):
    """Blurs by a Gaussian of standard deviation `sigma` pixels, (b,3,h,w) -> (b,3,h,w); the border is mirrored.

    The window ends at 3 sigma, or where the image does.
    """
    check_images(images, within=False)
    if not 0 < sigma < float("inf"):
        raise ValueError(f"Got sigma={sigma}; expected a number of more than 0 pixels.")
    for dim in (2, 3):
        radius = min(int(3 * sigma + 0.5), images.shape[dim] - 1)
        if radius == 0:
            continue
        x = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
        kernel = torch.exp(-(x / sigma) ** 2 / 2)
        kernel = (kernel / kernel.sum()).view(1, 1, *((-1, 1) if dim == 2 else (1, -1)))
        padded = F.pad(images, (0, 0, radius, radius) if dim == 2 else (radius, radius, 0, 0), mode="reflect")
        images = F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)
    return images
