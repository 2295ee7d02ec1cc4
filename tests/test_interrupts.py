"""Ctrl-C and errors in the middle of all that runs long: what was lent is given back, and the same call then does the same."""

import ast
import contextlib
import random
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.overrides import _len_torch_function_stack

import helpers
from helpers.activations import activations
from helpers.adversarial import fool, perturb
from helpers.ascent import ascend, class_pictures
from helpers.attribution import grad_cam, input_gradient, integrated_gradients, occlusion, relu_backward, smooth_grad
from helpers.dream import dream
from helpers.evaluation import bootstrap, deletion, insertion
from helpers.features import codes, fit_probe
from helpers.inversion import invert
from helpers.optimize import descend, last
from helpers.param import PixelImage
from helpers.patches import top_patches, unit_gradient
from helpers.style import TransformNet, style_grams, style_transfer
from helpers.texture import efros_leung
from tests.test_faults import ALL

X = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
ONE, SMALL = X[:1], X[:1, :, :12, :12].contiguous()
MAPS = X.mean(1)
PAINTED = {"layers": ["pixels", "relu1", "relu3"]}


def score(net):
    return lambda x: net(x)[:, 3]


def guided(net):
    with relu_backward("guided"):
        return input_gradient(score(net), X)


def painted(net):
    return style_transfer(net, ONE, style_grams(net, X[1:2], **PAINTED), content_layer="relu3", steps=3, border=4)


def trained(net):
    """A few steps of the training of a painter, as the recipe has it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        painter = TransformNet(2, width=4, blocks=1)
    optimizer = torch.optim.Adam(painter.parameters(), 1e-3)
    for _ in range(2):
        loss = activations(net, painter(X[:, :, :32, :32]), "relu2")["relu2"].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return painter.out.conv.weight.detach()


GENERATORS = {
    "descend": lambda net: descend(PixelImage(ONE), lambda x: -score(net)(x).sum(), steps=3),
    "ascend": lambda net: ascend(net, [1, 2], steps=3),
    "invert": lambda net: invert(net, ONE, "conv3", steps=3),
    "dream": lambda net: dream(net, ONE, "conv3", steps=2, octaves=2),
    "style_transfer": painted,
}
CALLS = {
    "activations": lambda net: activations(net, X, ["conv2", "relu5", "fc7"])["fc7"],
    "codes": lambda net: codes(net, X, "conv5", batch=1)["conv5"],
    "top_patches": lambda net: top_patches(net, X, "conv5", 2, batch=1).values,
    "unit_gradient": lambda net: unit_gradient(net, X, "conv2", 3, [[4, 5]] * 3),
    "occlusion": lambda net: occlusion(score(net), ONE, window=32, stride=16),
    "guided backprop": guided,
    "grad_cam": lambda net: grad_cam(net, X, "relu5", lambda y: y[:, 3]),
    "smooth_grad": lambda net: smooth_grad(score(net), ONE, samples=3),
    "integrated_gradients": lambda net: integrated_gradients(score(net), ONE, steps=3),
    "deletion": lambda net: deletion(score(net), X, MAPS, steps=4),
    "insertion": lambda net: insertion(score(net), X, MAPS, steps=4),
    "bootstrap": lambda net: bootstrap(MAPS.flatten()[:50], resamples=200)[0],
    "fool": lambda net: fool(net, X, [0, 1, 2], steps=3).images,
    "perturb": lambda net: perturb(score(net), ONE, epsilon=0.5, steps=2, restarts=1),
    "class_pictures": lambda net: class_pictures(net, range(3), steps=2, batch=2),
    "fit_probe": lambda net: fit_probe(net, X, torch.tensor([0, 1, 0]), "conv5").weight,
    "efros_leung": lambda net: efros_leung(SMALL, size=(9, 9), window=5),
    "training a painter": trained,
    **{name: lambda net, make=make: last(make(net)).image for name, make in GENERATORS.items()},
}


def ambience():
    """What no call may leave behind, beside what the guard on purity looks at."""
    return torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), _len_torch_function_stack(), socket.getdefaulttimeout(), \
        len(torch.nn.modules.module._global_forward_hooks), torch.nn.Module.__call__


@pytest.fixture(scope="module")
def expected(random_net):
    return {name: call(random_net) for name, call in CALLS.items()}


HELPERS = Path(helpers.__file__).parent


def unwinding(path):
    """The lines of a file that stand in a `finally`: while it gives back what was lent, nothing can protect Python from another Ctrl-C."""
    blocks = [node.finalbody for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Try)]
    return {line for block in blocks if block for line in range(block[0].lineno, block[-1].end_lineno + 1)}


UNWINDING = {str(path): unwinding(path) for path in HELPERS.glob("*.py")}


@contextlib.contextmanager
def at_line(n=None):
    """Raises KeyboardInterrupt before the n-th line of the helpers that runs; gives the list that counts them."""
    lines, before = [], sys.gettrace()

    def trace(frame, event, arg):
        away = UNWINDING.get(frame.f_code.co_filename)
        if event == "line" and away is not None and frame.f_lineno not in away:
            lines.append(frame.f_lineno)
            if len(lines) == n:
                raise KeyboardInterrupt
        return None if away is None else trace
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("name", CALLS)
def test_interrupted_before_a_line(name, random_net, unchanged, expected, tries):
    """An interrupt before any line of a call"""
    with at_line() as lines:
        CALLS[name](random_net)
    dice, moments = random.Random(0), range(1, len(lines) + 1)
    for n in dice.sample(moments, min(len(moments), 25 if ALL else 3)):
        before = ambience()
        with unchanged(random_net, X), pytest.raises(KeyboardInterrupt), at_line(n):
            CALLS[name](random_net)
        assert ambience() == before
        tries("all as before, and again the same result")
    assert torch.equal(CALLS[name](random_net), expected[name])


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such timer there")
@pytest.mark.parametrize("name", CALLS if ALL else ["occlusion", "top_patches", "grad_cam", "style_transfer", "efros_leung"])
def test_interrupted_by_a_signal(name, random_net, unchanged, expected, tries):
    """An interrupt by a signal, at any moment"""
    said, dice, guard, before = random_net(X), random.Random(1), unchanged(random_net, X), ambience()
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(10 if ALL else 2):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-4, 0.05))
                end = time.monotonic() + 5          # Python drops an interrupt that comes in a destructor
                while time.monotonic() < end:
                    CALLS[name](random_net)
            # In the microseconds in which a hook comes or goes it may be left behind. Then it does nothing:
            assert torch.equal(random_net(X), said)
            for module in random_net.modules():
                module._forward_hooks.clear()
            assert ambience() == before
            tries("all as before, and again the same result")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0), signal.signal(signal.SIGALRM, old)
    guard.__exit__()
    assert torch.equal(CALLS[name](random_net), expected[name])


@pytest.mark.parametrize("name", GENERATORS)
def test_a_loop_that_is_left_half_way(name, random_net, unchanged, expected, tries):
    """A loop over steps that is left by break"""
    before = ambience()
    with unchanged(random_net, X):
        for _ in GENERATORS[name](random_net):
            assert ambience() == before     # while the loop's body runs, nothing is lent
            break
    assert ambience() == before and torch.equal(CALLS[name](random_net), expected[name])
    tries("as if it had not begun")


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("bootstrap", "efros_leung")])       # they ask no network
def test_a_layer_that_fails(name, random_net, unchanged, tries):
    """An error inside the network or its score"""
    def fail(module, inputs, output):
        raise ZeroDivisionError
    before, handle = ambience(), random_net.conv1.register_forward_hook(fail)
    try:
        with unchanged(random_net, X), pytest.raises(ZeroDivisionError):
            CALLS[name](random_net)
    finally:
        handle.remove()
    assert ambience() == before
    tries("as it was raised, and all as before")


@pytest.mark.parametrize("name", ["activations", "grad_cam"])
def test_a_hook_that_an_interrupt_left_behind_does_nothing(name, random_net, expected, monkeypatch):
    register = torch.nn.Module.register_forward_hook

    def interrupted(module, hook):
        handles.append(register(module, hook))
        raise KeyboardInterrupt
    handles = []
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch.nn.Module, "register_forward_hook", interrupted)
        CALLS[name](random_net)
    try:
        assert all(torch.equal(CALLS[other](random_net), expected[other]) for other in ("occlusion", "guided backprop"))
    finally:
        handles[0].remove()
