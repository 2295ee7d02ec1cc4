"""Transform images before a network sees them.

Random transforms draw from `generator`, a torch.Generator on the CPU, or else from a new one: the
global random state stays as it is.
"""

import math

import torch
import torch.nn.functional as F

from helpers.images import rescale


def gaussian_blur(images, sigma):
    """Blur images (b,c,h,w) with a Gaussian of standard deviation `sigma` pixels, in float32.

    The border is reflected. The kernel ends at 3 sigma, or where the image does.
    """
    x = images.float()                  # half precision may take minutes on a CPU
    for dim in (2, 3):
        radius = min(int(3 * sigma + 0.5), x.shape[dim] - 1)
        offset = torch.arange(-radius, radius + 1, device=x.device)
        kernel = torch.exp(-(offset / sigma) ** 2 / 2)
        kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)       # (c,1,1,width)
        padded = F.pad(x.transpose(3, dim), (radius, radius, 0, 0), mode="reflect")
        x = F.conv2d(padded, kernel, groups=x.shape[1]).transpose(3, dim)
    return x.to(images.dtype)


def blur_maps(maps, sigma):
    """Blur maps (b,h,w) as `gaussian_blur` does images."""
    return gaussian_blur(maps[:, None], sigma)[:, 0]


def uniform(low, high, generator):
    """Draw a number between low and high."""
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    return low + (high - low) * torch.rand((), generator=generator).item()


def random_integer(high, generator):
    """Draw an integer from 0 to high."""
    return math.floor(uniform(0, high + 1, generator))


def jitter(images, pixels, *, generator=None):
    """Shift images by up to `pixels` in each direction, around the borders (Mordvintsev 2015)."""
    down = random_integer(2 * pixels, generator) - pixels
    right = random_integer(2 * pixels, generator) - pixels
    return images.roll((down, right), (2, 3))


def reflect_pad_crop(*images, border=16, generator=None):
    """Pad images (b,c,h,w) by reflection and crop them at the same random place: a list.

    Crops are (b,c,h+border,w+border). A network's own zero padding would show as a frame, and its
    strides as a grid, if it always started at the same pixel.
    """
    height, width = images[0].shape[2:]
    top = random_integer(border, generator)
    left = random_integer(border, generator)
    padded = [F.pad(x, [border] * 4, mode="reflect") for x in images]
    return [x[..., top:top + height + border, left:left + width + border] for x in padded]


def random_crop(images, smallest, *, size, generator=None):
    """Crop a random square of each image and resize it, (b,c,h,w) -> (b,c,size,size).

    Its side is a random fraction, from `smallest` to 1, of the image's shorter side. MACO (Fel
    2023) optimizes through such crops.
    """
    h, w = images.shape[2:]
    crops = []
    for image in images.split(1):
        side = max(1, round(uniform(smallest, 1.0, generator) * min(h, w)))
        top = random_integer(h - side, generator)
        left = random_integer(w - side, generator)
        crops.append(rescale(image[..., top:top + side, left:left + side], size, "bilinear"))
    return torch.cat(crops)
