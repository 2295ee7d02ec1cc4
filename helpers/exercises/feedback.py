"""Give feedback on an answer: not tried yet, right, a common mistake, or what else is wrong."""

from contextlib import suppress
from functools import partial, wraps
from typing import NamedTuple

import torch


class Feedback(NamedTuple):
    """Hold the points for an answer and what to tell its author."""

    fraction: float | None      # of the points, from 0 to 1; None: not tried yet
    message: str


NOT_TRIED = Feedback(None, "○ not tried yet")
RIGHT = Feedback(1.0, "✓ right")
CUT_GRADIENT = ("the values are right, but the gradient is cut: avoid .detach(), .item(), .data, "
                "NumPy, and torch.no_grad")


class NotRight(Exception):
    """Raised, with a hint, as soon as a check finds something wrong."""


def require(condition, message):
    """Raise NotRight with this message unless the condition holds."""
    if not condition:
        raise NotRight(message)


def prints_feedback(check=None, *, draw=None):
    """Decorate a check to print its Feedback; `check.feedback(mine, ...)` returns it instead.

    The check itself, a function of an answer and more, returns a Feedback or raises NotRight. Below
    a right answer, `draw`, a function of the same, shows what it computes.
    """
    if check is None:
        return partial(prints_feedback, draw=draw)

    @wraps(check)
    def prints(mine, *args, **options):
        found = run_check(check, mine, *args, **options)
        print(found.message)
        if draw and found.message.startswith("✓"):
            draw(mine, *args, **options)

    prints.feedback = partial(run_check, check)
    return prints


def run_check(check, mine, *args, **options):
    """Run a check on an answer -> Feedback."""
    if is_stub(mine):       # then the check need not draw its inputs
        return NOT_TRIED
    try:
        return check(mine, *args, **options)
    except NotImplementedError:
        return NOT_TRIED
    except NotRight as hint:
        return Feedback(0.0, f"✗ {hint}")


def is_stub(mine):
    """Tell whether the body of a function, or the rest of a class's `backward`, is still `...`."""
    def stub():
        ...

    def backward(ctx, R):
        f, = ctx.saved_tensors

    code = getattr(getattr(mine, "backward", mine), "__code__", None)
    return code is not None and code.co_code in (stub.__code__.co_code, backward.__code__.co_code)


def compare(mine, inputs, right, common_mistakes=(), *, tolerance=1e-5, differentiable=False):
    """Compare mine(*inputs) with the right answer: return RIGHT, or raise NotRight.

    `right` is that answer, or a function of the inputs. `common_mistakes` lists pairs of a wrong
    answer and its hint. `tolerance` is relative to the largest value of the right answer. With
    `differentiable`, the gradients with respect to all float inputs must agree, too.
    """
    if differentiable:
        inputs = [x.detach().requires_grad_() if torch.is_tensor(x) and x.is_floating_point() else x
                  for x in inputs]
    answer = call(mine, *inputs)
    expected = torch.as_tensor(right(*inputs) if callable(right) else right)
    check_kind(answer, expected)
    if not is_close(answer, expected, tolerance):
        raise NotRight(diagnose(answer, expected, common_mistakes))
    if differentiable:
        check_gradient(answer, expected, inputs)
    return RIGHT


def call(mine, *inputs):
    """Compute mine(*inputs) from copies of the inputs, as a tensor where possible.

    Raises NotImplementedError if the function is not written yet, and NotRight if it returns None
    or changes an input in place.
    """
    copies = [x.clone() if torch.is_tensor(x) else x for x in inputs]
    answer = mine(*copies)
    if answer is Ellipsis:
        raise NotImplementedError
    require(answer is not None, "your function returns None: is a `return` missing?")
    for x, copy in zip(inputs, copies):
        require(not torch.is_tensor(x) or torch.equal(x, copy),
                "your function changed its input in place (+=, clamp_, x[...] = ...). "
                "Work on a copy, x.clone(), or write x = x + ...")
    with suppress(TypeError, ValueError, RuntimeError):     # a number, a list, or an array will do
        answer = torch.as_tensor(answer)
    return answer


def check_kind(answer, expected, shape=None, each=""):
    """Raise NotRight unless an answer is a finite tensor on the device of the expected one, and
    perhaps of a shape; `each` says why: "a map per image"."""
    kind = type(answer).__name__
    require(torch.is_tensor(answer), f"your answer has the type {kind}; expected a tensor")
    require(answer.device == expected.device or expected.ndim == 0,
            f"your answer is on {answer.device}, its input on {expected.device}: create tensors "
            "with torch.zeros(..., device=x.device) or x.new_zeros(...)")
    require(answer.isfinite().all() or not expected.isfinite().all(),
            "there are NaN or infinite values in your answer: look for 1 / 0, a root or log of 0")
    require(shape in (None, answer.shape),
            f"the shape is {tuple(answer.shape)}; expected {shape and tuple(shape)}, {each}")


def check_range(images, hint):
    """Raise NotRight unless all pixels are from 0 to 1."""
    low, high = images.detach().aminmax()
    require(low >= 0 and high <= 1, f"pixels from {low:.2f} to {high:.2f}; expected 0 to 1: {hint}")


def diagnose(answer, expected, common_mistakes):
    """Return the hint for a wrong answer."""
    for mistake, hint in common_mistakes:
        if is_close(answer, mistake, 1e-4):
            return hint
    if answer.ndim == 0 and expected.ndim == 1 and expected.is_floating_point():
        return "this is one number for the whole batch; compute one for each image"
    if answer.shape != expected.shape:
        return f"the shape is {tuple(answer.shape)}; expected {tuple(expected.shape)}"
    return "not yet, and this is not a common mistake. Compare your code with the formula again"


def check_gradient(answer, expected, inputs):
    """Raise NotRight unless an answer with the right values has the right gradients, too."""
    require(answer.requires_grad, CUT_GRADIENT)
    leaves = [x for x in inputs if torch.is_tensor(x) and x.requires_grad]
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(expected.shape, generator=generator).to(expected)
    theirs = torch.autograd.grad((weights * answer).sum(), leaves, allow_unused=True)
    ours = torch.autograd.grad((weights * expected).sum(), leaves, allow_unused=True)
    for their, our in zip(theirs, ours):
        if our is None:
            continue
        require(their is not None, CUT_GRADIENT)
        require(their.isfinite().all(),
                "the values are right, but there are NaN or infinite values in the gradient: the "
                "slope of a square root at 0 is infinite. Clamp its argument, or add a tiny number")
        require(is_close(their, our, 1e-3), CUT_GRADIENT)


def is_close(a, b, tolerance):
    """Tell whether b has the shape of a and, up to a fraction of its largest value, its values."""
    a = torch.as_tensor(a).detach().cpu().double()
    b = torch.as_tensor(b).detach().cpu().double()
    largest = b.abs().max().item() if b.numel() else 0
    return a.shape == b.shape and torch.allclose(a, b, rtol=tolerance, atol=tolerance * largest)
