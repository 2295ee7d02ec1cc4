"""Adversarial examples: small perturbations that change a prediction, in pixels of [0, 1]."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from helpers.activations import check_eval
from helpers.attribution import evaluate, gradient_of
from helpers.images import check_images
from helpers.optimization import l2_norm, normalize_gradient, project_l2, project_linf

PROJECTIONS = {"l2": project_l2, "linf": project_linf}


def pgd(score, x, *, epsilon, norm="l2", steps=10, step=None, restarts=0, seed=0):
    """Maximize a score within `epsilon` of x by projected gradient ascent (PGD, Madry 2018).

    (b,3,h,w) -> (b,3,h,w). `norm` is "l2", over all pixels and colors, or "linf"; `step` is the
    length of a step, by default 2.5 epsilon / steps. One step of epsilon in linf is FGSM
    (Goodfellow 2015). Starts from x, then from `restarts` random points, and keeps the best.
    """
    check_images(x)
    x = x.detach()
    project = PROJECTIONS[norm]
    step = 2.5 * epsilon / steps if step is None else step
    generator = torch.Generator().manual_seed(seed)

    def ascend(y):
        for _ in range(steps):
            gradient = gradient_of(score, y)
            y = project(y + step * normalize_gradient(gradient, norm), x, epsilon)
        return y

    best = ascend(x)
    for _ in range(restarts):
        noise = torch.randn(x.shape, generator=generator)
        start = x + epsilon * normalize_gradient(noise, norm).to(x)
        other = ascend(project(start, x, epsilon))
        with torch.no_grad():
            better = evaluate(score, other) > evaluate(score, best)
        best = torch.where(better.view(-1, 1, 1, 1), other, best)
    return best


@dataclass(frozen=True, eq=False)
class Adversarial:
    """Perturbed images (b,3,h,w); the success (bool), l2 distance, and steps of each, (b,)."""

    images: torch.Tensor
    success: torch.Tensor
    distances: torch.Tensor
    steps: torch.Tensor


def minimal_adversarial(net, x, labels, *, targets=None, step=0.05, steps=40, batch=16):
    """Perturb images by l2 steps until the network errs, (b,3,h,w) and (b,) -> Adversarial.

    Untargeted, away from `labels`; or toward `targets` (b,), until these are predicted. Each image
    stops as soon as it succeeds. The iteration of Kurakin 2017, with normalized gradients.
    """
    check_images(x)
    check_eval(net)
    x = x.detach()
    targeted = targets is not None
    classes = torch.as_tensor(targets if targeted else labels).to(x.device)
    parts = []
    for images, goals in zip(x.split(batch), classes.split(batch)):
        parts.append(perturb_until_success(net, images, goals, targeted, step, steps))
    images, success, taken = map(torch.cat, zip(*parts))
    return Adversarial(images, success, l2_norm(images - x).flatten(), taken)


@torch.enable_grad()
def perturb_until_success(net, x, classes, targeted, step, steps):
    """Perturb each image until it succeeds: images (b,3,h,w), success (b,), steps taken (b,)."""
    sign = -1 if targeted else 1
    taken = torch.zeros_like(classes)
    for index in range(steps):
        x = x.requires_grad_()
        logits = net(x)
        loss = sign * F.cross_entropy(logits, classes, reduction="sum")
        gradient, = torch.autograd.grad(loss, x)
        x = x.detach()
        success = succeeds(logits, classes, targeted)
        moved = (x + step * normalize_gradient(gradient, "l2")).clamp(0, 1)
        x = torch.where(success.view(-1, 1, 1, 1), x, moved)
        taken += ~success
        if index % 10 == 9 and success.all():       # not at each step: a GPU would have to wait
            break
    return x, succeeds(net(x), classes, targeted), taken


def succeeds(logits, classes, targeted):
    """Tell which images are not predicted as their class or, if targeted, which are: (b,)."""
    predicted = logits.argmax(1) == classes
    return predicted if targeted else ~predicted
