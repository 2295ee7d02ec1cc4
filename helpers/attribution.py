"""Attribution: which pixels does a score depend on?

A score is a function from images (b,3,h,w) to one number per image, (b,): `lambda x: net(x)[:, k]`.
Differentiate logits, not probabilities: a softmax couples the classes, and its gradient vanishes
where the network is sure. `batch` is how many copies of a single image are scored at once; of
several images only one copy each, so that a score with one class per image works.
"""

from contextlib import nullcontext
from itertools import product

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from helpers.activations import check_eval, check_maps, find_layer
from helpers.errors import describe, unknown_name
from helpers.images import check_images, pair


def evaluate(score, x):
    """Evaluate a score on images, (b,3,h,w) -> (b,). Raises ValueError for any other shape."""
    y = score(x)
    if y.shape != x.shape[:1]:      # autograd would sum the scores of all classes
        raise ValueError(f"The score gave {describe(y)} for {len(x)} image(s); expected one number "
                         f"per image, ({len(x)},). Try lambda x: net(x)[:, k].")
    return y


def class_score(net, classes, output=lambda logits: logits):
    """Return the logit of each image's class (b,), or (1,) for copies, or an `output` of logits."""
    return lambda x: output(net(x)).gather(1, classes.expand(len(x))[:, None])[:, 0]


def gradient_of(score, x):
    """Compute the gradient of a score at any pixels, even outside of [0, 1]: (b,3,h,w)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(evaluate(score, x).sum(), x)[0]


def mean_gradient(score, copies, batch):
    """Average the gradient over copies of the images, (n,b,3,h,w) -> (b,3,h,w)."""
    n, b = copies.shape[:2]
    total = torch.zeros_like(copies[0])
    for part in copies.split(batch if b == 1 else 1):
        total += gradient_of(score, part.flatten(0, 1)).view_as(part).sum(0)
    return total / n


def input_gradient(score, x):
    """Compute the gradient of a score with respect to the images, (b,3,h,w) -> (b,3,h,w)."""
    check_images(x)
    return gradient_of(score, x)


def saliency(score, x):
    """Compute saliency: the largest |gradient| of the colors, (b,h,w). Simonyan 2014."""
    return input_gradient(score, x).abs().amax(1)


@torch.no_grad()
def smooth_grad(score, x, *, samples=16, sigma=0.1, seed=0, batch=4):
    """Compute SmoothGrad: saliency of the mean gradient of noisy copies, (b,3,h,w) -> (b,h,w).

    `sigma` is the standard deviation of the noise, in pixel values. Smilkov 2017.
    """
    check_images(x)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.stack([torch.randn(x.shape, generator=generator) for _ in range(samples)])
    copies = x + sigma * noise.to(x)                                # (samples,b,3,h,w)
    return mean_gradient(score, copies, batch).abs().amax(1)


@torch.no_grad()
def integrated_gradients(score, x, *, baseline=0.5, steps=32, batch=4):
    """Compute integrated gradients by the midpoint rule, (b,3,h,w) -> (b,3,h,w).

    The attributions of an image sum to score(x) - score(baseline), up to the error of the rule.
    `baseline` is a gray from 0 to 1, a color (3,1,1), or an image. Sundararajan 2017.
    """
    check_images(x)
    start = expand_baseline(baseline, x)
    alpha = (torch.arange(steps).to(x) + 0.5) / steps
    path = start + alpha.view(-1, 1, 1, 1, 1) * (x - start)         # (steps,b,3,h,w)
    return (x - start) * mean_gradient(score, path, batch)


def expand_baseline(baseline, x):
    """Expand a gray from 0 to 1, a color (3,1,1), or an image to the shape of the images x."""
    start = torch.as_tensor(baseline).to(x).expand_as(x)
    check_images(start / 1.0001)        # a blurred image may be rounded to slightly more than 1
    return start


def grad_cam(net, x, layer, target):
    """Compute Grad-CAM: a layer's maps, weighted by their mean gradients, (b,3,h,w) -> (b,h,w).

    `target` is a class, a tensor of one class per image, or a function of the network's output:
    `lambda y: y[:, k]`. Raises ValueError for a layer without feature maps. Selvaraju 2017.
    """
    check_images(x)
    check_eval(net)
    score = target if callable(target) else lambda y: y[torch.arange(len(y)), target]
    maps = []

    def cut(module, inputs, output):
        if maps:                            # of a layer that runs twice, the first output counts
            return output
        check_maps(output, x, layer)
        maps.append(output.detach().requires_grad_())       # earlier layers need no gradient
        return maps[0].clone()                              # the next layer may work in place

    with find_layer(net, layer).register_forward_hook(cut), torch.enable_grad():
        y = evaluate(lambda x: score(net(x)), x)
        gradient, = torch.autograd.grad(y.sum(), maps[0])
    weights = gradient.mean((2, 3), keepdim=True)                   # (b,c,1,1)
    cam = (weights * maps[0].detach()).sum(1, keepdim=True).relu()
    return F.interpolate(cam, x.shape[2:], mode="bilinear")[:, 0]


@torch.no_grad()
def occlusion(score, x, *, window=8, stride=4, baseline=0.5, batch=16):
    """Compute an occlusion map: the drop of the score, averaged over the windows on each pixel.

    (b,3,h,w) -> (b,h,w). `window` and `stride`, an int or (h, w), are in pixels; choose a stride of
    at most the window. `baseline` fills the window: a gray from 0 to 1, a color (3,1,1), or an
    image. The score may be a probability. Zeiler & Fergus 2014.
    """
    check_images(x)
    fill = expand_baseline(baseline, x)
    positions = window_positions(x.shape[2:], pair(window), pair(stride))
    original = evaluate(score, x.clone())
    at_once = batch if len(x) == 1 else 1
    scores = []
    for k in range(0, len(positions), at_once):
        occluded = occlude(x, fill, positions[k:k + at_once])
        scores.append(evaluate(score, occluded))
    drops = original - torch.cat(scores).view(-1, len(x))           # (positions,b)
    total = torch.zeros_like(x[:, 0])
    count = torch.zeros_like(x[0, 0])
    for drop, (rows, columns) in zip(drops, positions):
        total[:, rows, columns] += drop[:, None, None]
        count[rows, columns] += 1
    return total / count


def window_positions(shape, window, stride):
    """List where windows lie, as slices (rows, columns); the last ones end at the border."""
    sides = []
    for length, size, step in zip(shape, window, stride):
        last = max(length - size, 0)
        sides.append([slice(start, start + size) for start in [*range(0, last, step), last]])
    return list(product(*sides))


def occlude(x, fill, positions):
    """Copy the images once for each position, with the fill there: (n*b,3,h,w)."""
    copies = x.repeat(len(positions), 1, 1, 1)
    for copy, (rows, columns) in zip(copies.split(len(x)), positions):
        copy[..., rows, columns] = fill[..., rows, columns]
    return copies


# ---- Guided backpropagation and the deconvnet change how a gradient passes a ReLU ----

RULES = ("plain", "deconvnet", "guided")
LIMITS = {"relu": torch.inf, "relu6": 6}
OTHERS = {"gelu", "silu", "leaky_relu", "elu", "selu", "celu", "prelu", "rrelu", "mish", "softplus",
          "hardswish", "hardtanh"}


class RuledReLU(torch.autograd.Function):
    """A ReLU of f, or ReLU6 with limit 6, with another rule for the gradient R from above."""

    @staticmethod
    def forward(ctx, f, limit, guided):
        ctx.active = (f > 0) & (f < limit) if guided else None
        return f.clamp(0, limit)

    @staticmethod
    def backward(ctx, R):
        R = R.clamp(min=0)                                          # deconvnet: [R > 0] R
        R = R if ctx.active is None else R * ctx.active             # guided: [f > 0] [R > 0] R
        return R, None, None


class EveryReLU(TorchFunctionMode):
    """Apply a rule to every ReLU: module or function, in place or not. Hooks miss the functions."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        called = getattr(function, "__name__", "")
        in_place = called.endswith("_") or kwargs.get("inplace")
        name = called.rstrip("_")                                       # relu_ works in place
        limits = kwargs.get("min_val"), kwargs.get("max_val")
        if name == "hardtanh" and limits == (0, 6):                     # how nn.ReLU6 is computed
            name = "relu6"
        if name in OTHERS:
            raise ValueError(f"The network computes {name}; the rule {self.rule!r} is defined for "
                             "ReLU and ReLU6. Try 'plain'.")
        if name not in LIMITS:
            return function(*args, **kwargs)
        f = args[0]
        h = RuledReLU.apply(f, LIMITS[name], self.rule == "guided")
        return f.copy_(h) if in_place else h


def relu_backward(rule):
    """Return a context in which every ReLU passes gradients back by a rule.

    plain      [f > 0] R            the derivative; of ReLU6 [0 < f < 6] R
    deconvnet          [R > 0] R    Zeiler & Fergus 2014
    guided     [f > 0] [R > 0] R    guided backpropagation, Springenberg 2015

    The forward pass must run inside; it raises ValueError for another activation, such as GELU. It
    cannot know that x.clamp(min=0) is a ReLU.
    """
    if rule not in RULES:
        raise unknown_name("backward rule", rule, RULES)
    return nullcontext() if rule == "plain" else EveryReLU(rule)
