"""What is done to an image before a network sees it. What is random is drawn from `generator`, or else from a fresh one."""

import math

import torch
import torch.nn.functional as F

from helpers.errors import check_count, check_positive, describe
from helpers.images import check_images, full_precision, pair, scaled, wide


def gaussian_blur(images, sigma):
    """Blurs by a Gaussian of standard deviation `sigma` pixels, (b,3,h,w) -> (b,3,h,w); the border is mirrored.

    The window ends at 3 sigma, or where the image does.
    """
    check_images(images, within=False)
    check_positive(sigma, "sigma in pixels")
    for dim in (2, 3):
        radius = min(int(3 * sigma + 0.5), images.shape[dim] - 1)
        if radius == 0:
            continue
        x = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
        kernel = torch.exp(-(x / sigma) ** 2 / 2)
        kernel = (kernel / kernel.sum()).view(1, 1, *((-1, 1) if dim == 2 else (1, -1)))
        padded = F.pad(images, (0, 0, radius, radius) if dim == 2 else (radius, radius, 0, 0), mode="reflect")
        with full_precision(images.device):     # of bf16 and channels last, PyTorch 2.15 on a CPU never returns
            images = F.conv2d(padded, kernel.expand(3, 1, -1, -1), groups=3)
    return images


def blur_maps(maps, sigma):
    """Blurs maps as `gaussian_blur` does images, (b,h,w) -> (b,h,w): what a speckled heat map needs before it is cut or looked at."""
    if not torch.is_tensor(maps) or maps.ndim != 3:
        raise ValueError(f"Got {describe(maps)}; expected maps (b, h, w). Try maps[None] for one.")
    return gaussian_blur(maps[:, None].expand(-1, 3, -1, -1), sigma)[:, 0]


def uniform(low, high, generator):
    """A number between low and high; the global random state is left alone."""
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    return low + (high - low) * torch.rand((), generator=generator, device=generator.device).item()


def jitter(images, pixels, *, generator=None):
    """Shifts by up to `pixels` in each direction, (b,3,h,w) -> (b,3,h,w): what leaves on one side enters on the other.

    Every pixel is kept, only its place changes. Mordvintsev 2015.
    """
    check_images(images, within=False)
    check_count(pixels, "pixels of jitter", least=0)
    shifts = [math.floor(uniform(-pixels, pixels + 1, generator)) for _ in range(2)]
    return images.roll(shifts, (2, 3))


def pad(images, pixels, *, value=0.5):
    """A border of one grey, (b,3,h,w) -> (b,3,h + 2 pixels,w + 2 pixels)."""
    check_images(images, within=False)
    check_count(pixels, "pixels of border", least=0)
    return F.pad(images, [int(pixels)] * 4, value=value)


def mirror_crop(*images, border=16, generator=None):
    """Images of one size (b,3,h,w) with a mirrored border, and a random window of it, the same for all: -> [(b,3,h+border,w+border), ...].

    What a network pads with zeros it would see as a frame, and strides would leave a lattice of their own if they always began at the
    same pixels. One image gives a list of one.
    """
    for x in images:
        check_images(x, within=False)
    sizes = {tuple(x.shape[2:]) for x in images}
    if len(sizes) != 1:
        raise ValueError(f"Got {len(images)} pictures of the sizes {sorted(sizes)}; expected one or more of one size. Try resize first.")
    (height, width), = sizes
    check_count(border, "pixels of border", least=0)
    if border >= min(height, width):
        raise ValueError(f"Got a border of {border} for {height} x {width} pixels; expected one smaller than the picture.")
    top, left = (math.floor(uniform(0, border + 1, generator)) for _ in range(2))
    padded = [F.pad(x, [int(border)] * 4, mode="reflect") for x in images]
    return [x[..., top:top + height + border, left:left + width + border] for x in padded]


def random_scale(images, low=0.9, high=1.1, *, generator=None):
    """Scales by a random factor, (b,3,h,w) -> (b,3,h',w'), bilinear; the size changes with it."""
    check_images(images, within=False)
    if not 0 < low <= high < float("inf"):
        raise ValueError(f"Got factors from {low} to {high}; expected 0 < low <= high.")
    factor = uniform(low, high, generator)
    size = [max(1, round(factor * n)) for n in images.shape[2:]]
    return scaled(images, size, "bilinear")


def random_rotate(images, degrees, *, generator=None):
    """Turns by up to `degrees` either way around the centre, (b,3,h,w) -> (b,3,h,w), bilinear; corners mirror the border."""
    check_images(images, within=False)
    check_positive(degrees, "turn in degrees", zero=True)
    angle = math.radians(uniform(-degrees, degrees, generator))
    h, w = images.shape[2:]
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin * h / w, 0], [sin * w / h, cos, 0]]).to(wide(images))     # in units of half the width and height
    grid = F.affine_grid(turn.expand(len(images), -1, -1), images.shape, align_corners=False)
    return F.grid_sample(wide(images), grid, padding_mode="reflection", align_corners=False).to(images.dtype)


def random_crop(images, low=0.35, high=1.0, *, size=None, generator=None):
    """A square of a random share, from `low` to `high`, of each image's shorter side, resized: (b,3,h,w) -> (b,3,size,size), bilinear.

    Each image of a batch has a draw of its own. `size` is the shorter side unless given. A class picture must then be one at
    every scale; Fel 2023, "MACO", draw such crops too.
    """
    check_images(images, within=False)
    if not 0 < low <= high <= 1:
        raise ValueError(f"Got shares from {low} to {high}; expected 0 < low <= high <= 1.")
    h, w = images.shape[2:]
    size, crops = pair(size or min(h, w)), []
    for image in images.split(1):
        side = max(1, round(uniform(low, high, generator) * min(h, w)))
        top, left = (math.floor(uniform(0, room - side + 1, generator)) for room in (h, w))
        crops.append(scaled(image[..., top:top + side, left:left + side], size, "bilinear"))
    return torch.cat(crops)
