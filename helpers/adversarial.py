"""Pictures that fool a network: climb another class's score without going far. Budgets are in pixels of [0, 1]."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from helpers.attribution import gradient_of, values
from helpers.batches import in_batches
from helpers.errors import check_count, check_positive, unknown
from helpers.images import check_images
from helpers.nets import check_classes
from helpers.optimize import check_ball, project_l2, project_linf, steepest

PROJECTIONS = {"l2": project_l2, "linf": project_linf}


def perturb(score, x, *, epsilon, norm="l2", steps=10, step=None, restarts=0, seed=0):
    """Climbs a score within `epsilon` of x, (b,3,h,w) -> (b,3,h,w): projected gradient ascent (PGD), Madry 2018.

    `norm` says what a length is: "l2" over all pixels and colours, or "linf", the largest change of any. Each step has the
    length `step`; 2.5 epsilon / steps unless given. One step of length epsilon in linf is FGSM, Goodfellow 2015.
    The climb starts from x. With `restarts` it starts as often again from places drawn within the budget (by `seed`), and of
    each image the end with the highest score is kept.
    """
    check_ball(x, x, epsilon), check_count(steps, "steps")
    step = 2.5 * epsilon / steps if step is None else step
    check_positive(step, "step length, in pixels of [0, 1]")
    if norm not in PROJECTIONS:
        raise unknown("norm", norm, PROJECTIONS)
    check_count(restarts, "restarts", least=0)
    x, generator = x.detach(), torch.Generator().manual_seed(seed)

    def climb(y):
        for _ in range(int(steps)):
            y = PROJECTIONS[norm](y + step * steepest(gradient_of(score, y), norm), x, epsilon)
        return y

    best = climb(x)
    for _ in range(int(restarts)):
        away = epsilon * steepest(torch.randn(x.shape, generator=generator), norm).to(x)
        other = climb(PROJECTIONS[norm](x + away, x, epsilon))
        with torch.no_grad():
            better = values(score, other) > values(score, best)
        best = torch.where(better.view(-1, 1, 1, 1), other, best)
    return best


@dataclass(frozen=True, eq=False)
class Fooled:
    """Where each climb ended: images (b,3,h,w), whether it fooled (b,) bool, its l2 distance (b,) and its steps (b,)."""

    images: torch.Tensor
    success: torch.Tensor
    distances: torch.Tensor
    steps: torch.Tensor


def fool(net, x, labels, *, targets=None, step=0.05, steps=40, batch=16):
    """Climbs until the network is fooled, (b,3,h,w) and labels (b,) -> Fooled; each image stops as soon as it is.

    Untargeted, away from its label; or towards `targets` (b,), until that is the answer. l2 steps of length `step`, in
    pixels of [0, 1]; the pixels stay in [0, 1]. An image that is named wrong from the start has distance 0.
    """
    check_images(x), check_count(steps, "steps")
    check_positive(step, "step length, in pixels of [0, 1]")
    labels = check_classes(net, labels, len(x), x.device)
    targets = None if targets is None else check_classes(net, targets, len(x), x.device)
    goal, sign = (labels, 1) if targets is None else (targets, -1)
    y, taken, success = x.detach().clone(), torch.zeros_like(labels), torch.zeros_like(labels, dtype=torch.bool)

    def climb(going):       # those of a batch that still climb
        y[going] = x[going].detach()        # from the start, where it is tried again
        for n in range(int(steps) + 1):
            with torch.inference_mode(False):           # one forward pass both judges and climbs
                now = y[going].requires_grad_()
                scores = net(now)
                gradient, = torch.autograd.grad(sign * F.cross_entropy(scores, goal[going], reduction="sum"), now)
            fooled = (scores.argmax(1) == goal[going]) == (targets is not None)
            success[going], taken[going] = fooled, n
            gradient, going = gradient[~fooled], going[~fooled]
            if n == int(steps) or len(going) == 0:
                break
            y[going] = (y[going] + step * steepest(gradient, "l2")).clamp(0, 1)

    for _ in in_batches(climb, torch.arange(len(x), device=x.device), batch):
        pass
    return Fooled(y, success, (y - x).flatten(1).norm(dim=1), taken)
