"""What a check says of an answer: not tried yet, right, one of the usual wrong answers, or what else is wrong with it."""

from contextlib import suppress
from functools import wraps
from typing import NamedTuple

import torch


class Verdict(NamedTuple):
    share: float | None     # of the points, from 0 to 1; None: not tried yet
    says: str


NOT_TRIED = Verdict(None, "○ not tried yet")
RIGHT = Verdict(1.0, "✓ right")


def wrong(says):
    return Verdict(0.0, f"✗ {says}")


CUT = wrong("the numbers are right, but the gradient was cut: no .detach(), .item(), .data, numpy or torch.no_grad on the way")


def told(check):
    """The check, printing its verdict as a reader wants it; `check.__wrapped__` returns it, as a grader does."""
    @wraps(check)
    def prints(mine, *arguments, **options):
        print((NOT_TRIED if untouched(mine) else check(mine, *arguments, **options)).says)
    return prints


def untouched(mine):
    """Whether a function is still `...`: then no check needs to draw its pictures."""
    def stub():
        ...
    return getattr(mine, "__code__", None) is not None and mine.__code__.co_code == stub.__code__.co_code


def called(mine, *inputs):
    """mine(*inputs) and what was wrong with the call, if anything -> (answer, Verdict or None).

    The answer is computed from copies of all tensors among the inputs, so that one that changes them is found out.
    """
    copies = [given.clone() if torch.is_tensor(given) else given for given in inputs]
    try:
        got = mine(*copies)
    except NotImplementedError:
        return None, NOT_TRIED
    if got is Ellipsis:
        return None, NOT_TRIED
    if got is None:
        return None, wrong("your function gives nothing back: is a `return` missing?")
    for given, copy in zip(inputs, copies):
        if torch.is_tensor(given) and not torch.equal(given, copy):
            return None, wrong("your function has changed what it was given: something worked in place (+=, clamp_, x[...] = ...). "
                               "Take a copy, x.clone(), or write x = x + ...")
    with suppress(TypeError, ValueError, RuntimeError):     # a number, a list or an array is as good as a tensor
        got = torch.as_tensor(got)
    return got, None


def unlike(got, right):
    """What makes an answer no tensor like the right one, whatever its numbers, or None: its kind, its device, NaN."""
    if not torch.is_tensor(got):
        return wrong(f"the answer is {'an' if type(got).__name__[0] in 'aeiou' else 'a'} {type(got).__name__}, expected a tensor")
    if torch.is_tensor(right) and got.device != right.device and right.ndim:
        return wrong(f"the answer is on {got.device}, what it was computed from on {right.device}: make new tensors with "
                     "torch.zeros(..., device=x.device), or x.new_zeros(...)")
    if torch.as_tensor(right).isfinite().all() and not got.isfinite().all():
        return wrong("there are NaN or infinite numbers in the answer: look for a division by 0, and for a root or a logarithm of 0")


def verdict(mine, inputs, right, slips=(), *, tolerance=1e-5, differentiable=False):
    """What mine(*inputs) is: not tried yet, right, one of the usual slips [(their answer, what to say)], or something else.

    `right` is the right answer, or a function of the inputs that gives it. With `differentiable`, gradients by the inputs that are of
    real numbers must agree with those of `right`, too.
    """
    if differentiable:
        inputs = [given.detach().requires_grad_() if torch.is_tensor(given) and given.is_floating_point() else given for given in inputs]
    got, fault = called(mine, *inputs)
    if fault:
        return fault
    expected = right(*inputs) if callable(right) else right
    fault = unlike(got, expected)
    if fault:
        return fault
    answer, target = numbers(got), numbers(expected)
    if not is_close(answer, target, tolerance):
        met = [says for other, says in slips if is_close(answer, numbers(other), 1e-4)]
        shapes = f"the shape is {tuple(answer.shape)}, expected {tuple(target.shape)}"
        return wrong(met[0] if met else shapes if answer.shape != target.shape else
                     "not yet: neither right nor one of the usual slips. Compare with the formula once more.")
    return wrong_gradient(got, expected, inputs) if differentiable else RIGHT


def wrong_gradient(got, expected, inputs):
    """RIGHT, or what is wrong with the gradient of an answer whose numbers are right."""
    if not got.requires_grad:
        return CUT
    leaves = [given for given in inputs if torch.is_tensor(given) and given.requires_grad]
    weights = torch.rand(expected.shape, generator=torch.Generator().manual_seed(0)).to(expected)
    ours, theirs = (torch.autograd.grad((weights * value).sum(), leaves, allow_unused=True) for value in (expected, got))
    for our, their in zip(ours, theirs):
        if our is not None and (their is None or not is_close(numbers(their), numbers(our), 1e-3)):
            return CUT if their is None or their.isfinite().all() else wrong(
                "the numbers are right, but there are NaN or infinite numbers in the gradient: a root has no slope at 0. "
                "Add a tiny number below the root, or clamp it")
    return RIGHT


def numbers(value):
    return torch.as_tensor(value).detach().cpu().double()


def is_close(a, b, tolerance):
    return a.shape == b.shape and torch.allclose(a, b, rtol=tolerance, atol=tolerance * float(b.abs().max() if b.numel() else 0))
