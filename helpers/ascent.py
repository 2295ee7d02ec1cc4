"""Pictures that a network itself asks for: gradient ascent on scores, with what keeps it from mere noise."""

import copy
from dataclasses import replace

import torch

from helpers.activations import check_eval
from helpers.batches import in_batches
from helpers.errors import check_count, check_k
from helpers.images import check_floats, check_images, numbers, wide
from helpers.nets import check_classes, fast
from helpers.optimize import NormalizedGradient, descend, last
from helpers.param import PixelImage


def ascend(net, classes, *, steps=16, image=None, optimizer=None, see=None, penalty=None, between=None, seed=0, exact=True):
    """Climbs the scores of classes, one image for each, (b,) -> generator of Step with images (b,3,h,w).

    Starts from grey noise of 64 x 64 (drawn by `seed`) in normalised steps of length 2, or from another `image` module with
    another `optimizer`; see `descend`. A regulariser can act in three places:
    `see(x)`, what the network is given instead of the image, such as a shifted one;
    `penalty(x) -> (b,)`, what is taken off the scores;
    `between(x, gradient, index)`, the pixels after a step, from those before, the step's gradient of the loss, its number.
    Without `exact` the network runs in bf16, channels last, where the device gains from it.
    """
    image = grey_noise(net, numbers(classes, "classes").numel(), seed) if image is None else image
    classes = check_classes(net, classes, len(image()), image().device)
    if between is not None and not isinstance(image, PixelImage):
        raise ValueError(f"`between` changes pixels, and a {type(image).__name__} has none of its own. Try PixelImage, or `see`.")

    def loss(x):
        seen = x if see is None else see(x)
        with fast(x.device, exact=exact):
            scores = net(seen if exact else seen.contiguous(memory_format=torch.channels_last)).float().gather(1, classes[:, None])[:, 0]
        return -(scores if penalty is None else scores - penalty(x)).sum()

    for step in descend(image, loss, steps=steps, optimizer=optimizer or (lambda p: NormalizedGradient(p, lr=2.0))):
        if between is not None:
            with torch.no_grad():
                image.pixels.copy_(between(image.pixels.detach(), image.pixels.grad, step.index))
            step = replace(step, image=image().detach().clone())
        yield step


def grey_noise(net, n, seed):
    """Where `ascend` starts: n images of 64 x 64, drawn on the CPU, so that they are the same everywhere -> PixelImage."""
    check_eval(net), check_count(n, "images")
    where = next(net.parameters(), torch.empty(0)).device
    return PixelImage.noise(64, 64, batch=int(n), generator=torch.Generator().manual_seed(seed), device=where)


@torch.inference_mode(False)
def class_pictures(net, classes, *, image=None, batch=24, seed=0, **how):
    """The last picture of `ascend` for each class, (b,) -> (b,3,h,w), `batch` of them at a time; arguments as there.

    But `image` is a function of how many are asked for: `lambda n: FourierImage.noise(64, 64, batch=n)`. All starts are drawn
    at once, so that `batch` decides about memory only (and, where `see` draws at random, about how often it does).
    """
    classes = numbers(classes, "classes").flatten()
    starts = grey_noise(net, len(classes), seed) if image is None else image(len(classes))

    def climbed(part):
        some = copy.deepcopy(starts)
        for p in some.parameters():
            p.data = p.data[part]
        return last(ascend(net, classes[part], image=some, **how)).image

    return torch.cat(list(in_batches(climbed, torch.arange(len(classes)), batch)))


def grey_where_small(x, size, share):
    """Makes the `share` of pixels with the smallest `size` grey, (b,3,h,w) and (b,h,w) -> (b,3,h,w); of equals none goes.

    With size |x - 0.5| these are small pixels, with |(x - 0.5) * gradient| those that contribute least. Yosinski 2015.
    """
    check_images(x, within=False), check_floats(size, "sizes", finite=True)
    if size.shape != (len(x), *x.shape[2:]):
        raise ValueError(f"Got sizes {tuple(size.shape)} for images {tuple(x.shape)}; expected one for each pixel, (b, h, w).")
    if not 0 <= share < 1:
        raise ValueError(f"Got a share of {share}; expected from 0 to less than 1.")
    least = wide(size).flatten(1).quantile(share, dim=1).view(-1, 1, 1)
    return torch.where((size < least)[:, None], 0.5, x)


@torch.no_grad()
def named(net, images, classes, k=1):
    """Does the network name the class of each image among its k first answers? (b,3,h,w), (b,) -> (b,) bool."""
    check_images(images)
    classes = check_classes(net, classes, len(images), images.device)
    check_k(k, len(net.classes), "classes")
    scores = torch.cat(list(in_batches(net, images, 32)))
    return (scores.topk(int(k), dim=1).indices == classes[:, None]).any(1)
