"""DeepDream: increase what a layer responds to, at growing sizes. Mordvintsev 2015."""

from functools import partial

import torch

from helpers.activations import activations
from helpers.images import check_images, rescale, resize
from helpers.optimization import NormalizedGradient, descend
from helpers.parametrization import PixelImage
from helpers.transforms import jitter


def deep_dream(net, start, layer, *, steps=10, scale=1.4, octaves=4, step_size=0.012, shift=8,
               seed=0):
    """Maximize half the squared norm of a layer's activations, from images (b,3,h,w) -> Steps.

    Takes `steps` at each of `octaves` sizes. Each changes the pixels by `step_size` (root mean
    square) and sees the image jittered by up to `shift` pixels. For another loss, see
    `descend_octaves`.
    """
    generator = torch.Generator().manual_seed(seed)

    def loss(x):
        seen = jitter(x, shift, generator=generator)
        return -0.5 * activations(net, seen, layer).square().sum()

    def one_size(image):
        norm = step_size * image()[0].numel() ** 0.5        # of a step, from its root mean square
        optimizer = partial(NormalizedGradient, lr=norm)
        return descend(image, loss, steps=steps, optimizer=optimizer)

    return descend_octaves(start, one_size, scale=scale, octaves=octaves)


def descend_octaves(start, one_size, *, scale=1.4, octaves=4, make_image=PixelImage):
    """Descend at growing sizes, the last that of `start` (b,3,h,w), and yield the Steps of each.

    `one_size` returns the steps at one size: `lambda image: descend(image, loss, steps=10)`, and
    `make_image` the image module that it gets. Only the detail that the steps have added is carried
    from size to size, so the start itself stays sharp.
    """
    check_images(start)
    added = torch.zeros_like(start)
    for octave in reversed(range(octaves)):
        size = [round(n / scale ** octave) for n in start.shape[2:]]
        resized = resize(start, size)
        canvas = make_image((resized + rescale(added, size, "bicubic")).clamp(0, 1))
        yield from one_size(canvas)
        added = canvas().detach() - resized
