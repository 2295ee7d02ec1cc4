"""Descent of a loss over images. A loss is a function of images, (b,3,h,w) -> a number; what is in it is the technique."""

from collections import deque
from dataclasses import dataclass

import torch

from helpers.errors import check_count, check_positive, describe
from helpers.images import check_images


@dataclass(frozen=True)
class Step:
    """One step of `descend`: its number from 1, the loss before the step, the image after it (b,3,h,w)."""

    index: int
    loss: float
    image: torch.Tensor


def last(steps):
    """The last of the steps; those before it are not kept. Raises ValueError if there is none."""
    found = deque(steps, maxlen=1)
    if not found:
        raise ValueError("Got no step; expected at least one, as `descend` yields them.")
    return found.pop()


def steepest(gradient, norm):
    """The step of length 1 that raises a plane most, (b, ...) -> (b, ...): g / |g| in l2, sign(g) in l-infinity; each image alone."""
    if norm == "linf":
        return gradient.sign()
    return gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, *[1] * (gradient.ndim - 1))


class NormalizedGradient:
    """Steps of a fixed length, whatever the size of the gradient: x <- x - lr * g / ||g||, for each image (b, ...).

    `lr` is the l2 length of a step, in pixels of [0, 1]. It has the `step` of PyTorch's optimisers, but is none: the first of
    these that is made imports a compiler, which takes seconds.
    """

    def __init__(self, params, lr=1.0):
        check_positive(lr, "step length")
        self.params, self.lr = list(params), lr
        if torch.is_tensor(params) or not self.params or not all(torch.is_tensor(p) for p in self.params):
            raise TypeError(f"Got {describe(params)} as parameters; expected some tensors, as module.parameters() gives them. "
                            "Try [x] for a single one.")

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.inference_mode(False):
                loss = closure()
        for p in self.params:
            if p.grad is not None:
                p.sub_(self.lr * steepest(p.grad, "l2"))
        return loss


def descend(image, loss, *, steps, optimizer=None):
    """Minimises loss(image()) over the parameters of `image`; yields a Step after each step.

    `image` is a PixelImage or another module whose forward() is the image. `optimizer` is a function of the
    parameters, `lambda p: torch.optim.Adam(p, lr=0.02)`; without one, normalised steps of length 1. LBFGS works too.
    To maximise a score, give its negative. The network's parameters get no gradient.
    Raises ValueError if the loss is not one number, not finite (with the step's number), or has no gradient.
    """
    check_count(steps, "steps")
    parameters = [p for p in image.parameters() if p.requires_grad]
    optimizer = optimizer(parameters) if optimizer else NormalizedGradient(parameters)

    def closure():
        value = loss(image())
        if not torch.is_tensor(value) or value.numel() != 1:
            raise ValueError(f"The loss gave {describe(value)}; expected one number. Try .mean() or .sum().")
        if not value.requires_grad:
            raise ValueError("The loss does not depend on the image in a way that can be differentiated.")
        if not value.isfinite():
            raise ValueError(f"The loss became {value.item()} at step {index}. Try a smaller step; the last picture is kept.")
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
        if index == 1 and all(g is None or not g.any() for g in gradients):
            raise ValueError("The gradient is zero at the start: the score does not depend on the image, or is behind ReLUs "
                             "that are all off for it. Try another start, or another unit.")
        if not all(g is None or g.isfinite().all() for g in gradients):
            raise ValueError(f"The gradient became infinite or not a number at step {index}. Try a smaller step; the last picture is kept.")
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = g
        return value.detach()

    for index in range(1, int(steps) + 1):
        with torch.inference_mode(False):       # it enables gradients, too
            value = optimizer.step(closure)
        if hasattr(image, "project"):
            image.project()
        yield Step(index, float(value), image().detach().clone())


def project_l2(x, center, epsilon):
    """The nearest point within l2 distance `epsilon` of center, then clamped to [0, 1], (b,3,h,w) -> (b,3,h,w); each image alone.

    The length is over all pixels and colours of an image, in pixels of [0, 1]. `center` must lie in [0, 1]; then clamping
    only shortens the way back to it, so the result keeps both bounds.
    """
    check_ball(x, center, epsilon)
    length = (x - center).flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    rounding = torch.finfo(x.dtype).eps * x[0].numel() ** 0.5       # of pixels; else a second projection would move some again
    shortened = center + (x - center) * (epsilon / length.clamp(min=1e-12))
    return torch.where(length > epsilon + rounding, shortened, x).clamp(0, 1)


def project_linf(x, center, epsilon):
    """The nearest point in which no pixel is further than `epsilon` from center's, within [0, 1], (b,3,h,w) -> (b,3,h,w)."""
    check_ball(x, center, epsilon)
    return torch.minimum(torch.maximum(x, center - epsilon), center + epsilon).clamp(0, 1)


def check_ball(x, center, epsilon):
    check_images(x, within=False), check_images(center)
    if x.shape != center.shape:
        raise ValueError(f"Got images {tuple(x.shape)} and a centre {tuple(center.shape)}; expected the same shape.")
    check_positive(epsilon, "budget, in pixels of [0, 1]")
