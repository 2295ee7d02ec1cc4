"""What the waves of a picture tell: how fine its detail is, and whether a network's strides have left a lattice in it."""

from itertools import product

import torch

from helpers.errors import check_positive
from helpers.images import check_images

PERIODS = (2, 3, 4)     # of a lattice, in pixels: what strides of 2 and 4 leave


def power(images):
    """How strong each wave is, summed over colours, (b,3,h,w) -> (b,h,w), as `torch.fft.fft2` orders them.

    The border fades out first (Hann's window): the edges of a picture do not meet, and would make a cross.
    """
    check_images(images, within=False)
    h, w = images.shape[2:]
    fade = [torch.hann_window(n, periodic=False, device=images.device) for n in (h, w)]
    faded = (images.detach().float() - images.detach().float().mean((2, 3), keepdim=True)) * fade[0][:, None] * fade[1]
    return torch.fft.fft2(faded).abs().square().sum(1)


def fine_share(images, *, shorter=3.0):
    """The share of the variance in waves shorter than so many pixels, (b,3,h,w) -> (b,)."""
    check_positive(shorter, "pixels of a wave")
    strength = power(images)
    frequency = [torch.fft.fftfreq(n, device=images.device) for n in images.shape[2:]]
    fine = torch.hypot(frequency[0][:, None], frequency[1]) > 1 / shorter
    return (strength * fine).sum((1, 2)) / strength.sum((1, 2)).clamp(min=1e-12)


def lattice(images):
    """How far the strongest peak at a period of 2, 3 or 4 pixels stands above its neighbours, (b,3,h,w) -> a number: 1 to 2 without.

    What strides leave stands at the same waves in every picture, so the mean spectrum of several is taken: one alone has peaks by
    chance, up to about 4. A peak is the mean of 3 x 3 waves around a lattice's. It is compared with the waves above and below it, and
    with those on either side, 3 to 8 steps away, of which the stronger count: a line, as an edge makes, is no peak.
    Raises ValueError for pictures of less than 48 pixels a side, in which the peaks would be each other's neighbours.
    """
    check_images(images, within=False)
    if min(images.shape[2:]) < 48:
        raise ValueError(f"Got pictures of {images.shape[2]} x {images.shape[3]} pixels; expected at least 48 a side.")
    h, w = (n // 12 * 12 for n in images.shape[2:])         # then each of these waves fits in a whole number of times
    strength = power(images[..., :h, :w])
    strength = (strength / strength.sum((1, 2), keepdim=True).clamp(min=1e-12)).mean(0)
    near, far, ratios = torch.arange(-1, 2), torch.cat([torch.arange(-8, -2), torch.arange(3, 9)]), []
    for period in PERIODS:
        for y, x in product(range(period), repeat=2):
            if y or x:
                i, j = h * y // period, w * x // period
                peak, along, across = (strength[(i + rows)[:, None] % h, (j + columns) % w].mean()
                                       for rows, columns in ((near, near), (far, near), (near, far)))
                ratios.append(peak / torch.maximum(along, across).clamp(min=1e-12))
    return float(torch.stack(ratios).max())
