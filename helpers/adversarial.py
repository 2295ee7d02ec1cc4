"""Adversarial examples: small perturbations that change a prediction, in pixels of [0, 1]."""

import torch
import torch.nn.functional as F

from helpers.activations import check_eval
from helpers.attribution import evaluate, gradient_of
from helpers.images import check_images
from helpers.optimization import normalize_gradient, project_l2, project_linf

PROJECTIONS = {"l2": project_l2, "linf": project_linf}


def pgd(score, x, *, epsilon, norm="l2", steps=10, step_size=None, restarts=0, seed=0):
    """Maximize a score within `epsilon` of x by projected gradient ascent (PGD, Madry 2018).

    (b,3,h,w) -> (b,3,h,w). `norm` is "l2", over all pixels and colors, or "linf"; `step_size`
    is in this norm, by default 2.5 epsilon / steps. One step of epsilon in linf is FGSM
    (Goodfellow 2015). Starts from x, then from `restarts` random points within epsilon, and keeps
    the best.
    """
    check_images(x)
    x = x.detach()
    project = PROJECTIONS[norm]
    step_size = 2.5 * epsilon / steps if step_size is None else step_size
    generator = torch.Generator().manual_seed(seed)

    def ascend(y):
        for _ in range(steps):
            gradient = gradient_of(score, y)
            y = project(y + step_size * normalize_gradient(gradient, norm), x, epsilon)
        return y

    best = ascend(x)
    for _ in range(restarts):
        start = x + epsilon * random_in_ball(x.shape, norm, generator).to(x)
        other = ascend(project(start, x, epsilon))
        with torch.no_grad():
            better = evaluate(score, other) > evaluate(score, best)
        best = torch.where(better.view(-1, 1, 1, 1), other, best)
    return best


def random_in_ball(shape, norm, generator):
    """Draw a point uniformly inside the unit ball for each image, (b,3,h,w)."""
    if norm == "linf":
        return 2 * torch.rand(shape, generator=generator) - 1
    direction = normalize_gradient(torch.randn(shape, generator=generator), "l2")
    volume = torch.rand(shape[0], 1, 1, 1, generator=generator)     # the fraction further inside
    return volume ** (1 / direction[0].numel()) * direction


def minimal_adversarial(net, x, labels, *, step_size=0.05, steps=40):
    """Perturb images by l2 steps until the network errs, (b,3,h,w) and (b,) -> (b,3,h,w).

    Each image stops as soon as it is not classified as its label, or after `steps`. The iteration
    of Kurakin 2017, with normalized gradients.
    """
    check_images(x)
    check_eval(net)
    labels = torch.as_tensor(labels).to(x.device)
    images = x.detach()
    for _ in range(steps):
        images.requires_grad_()
        with torch.enable_grad():
            logits = net(images)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            gradient, = torch.autograd.grad(loss, images)
        images = images.detach()
        moved = (images + step_size * normalize_gradient(gradient, "l2")).clamp(0, 1)
        errs = logits.argmax(1) != labels
        images = torch.where(errs.view(-1, 1, 1, 1), images, moved)
    return images
