"""Which pixels a score depends on. A score is a function of images, (b,3,h,w) -> (b,): one number for each image."""

from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from helpers.errors import unknown
from helpers.images import check_images


def input_gradient(score, x):
    """d score / d x, (b,3,h,w) -> the same shape; each image's gradient is that of its own score.

    Give the score before the softmax: a probability couples the classes, and has no gradient where the network is sure.
    Raises ValueError if the score is not one number per image, or does not depend on it.
    """
    check_images(x)
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        y = score(x)
        if not torch.is_tensor(y) or y.shape != x.shape[:1]:
            got = f"a tensor of shape {tuple(y.shape)}" if torch.is_tensor(y) else f"a {type(y).__name__}"
            raise ValueError(f"The score gave {got} for {len(x)} image(s); expected one number per image, shape ({len(x)},). "
                             "Try lambda x: net(x)[:, k].")
        if not y.requires_grad:
            raise ValueError("The score does not depend on the image in a way that can be differentiated. "
                             "Try without torch.no_grad(), argmax, or detach().")
        gradient, = torch.autograd.grad(y.sum(), x, allow_unused=True)
    return torch.zeros_like(x) if gradient is None else gradient


def saliency(score, x):
    """Sensitivity of the score to each pixel, (b,3,h,w) -> (b,h,w): the largest |d score / d x| of its three colours.

    Simonyan 2014. Captum's `Saliency` gives the absolute gradient of each colour instead, (b,3,h,w).
    """
    return input_gradient(score, x).abs().amax(1)


class _Rule(torch.autograd.Function):
    """ReLU with another backward rule: for the gradient R from above and the input f, as in Springenberg 2015."""

    @staticmethod
    def forward(ctx, f, rule, in_place):
        ctx.save_for_backward(f > 0)
        ctx.rule = rule
        if in_place:
            ctx.mark_dirty(f)
            return f.clamp_(min=0)
        return f.clamp(min=0)

    @staticmethod
    def backward(ctx, R):
        active, = ctx.saved_tensors
        if ctx.rule == "deconvnet":
            return R.clamp(min=0), None, None           # [R > 0] R
        return R.clamp(min=0) * active, None, None      # guided: [f > 0] [R > 0] R


IN_PLACE = {torch.relu_, torch.Tensor.relu_}
RELUS = {torch.relu, torch.Tensor.relu, F.relu} | IN_PLACE     # nn.ReLU calls F.relu; F.relu_ is torch.relu_


class _EveryReLU(TorchFunctionMode):
    """Sees every ReLU however it is called: as a module or a function, in place or not, used once or often."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in RELUS:
            return func(*args, **kwargs)
        f, *rest = args or (kwargs["input"],)
        return _Rule.apply(f, self.rule, func in IN_PLACE or kwargs.get("inplace", bool(rest and rest[0])))


@contextmanager
def relu_backward(rule):
    """While it is open, every ReLU passes gradients back by `rule`: "plain", "deconvnet" or "guided".

    plain      [f > 0] R            the derivative
    deconvnet          [R > 0] R    Zeiler & Fergus 2014
    guided     [f > 0] [R > 0] R    Springenberg 2015

    The forward pass must run inside. Networks are not changed. Captum's GuidedBackprop and Deconvolution reach only
    ReLUs that are modules.
    """
    if rule not in ("plain", "deconvnet", "guided"):
        raise unknown("backward rule", rule, ("plain", "deconvnet", "guided"))
    if rule == "plain":
        yield
    else:
        with _EveryReLU(rule):
            yield
