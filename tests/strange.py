"""What is tried in place of each argument of a public function, and what is expected of it then."""

import copy
import linecache
import random
import traceback
import warnings
from collections import Counter
from contextlib import nullcontext, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.conftest import Unchanged, same
from tests.public import CALLS, EXCEPTIONS, TRUSTING, random_net, small_net
from tests.test_devices import Device, to_device

HELPERS = str(Path(__file__).parents[1] / "helpers")
SENTENCE = ("expect", "Expect", "Try", "must", "Known", "Did you mean")     # one of these says what to do

# ---- What may happen: each of these takes (the ordinary answer, the answer or None, the error or None) and says whether that is right


def refused(ordinary, found, error):
    """An error of ours: a ValueError, TypeError or KeyError from a `raise` in the helpers, that says what was expected or what to try."""
    if not isinstance(error, (ValueError, TypeError, KeyError)):
        return False
    frame = traceback.extract_tb(error.__traceback__)[-1]
    ours = frame.filename.startswith(HELPERS) and linecache.getline(frame.filename, frame.lineno).strip().startswith("raise")
    return ours and any(word in str(error) for word in SENTENCE)


def equal(a, b):
    """Equal but for rounding."""
    if torch.is_tensor(a) and torch.is_tensor(b):
        return a.shape == b.shape and torch.allclose(a.detach().double(), b.detach().double(), 1e-4, 1e-5, equal_nan=True)
    return a == b or isinstance(a, float) and isinstance(b, float) and abs(a - b) <= 1e-5 + 1e-4 * abs(b)


def near(a, b):
    """Equal to the digits of half precision; but the number of a place or a class may be that of another, almost as good."""
    if torch.is_tensor(a) and torch.is_tensor(b):
        a, b = (x.detach().double().nan_to_num() for x in (a, b))
        return a.shape == b.shape and bool((a - b).norm() <= 2e-2 * (b.norm() + 1))
    return a == b or isinstance(a, float) and isinstance(b, float) and abs(a - b) <= 2e-2 * (abs(b) + 1)


def alike(ordinary, found, error, equal=equal):
    """The ordinary answer."""
    return error is None and len(found) == len(ordinary) and all(map(equal, found, ordinary))


def alike_or_refused(*outcome):
    return alike(*outcome) or refused(*outcome)


def near_or_refused(ordinary, found, error):
    if error is None:
        ordinary, found = ([x for x in leaves if not torch.is_tensor(x) or x.is_floating_point()] for leaves in (ordinary, found))
    return alike(ordinary, found, error, near) or refused(ordinary, found, error)


def names_what_is_near(*outcome):
    return refused(*outcome) and "Did you mean" in str(outcome[2])


def finite(ordinary, found, error):
    return error is None and all(x.isfinite().all() if torch.is_tensor(x) else x == x for x in found)


def sound(*outcome):
    """Refused, or an answer without infinite numbers: there the argument has a meaning, though another one."""
    return refused(*outcome) or finite(*outcome)


def loud(*outcome):
    """Refused, or the number that is none is still seen in the answer."""
    return refused(*outcome) or outcome[2] is None and not finite(*outcome)


# ---- Tricks: (name, kinds of argument, how it is changed, what may happen) -----------------------------------------------------------

SHOWN = ("images", "pixels", "seen")                                  # pictures, (b,3,h,w)
MAPS = ("maps",)
TABLES = ("features", "numbers", "chances", "points", "mixture")
LAYERS = ("gradient", "cover", "layer's output", "layer's maps", "curve", "waves")
FLOATS = (*SHOWN, *MAPS, *TABLES, *LAYERS)
WHOLE = ("labels", "codes", "classes", "units", "boxes", "seeds")
TENSORS = (*FLOATS, "anything", "masks", *WHOLE)


def with_one(value):
    def change(x):
        x.view(-1)[x.numel() // 2] = value
        return x
    return change


def as_view(x):
    return x.movedim(0, -1).contiguous().movedim(-1, 0) if x.ndim > 1 else torch.stack([x, x], 1)[:, 0]


TRICKS = [
    ("a dimension less", SHOWN, lambda x: x[0], alike_or_refused),
    ("a dimension more", SHOWN, lambda x: x[None], alike_or_refused),
    ("a dimension less", (*MAPS, "masks", *TABLES, *LAYERS), lambda x: x[0], sound),
    ("a dimension more", (*MAPS, "masks", *TABLES, *LAYERS), lambda x: x[None], sound),
    ("no dimension", TENSORS, lambda x: x.flatten()[0], sound),
    ("one channel", SHOWN, lambda x: x[:, :1], refused),
    ("four channels", SHOWN, lambda x: x[:, [0, 1, 2, 2]], refused),
    ("colour last", SHOWN, lambda x: x.movedim(1, 3), refused),
    ("bytes", SHOWN, lambda x: (x * 255).byte(), refused),
    ("whole numbers", SHOWN, lambda x: (x * 255).long(), refused),
    ("bool", SHOWN, lambda x: x > 0.5, refused),
    ("bytes", (*MAPS, *TABLES, *LAYERS), lambda x: (x * 255).byte(), sound),
    ("whole numbers", (*MAPS, *TABLES, *LAYERS), lambda x: (x * 255).long(), sound),
    ("bool", (*MAPS, *TABLES, *LAYERS), lambda x: x > 0.5, sound),
    ("floats", ("masks", *WHOLE), lambda x: x.float(), alike_or_refused),
    ("bytes", ("masks",), lambda x: x.byte(), alike_or_refused),
    ("complex numbers", FLOATS, lambda x: x.to(torch.complex64), refused),
    ("NumPy array", TENSORS, lambda x: x.numpy(), alike_or_refused),
    ("PIL image", FLOATS, lambda x: Image.new("RGB", (24, 24)), refused),
    ("None", TENSORS, lambda x: None, refused),
    ("a word", TENSORS, lambda x: "cat", refused),
    ("list", TENSORS, lambda x: x.tolist(), alike_or_refused),
    ("not a number", (*SHOWN, *MAPS, *TABLES, "cover"), with_one(float("nan")), refused),
    ("infinity", (*SHOWN, *MAPS, *TABLES, "cover"), with_one(float("inf")), refused),
    ("minus infinity", (*SHOWN, *MAPS, *TABLES, "cover"), with_one(-float("inf")), refused),
    ("not a number", ("gradient", "layer's output", "layer's maps", "curve", "waves", "anything"), with_one(float("nan")), loud),
    ("0 to 255", ("images", "seen", "cover"), lambda x: x * 255, refused),
    ("0 to 255, requires grad", ("images", "seen"), lambda x: (x * 255).requires_grad_(), refused),
    ("0 to 255, of a graph", ("images",), lambda x: (x * 255).requires_grad_() * 1, refused),
    ("0 to 255, of a graph", ("seen",), lambda x: (x * 255).requires_grad_() * 1, sound),      # LBFGS leaves [0, 1] on its way
    ("minus 1 to 1", ("images",), lambda x: 2 * x - 1, refused),
    ("none", TENSORS, lambda x: x[:0], sound),
    ("one too few", ("labels", "codes", "units", "boxes", "seeds"), lambda x: x[:-1], refused),
    ("one pixel", SHOWN, lambda x: x[..., :1, :1], sound),
    ("two pixels", SHOWN, lambda x: x[..., :1, :2], sound),
    ("a view", (*TENSORS, "ours"), as_view, alike),
    ("channels last", SHOWN, lambda x: x.contiguous(memory_format=torch.channels_last), alike),
    ("requires grad", (*FLOATS, "ours"), lambda x: x.requires_grad_(), alike),
    ("of a graph", (*FLOATS, "ours"), lambda x: x.requires_grad_() * 1, alike),
    ("float16", (*FLOATS, "anything"), lambda x: x.half(), near_or_refused),
    ("bfloat16", (*FLOATS, "anything"), lambda x: x.bfloat16(), near_or_refused),
    ("float64", (*FLOATS, "anything"), lambda x: x.double(), near_or_refused),
    ("int32", WHOLE, lambda x: x.int(), alike),
    ("negative", ("labels", "codes", "classes", "units", "boxes"), lambda x: -1 - x, refused),
    ("too large", ("labels", "classes", "units", "boxes"), lambda x: x + 1000, refused),
    ("0", ("count",), lambda n: 0, refused),
    ("-1", ("count", "amount"), lambda n: -1, refused),
    ("1.5", ("count",), lambda n: 1.5, refused),
    ("not a number", ("count", "amount"), lambda n: float("nan"), refused),
    ("infinity", ("count", "amount"), lambda n: float("inf"), refused),
    ("misspelt", ("layer",), lambda name: name[:2] + name[3] + name[2] + name[4:], names_what_is_near),
    ("None", ("layer", "net", "score"), lambda _: None, refused),
    ("a word", ("net", "score"), lambda _: "coursenet", refused),
    ("another device", ("images", "seen"), to_device, refused),
    ("one number in all", ("score",), lambda score: lambda x: score(x).sum(), refused),
    ("all classes", ("score",), lambda score: lambda x: random_net()(x), refused),
    ("None for each", ("score",), lambda score: lambda x: None, refused),
]
ROUNDED = {"float16": torch.float16, "bfloat16": torch.bfloat16}
CONTEXTS = {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode, "enable_grad": torch.enable_grad}


# ---- The machine that tries them ------------------------------------------------------------------------------------------------------

def world():
    """All the state that a call might leave changed, but for the network, which `Unchanged` looks at."""
    return [torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype(), torch.get_rng_state(),
            torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic, torch.is_autocast_enabled("cpu"), torch.get_num_threads(), list(warnings.filters),
            random.getstate(), str(np.random.get_state()), np.geterr()]


class Tried:
    """What was tried of one function: `wrong` are sentences, `counts` how often it answered and refused."""

    def __init__(self, name, function):
        self.name, self.function, self.call = name, function, CALLS[name]
        self.kinds = {getattr(arg, "kind", None) for arg in self.call.arguments.values()}
        self.wrong, self.counts = [], Counter()
        self.ordinary, error = self.run(self.call.make())
        if error is not None:
            raise error

    def run(self, values, context=nullcontext):
        """(answer, error) of a call; what it changes is a fault."""
        tensors = [x for x in values.values() if torch.is_tensor(x) and x.device.type == "cpu"]
        look = lambda: [[(x.detach().nan_to_num().clone(), x.requires_grad, x.is_leaf and x.grad) for x in tensors], world()]
        before, found, error = look(), None, None
        try:
            with context(), warnings.catch_warnings(), redirect_stdout(StringIO()):
                warnings.simplefilter("ignore")
                found = self.call(self.function, **values)
        except Exception as e:
            error = e
        if not same(before, look()):
            self.wrong.append("changed an argument or a global state")
        return found, error

    def expect(self, argument, trick, may, found, error, ordinary=None):
        if self.name in TRUSTING and may not in (alike, near_or_refused):
            return
        right = may(ordinary or self.ordinary, found, error)
        if (self.name, argument, trick) in EXCEPTIONS:
            self.counts["exceptions"] += 1
            if right:
                self.wrong.append(f"{argument}, {trick}: no exception any more; take it out of EXCEPTIONS")
        elif right:
            self.counts["answered" if error is None else "refused"] += 1
        else:
            said = f"{type(error).__name__}: {str(error)[:150]}" if error is not None else f"it gave {str(found)[:100]}"
            self.wrong.append(f"{argument}, {trick}: expected to be {may.__name__.replace('_', ' ')}, but {said}")

    def exchanged(self, argument, change):
        return self.call.make(lambda name, arg, value: change(value) if argument in (name, arg.kind) else value)

    def tricks(self, context=nullcontext):
        """Each trick on each argument."""
        for argument, arg in self.call.arguments.items():
            for trick, kinds, change, may in TRICKS:
                if getattr(arg, "kind", None) not in kinds or trick == "another device" and not self.kinds & {"net", "itself", "score"}:
                    continue
                # Half precision is compared with the same rounded numbers in float32.
                rounded = partial(lambda dtype, x: x.to(dtype).float(), ROUNDED.get(trick))
                ordinary = self.run(self.exchanged(argument, rounded))[0] if trick in ROUNDED else None
                found = self.run(self.exchanged(argument, change), Device if trick == "another device" else context)
                self.expect(argument, trick, may, *found, ordinary)

    def contexts(self):
        self.expect("all", "twice", alike, *self.run(self.call.make()))
        for name, context in CONTEXTS.items():
            self.expect("all", name, alike, *self.run(self.call.make(), context))
            with context():
                values = self.call.make()
            self.expect("all", f"{name}, made there", alike, *self.run(values, context))

    def pair(self, context, form, dtype):
        """All tensors of floats in another memory format and precision, in a context."""
        floats = lambda change: self.call.make(lambda name, arg, x: change(x) if arg.kind in FLOATS else x)
        ordinary = self.run(floats(lambda x: x.to(dtype).float()))[0]
        values = floats(lambda x: x.to(dtype, memory_format=form if x.ndim == 4 else torch.preserve_format))
        self.expect("all", f"{context.__name__}, {form}, {dtype}", near_or_refused, *self.run(values, context), ordinary)

    def networks(self):
        """The network in other modes and precisions."""
        if not self.kinds & {"net", "itself"}:
            return
        exchanged = lambda net: self.call.make(lambda _, arg, value: net if arg.kind in ("net", "itself") else value)
        if "net" in self.kinds:         # itself is called as well while it is trained
            net = small_net(for_training=True)
            ordinary = self.run(exchanged(net))[0]
            with Unchanged(net.train()):
                self.expect("net", "training mode", alike_or_refused, *self.run(exchanged(net)), ordinary)
        for name, dtype in {"float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}.items():
            self.expect("net", name, near_or_refused, *self.run(exchanged(copy.deepcopy(random_net()).to(dtype))))
        with torch.inference_mode():
            net = copy.deepcopy(random_net())
        self.expect("net", "made in inference_mode", alike_or_refused, *self.run(exchanged(net)))

    def everything(self):
        with Unchanged(random_net()):
            self.tricks(), self.contexts(), self.networks()
        return self
