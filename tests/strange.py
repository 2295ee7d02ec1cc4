"""What is tried in place of each argument of a public function, and what is expected of it then."""

import copy
import linecache
import random
import traceback
import warnings
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.conftest import same, tiny_net
from tests.public import random_net
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


def alike(ordinary, found, error, rtol=1e-4, atol=1e-5):
    """The ordinary answer, but for rounding."""
    return error is None and len(found) == len(ordinary) and all(map(lambda a, b: close(a, b, rtol, atol), found, ordinary))


def close(a, b, rtol, atol):
    if not torch.is_tensor(a) or not torch.is_tensor(b):
        return a == b or isinstance(a, float) and isinstance(b, float) and abs(a - b) <= atol + rtol * abs(b)
    return a.shape == b.shape and torch.allclose(a.detach().double(), b.detach().double(), rtol, atol, equal_nan=True)


def alike_or_refused(*outcome):
    return alike(*outcome) or refused(*outcome)


def near_or_refused(*outcome):
    """The answer that float32 gives, to the digits of half precision; but a number of a place or a class may be that of its equal."""
    ordinary, found, error = outcome
    if error is None:
        ordinary, found = ([x for x in leaves if not torch.is_tensor(x) or x.is_floating_point()] for leaves in (ordinary, found))
    return refused(*outcome) or alike(ordinary, found, error, rtol=2e-2, atol=2e-2)


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
    ("0 to 255, of a graph", ("images", "seen"), lambda x: (x * 255).requires_grad_() * 1, refused),
    ("minus 1 to 1", ("images",), lambda x: 2 * x - 1, refused),
    ("none", TENSORS, lambda x: x[:0], sound),
    ("one too few", ("labels", "codes", "units", "boxes", "seeds"), lambda x: x[:-1], refused),
    ("one pixel", SHOWN, lambda x: x[..., :1, :1], sound),
    ("two pixels", SHOWN, lambda x: x[..., :1, :2], sound),
    ("a view", TENSORS, as_view, alike),
    ("channels last", SHOWN, lambda x: x.contiguous(memory_format=torch.channels_last), alike),
    ("requires grad", FLOATS, lambda x: x.requires_grad_(), alike),
    ("of a graph", FLOATS, lambda x: x.requires_grad_() * 1, alike),
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
    ("misspelt", ("layer",), lambda name: name.replace("conv", "cnov"), refused),
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
    """What was tried of one function: `wrong` are sentences, `counts` the answers and refusals."""

    def __init__(self, name, function, call, exceptions=()):
        self.name, self.function, self.call, self.exceptions = name, function, call, exceptions
        self.wrong, self.counts, self.unneeded = [], Counter(), set(exceptions)
        self.asks_a_network = {"net", "itself", "score"} & {getattr(arg, "kind", None) for arg in call.arguments.values()}
        self.ordinary = self.run(call.make())[0]
        if not isinstance(self.ordinary, list):
            raise AssertionError(f"{name}: the ordinary call fails")

    def run(self, values, context=nullcontext):
        """(answer, error) of a call; what it changes is a fault."""
        tensors = [x for x in values.values() if torch.is_tensor(x)]
        before, state = [(x.detach().clone(), x.requires_grad, x.is_leaf and x.grad) if x.device.type == "cpu" else None for x in tensors], world()
        found = error = None
        try:
            with context(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self.call(self.function, **values)
        except Exception as e:
            error = e
        if not same(state, world()):
            self.wrong.append("changed a global state")
        for x, was in zip(tensors, before):
            if was is not None and not (torch.equal(x.detach().nan_to_num(), was[0].nan_to_num()) and (x.requires_grad, x.is_leaf and x.grad) == was[1:]):
                self.wrong.append("changed an argument")
        return found, error

    def expect(self, what, may, found, error, ordinary=None):
        if what in self.exceptions:
            self.unneeded -= {what} if not may(ordinary or self.ordinary, found, error) else set()
            self.counts["exceptions"] += 1
        elif may(ordinary or self.ordinary, found, error):
            self.counts["answered" if error is None else "refused"] += 1
        else:
            said = f"{type(error).__name__}: {str(error)[:150]}" if error is not None else f"gave {str(found)[:100]}"
            self.wrong.append(f"{what}: expected {getattr(may, '__name__', 'refused')}, but {said}")

    def tricks(self):
        for argument, arg in self.call.arguments.items():
            for trick, kinds, change, may in TRICKS:
                if getattr(arg, "kind", None) in kinds and (trick != "another device" or self.asks_a_network):
                    ordinary = None
                    if trick in ROUNDED:
                        rounded = lambda name, _, x: x.to(ROUNDED[trick]).float() if name == argument else x
                        ordinary = self.run(self.call.make(rounded))[0]
                    values = self.call.make(lambda name, _, x: change(x) if name == argument else x)
                    self.expect((argument, trick), may, *self.run(values, Device if trick == "another device" else nullcontext), ordinary)

    def contexts(self):
        self.expect(("all", "twice"), alike, *self.run(self.call.make()))
        for name, context in CONTEXTS.items():
            self.expect(("all", name), alike, *self.run(self.call.make(), context))
            with context():
                values = self.call.make()
            self.expect(("all", f"{name}, made there"), alike, *self.run(values, context))

    def networks(self):
        if not any(getattr(arg, "kind", None) in ("net", "itself") for arg in self.call.arguments.values()):
            return
        exchanged = lambda net: self.call.make(lambda _, arg, x: net if arg.kind in ("net", "itself") else x)
        training = tiny_net(for_training=True)
        eval_answer = self.run(exchanged(training))[0]
        state = copy.deepcopy(training.train().state_dict())
        self.expect(("net", "training mode"), alike_or_refused, *self.run(exchanged(training)), eval_answer)
        if not same(state, training.state_dict()) or not all(m.training for m in training.modules()):
            self.wrong.append("changed a network in training mode")
        for name, dtype in {"float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}.items():
            self.expect(("net", name), near_or_refused, *self.run(exchanged(copy.deepcopy(random_net()).to(dtype))))
        with torch.inference_mode():
            net = copy.deepcopy(random_net())
        self.expect(("net", "made in inference_mode"), alike_or_refused, *self.run(exchanged(net)))
