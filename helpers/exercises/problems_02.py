"""Checks of the half-hour problems of 02_gradients. Each makes its own pictures from `seed`: an answer can be tried on fresh ones."""

import torch
import torch.nn.functional as F

from helpers.activations import activations, find_layer
from helpers.adversarial import perturb
from helpers.attribution import grad_cam as reference
from helpers.attribution import integrated_gradients
from helpers.exercises.fresh import dice, of_class, with_numbers
from helpers.exercises.verdict import RIGHT, called, told, unlike, verdict, wrong
from helpers.losses import relative, total_variation


@told
def grad_cam(mine, net, *, layer="relu5", seed=0):
    """mine(net, module, x, score): Grad-CAM of what a module gives, (b,3,h,w) -> (b,h,w)."""
    x, k = with_numbers(net, 8, seed)
    score, module = of_class(net, k), find_layer(net, layer)
    kept = [hooks for m in net.modules() for hooks in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks, m._backward_pre_hooks)]
    before = [list(hooks) for hooks in kept]
    with torch.enable_grad():
        a = activations(net, x.clone().requires_grad_(), layer)[layer]
        a = a.detach().requires_grad_()
        above = torch.nn.Sequential(*list(net.children())[list(dict(net.named_children())).index(layer) + 1:])
        g, = torch.autograd.grad(above(a).gather(1, k[:, None]).sum(), a)
    a, grow = a.detach(), lambda m, **how: F.interpolate(m, x.shape[2:], **how)[:, 0]
    smooth = dict(mode="bilinear")
    weighed = lambda w: (w * a).sum(1, keepdim=True)
    mean = g.mean((2, 3), keepdim=True)
    found = verdict(mine, (net, module, x, score), reference(net, x, layer, lambda scores: scores.gather(1, k[:, None])[:, 0]), [
        (grow(weighed(mean), **smooth), "negative evidence counts too here: a ReLU at the end keeps what speaks for the class"),
        (grow(weighed(g).relu(), **smooth), "each place has its own weight here (HiResCAM): average the gradient over the places first"),
        (grow(weighed(torch.ones_like(mean)).relu(), **smooth), "no gradient is in it: that is the sum of the activations"),
        (grow(g.sum(1, keepdim=True).relu(), **smooth), "no activation is in it: that is the gradient alone"),
        (grow(weighed(g.amax((2, 3), keepdim=True)).relu(), **smooth), "the weight is the *mean* of a channel's gradient, not its largest"),
        (grow(weighed(mean).relu(), mode="nearest"), "the map is enlarged by the nearest value; asked for is bilinear"),
        (weighed(mean).relu()[:, 0], "right, and as small as the layer: enlarge it to the picture's size, bilinearly"),
        (grow(weighed(mean.mean(0, keepdim=True)).relu(), **smooth), "the mean ran over the pictures too: each has its own weights"),
    ], tolerance=1e-4)
    left = [hooks.pop(key) for hooks, known in zip(kept, before) for key in list(hooks) if key not in known]
    if left and found.share is not None:
        return wrong("your hooks are still there: each later call of the network would run them. Remove them in `finally`. (This check "
                     "has removed them now.)")
    return found


@told
def pgd(mine, net, *, seed=0):
    """mine(score, x, epsilon, norm, steps, restarts, seed): pictures near x whose score is as high as can be, (b,3,h,w)."""
    x, k = with_numbers(net, 16, seed)
    loss = lambda x: F.cross_entropy(net(x), k, reduction="none")
    flat = torch.tensor([0.0, 1.0], device=x.device).view(2, 1, 1, 1).repeat(1, *x.shape[1:])      # black, white: a step leaves [0, 1]
    for norm, epsilon, size in [("linf", 8 / 255, lambda d: d.flatten(1).abs().amax(1)), ("l2", 1.0, lambda d: d.flatten(1).norm(dim=1))]:
        ask = lambda restarts, norm=norm, epsilon=epsilon: called(mine, loss, x, epsilon, norm, 3, restarts, seed)
        (one, fault), (many, other) = ask(0), ask(3)
        ends, third = called(mine, lambda x: net(x)[:, 0], flat, epsilon, norm, 1, 0, seed)
        if fault or other or third or (fault := unlike(one, x)):
            return fault or other or third
        if one.shape != x.shape or many.shape != x.shape:
            return wrong(f"{norm}: the shape is {tuple(one.shape)}, expected {tuple(x.shape)}")
        if min(one.min(), many.min(), ends.min()) < 0 or max(one.max(), many.max(), ends.max()) > 1:
            return wrong(f"{norm}: some pixels left [0, 1]: clamp after every step")
        far = max(size(one - x).max(), size(many - x).max())
        if far > epsilon * 1.01:
            return wrong(f"{norm}: the budget is {epsilon:.3f}, and a picture is {far:.3f} away: project after every step, "
                         "and after the start by chance; in l2 the length is over all pixels and colours of *one* picture")
        with torch.no_grad():
            reached, best, goal = loss(one), loss(many), loss(perturb(loss, x, epsilon=epsilon, norm=norm, steps=3))
        if torch.equal(one, x):
            return wrong(f"{norm}: nothing has moved")
        if reached.mean() < loss(x).mean():
            return wrong(f"{norm}: the score has fallen: go up the gradient")
        if (best < reached - 1e-4).any():
            return wrong(f"{norm}: three starts more, and a picture ends with a lower score: of all starts, keep each picture's best end")
        if not (best > reached + 1e-4).any():
            return wrong(f"{norm}: three starts more change nothing: each must begin at another place within the budget")
        if reached.mean() < 0.9 * goal.mean():
            return wrong(f"{norm}: a mean score of {reached.mean():.2f}, where three steps of 2.5 epsilon / 3 reach {goal.mean():.2f}: "
                         "in linf step by the sign of the gradient, in l2 by the gradient over its length, picture by picture")
        other, _ = called(mine, loss, x, epsilon, norm, 3, 3, seed + 1)
        if torch.equal(other, many):
            return wrong(f"{norm}: another seed changes nothing: draw the starts by `torch.Generator().manual_seed(seed)`")
    return RIGHT


@told
def variation(mine, *, seed=0):
    """mine(x, beta): total variation, sum of (dx^2 + dy^2)^(beta/2), (b,3,h,w) -> (b,); beta 1, with a gradient also where x is flat."""
    x = torch.rand(2, 3, 12, 9, generator=dice(seed))
    x[:, :, 3:8, 2:6] = 0.5         # flat
    across, down = x.diff(dim=3), x.diff(dim=2)
    square, wide = F.pad(across, (0, 1)) ** 2 + F.pad(down, (0, 0, 0, 1)) ** 2, (x.roll(-1, 3) - x) ** 2 + (x.roll(-1, 2) - x) ** 2
    right = lambda x, beta: total_variation(x, beta=beta)
    found = verdict(mine, (x, 1.0), right, [
        (square.sum((1, 2, 3)), "that is beta = 2 whatever was asked: raise the sum of the two squares to beta / 2"),
        (across.abs().sum((1, 2, 3)) + down.abs().sum((1, 2, 3)), "that adds |dx| and |dy|: a slanted edge costs more than an upright "
                                                                   "one. Add the squares at each pixel, then take the power"),
        (square.sqrt().mean((1, 2, 3)), "that is a mean; asked for is the sum"),
        (square.sqrt().sum(), "that is one number for the whole batch; keep one for each image"),
        (square.sum((1, 2, 3)).sqrt(), "the power acts on each pixel, before the sum"),
        (square.sum(1).sqrt().sum((1, 2)), "here the colours share a root; each colour has its own"),
        (wide.sqrt().sum((1, 2, 3)), "the last column is compared with the first: nothing is on the right of it"),
    ], tolerance=1e-3, differentiable=True)
    if found == RIGHT and verdict(mine, (x, 2.0), right, tolerance=1e-3) != RIGHT:
        return wrong("right for beta = 1, and not for beta = 2: the power is beta / 2")
    return found


@told
def parts(mine, net, *, seed=0):
    """mine(score, x, start, steps): integrated gradients whose parts sum to score(x) - score(start), (b,3,h,w) -> the same shape."""
    x, k = with_numbers(net, 4, seed)
    start, calls, score = torch.full_like(x, 0.5), [], of_class(net, k)

    def counted(x):
        calls.append(x.requires_grad and torch.is_grad_enabled())
        return score(x)

    got, fault = called(mine, counted, x, start, 24)
    if fault or (fault := unlike(got, x)):
        return fault
    if got.shape != x.shape:
        return wrong(f"the shape is {tuple(got.shape)}, expected {tuple(x.shape)}: a part for each value of each picture")
    got = got.detach()
    with torch.no_grad():
        risen, truth = score(x) - score(start), integrated_gradients(score, x, steps=128)
    off = lambda a: (relative(a - truth, truth).sqrt().mean()).item()
    if sum(calls) > 24:
        return wrong(f"{sum(calls)} gradients, where 24 steps were asked for")
    if off(got) > 0.5:
        if off(got * (x - start)) < 0.2:
            return wrong("that is the mean gradient on the way; each value's part is that, times how far the value moved")
        if off(-got) < 0.2:
            return wrong("the sign: what is added on the way from the start to x")
        return wrong(f"the map is no integrated gradient: it is {off(got):.0%} of its length off. Is the gradient taken *on the way*, at "
                     "start + alpha (x - start), for many alpha from 0 to 1, and averaged?")
    gap = ((got.sum((1, 2, 3)) - risen).abs() / risen.abs().clamp(min=1)).max().item()
    if gap > 2e-3:
        return wrong(f"the parts of a picture miss the difference by up to {gap:.1%}: on each step, the score itself says how much it has "
                     "risen. Scale the parts of that step to it")
    return RIGHT
