"""Optimize an image: descend a loss, a function from images (b,3,h,w) to one number."""

from collections import deque
from typing import NamedTuple

import torch


class Step(NamedTuple):
    """One step of `descend`: its number from 1, the loss before it, and the image after it."""

    index: int
    loss: torch.Tensor      # a number, which stays on its device until it is read
    image: torch.Tensor     # (b,3,h,w)


def last(steps):
    """Run all steps and return the last one. The earlier ones are not kept."""
    return deque(steps, maxlen=1).pop()


def l2_norm(x):
    """Compute the l2 norm of each image, (b,...) -> (b,1,...)."""
    return x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))


def normalize_gradient(gradient, norm):
    """Normalize the gradient of each image, (b,...): g / ||g|| in "l2", sign(g) in "linf"."""
    if norm == "linf":
        return gradient.sign()
    return gradient / l2_norm(gradient).clamp(min=1e-12)


class NormalizedGradient:
    """Optimize by steps of a fixed length, x <- x - lr g / ||g||, for each image (b,...) by itself.

    `lr` is the l2 norm of a step, in pixels of [0, 1]. It has the `step` of `torch.optim`, whose
    own base class would import a compiler, which takes seconds.
    """

    def __init__(self, params, lr=1.0):
        self.params = list(params)
        self.lr = lr

    @torch.no_grad()
    def step(self):
        for p in self.params:
            p -= self.lr * normalize_gradient(p.grad, "l2")


def descend(image, loss, *, steps, optimizer=NormalizedGradient):
    """Minimize loss(image()) over the parameters of `image`, and yield a Step after each step.

    `image` is a PixelImage or another module whose forward() returns images. `optimizer` is a
    function of the parameters, `lambda p: torch.optim.Adam(p, lr=0.02)`; the default takes
    normalized steps of length 1. To maximize a score, minimize its negative. The network's
    parameters get no gradient. Raises ValueError, within ten steps, if the loss is not finite.
    """
    parameters = list(image.parameters())
    optimizer = optimizer(parameters)

    for index in range(1, steps + 1):
        with torch.enable_grad():
            value = loss(image())
            gradients = torch.autograd.grad(value, parameters)
        for p, gradient in zip(parameters, gradients):
            p.grad = gradient
        optimizer.step()
        if hasattr(image, "project"):
            image.project()
        step = Step(index, value.detach().squeeze(), image().detach().clone())
        if index % 10 == 0 or index == steps:       # not at each step: a GPU would have to wait
            check_finite(step)
        yield step


def check_finite(step):
    """Raise ValueError unless the loss and the image of a step are finite."""
    if not (step.loss.isfinite() and step.image.isfinite().all()):
        raise ValueError(f"Got a loss of {step.loss.item()} by step {step.index}; expected a "
                         "finite loss and a finite gradient. Try smaller steps.")


def project_l2(x, center, epsilon):
    """Project each image (b,3,h,w) onto the l2 ball around its center, within [0, 1]."""
    change = x - center
    distance = l2_norm(change)
    nearest = center + change * (epsilon / distance)
    return torch.where(distance > epsilon, nearest, x).clamp(0, 1)


def project_linf(x, center, epsilon):
    """Project each image (b,3,h,w) onto the l-infinity ball around its center, within [0, 1]."""
    return x.clamp(center - epsilon, center + epsilon).clamp(0, 1)
