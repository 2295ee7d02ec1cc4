"""DeepDream: increase what a layer responds to, at growing sizes. Mordvintsev 2015."""

import torch

from helpers.activations import activations
from helpers.images import check_images, rescale, resize
from helpers.optimization import NormalizedGradient, descend
from helpers.parametrization import PixelImage
from helpers.transforms import jitter


def deep_dream(net, start, layer, *, steps=10, scale=1.4, octaves=4, length=0.012, shift=8, seed=0):
    """Maximize half the squared norm of a layer's activations, from images (b,3,h,w) -> Steps.

    Takes `steps` at each of `octaves` sizes; each changes pixels by `length` (root mean square) and
    sees the image jittered by up to `shift` pixels. For another loss, see `descend_octaves`.
    """
    generator = torch.Generator().manual_seed(seed)

    def loss(x):
        seen = jitter(x, shift, generator=generator)
        return -0.5 * activations(net, seen, layer).square().sum()

    def dream(image):
        pixels = image()[0].numel()
        optimizer = lambda p: NormalizedGradient(p, lr=length * pixels ** 0.5)
        return descend(image, loss, steps=steps, optimizer=optimizer)

    return descend_octaves(start, dream, scale=scale, octaves=octaves)


def descend_octaves(start, dream, *, scale=1.4, octaves=4, image=PixelImage):
    """Descend at growing sizes, the last that of `start` (b,3,h,w), and yield the Steps of each.

    `dream(image)` returns the steps at one size, `lambda image: descend(image, loss, steps=10)`;
    `image` makes an image module of a start. Only the detail that was drawn is carried from size to
    size, so the start itself stays sharp.
    """
    check_images(start)
    detail = torch.zeros_like(start)
    for octave in reversed(range(octaves)):
        size = [round(n / scale ** octave) for n in start.shape[2:]]
        base = resize(start, size)
        drawn = image((base + rescale(detail, size, "bicubic")).clamp(0, 1))
        yield from dream(drawn)
        detail = drawn().detach() - base
