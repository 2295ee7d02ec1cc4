"""DeepDream: more of what a layer sees. Mordvintsev 2015."""

import torch

from helpers.activations import activations
from helpers.errors import check_count
from helpers.images import check_images, resize, scaled
from helpers.optimize import NormalizedGradient, descend
from helpers.param import PixelImage
from helpers.transforms import jitter


def dream(net, start, layer, *, steps=10, scale=1.4, octaves=4, length=0.012, shift=8, seed=0):
    """Climbs half the squared norm of a layer from a picture (b,3,h,w), size after size -> generator of Step, as `descend`.

    `steps` at each of `octaves` sizes; each moves the pixels by `length` on average (root mean square), in pixels of [0, 1],
    and sees the picture shifted by up to `shift` pixels. To dream of one channel, or of anything else, give a loss of your own to
    `descend_octaves`.
    """
    generator = torch.Generator().manual_seed(seed)
    loss = lambda x: -0.5 * activations(net, jitter(x, shift, generator=generator), layer)[layer].square().sum()
    small = lambda p: NormalizedGradient(p, lr=length * p[0][0].numel() ** 0.5)       # of one picture
    return descend_octaves(start, lambda image: descend(image, loss, steps=steps, optimizer=small), scale=scale, octaves=octaves)


def descend_octaves(start, dreaming, *, scale=1.4, octaves=4, image=PixelImage):
    """Descends at growing sizes, of which the last is that of `start` (b,3,h,w); yields the Steps of each.

    `dreaming(image)` gives the steps for a PixelImage, or for what else `image` makes of a start (FourierImage), as
    `lambda image: descend(image, loss, steps=10)`. From size to size
    only the detail is carried on, what was drawn on the shrunken start, so that the start itself stays sharp.
    Raises ValueError if the smallest size would have no pixel.
    """
    check_images(start), check_count(octaves, "octaves")
    if not 1 < scale < float("inf"):
        raise ValueError(f"Got octaves of {scale}; expected each more than 1 times as large as the one before. Try 1.4.")
    sizes = [tuple(round(n / scale ** k) for n in start.shape[2:]) for k in reversed(range(int(octaves)))]
    if 0 in sizes[0]:
        raise ValueError(f"The smallest of {octaves} octaves of {scale} has {sizes[0][0]} x {sizes[0][1]} pixels. Try fewer.")
    detail = torch.zeros_like(start)
    for size in sizes:
        base = resize(start, size) if size != tuple(start.shape[2:]) else start
        grown = scaled(detail, size, "bicubic")
        drawn = image((base + grown).clamp(0, 1))
        yield from dreaming(drawn)
        detail = drawn().detach() - base
