"""What the tests share: small images, a tiny random network, and a guard on purity."""

import copy

import pytest
import torch

from helpers.nets import CourseNet


@pytest.fixture
def images():
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def random_net():
    """A CourseNet with random weights, frozen, as load_net gives it."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    net = CourseNet([f"class {k}" for k in range(10)]).eval().requires_grad_(False)
    torch.set_rng_state(state)
    return net


class Unchanged:
    """Everything that a helper must leave as it was: inputs, network, modes, hooks, .grad and the random state."""

    def __init__(self, net, *tensors):
        self.net, self.tensors = net, tensors
        self.before = self.look()

    def look(self):
        modules = list(self.net.modules())
        return {
            "weights": {k: v.clone() for k, v in self.net.state_dict().items()},
            "modes": [m.training for m in modules],
            "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in modules],
            "modules": [type(m) for m in modules],
            "frozen": [p.requires_grad for p in self.net.parameters()],
            "grads": [p.grad is None for p in [*self.net.parameters(), *self.tensors]],
            "inputs": [(t.clone(), t.requires_grad) for t in self.tensors],
            "random": torch.get_rng_state(),
        }

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        assert same(self.before, self.look())


def same(a, b):
    if torch.is_tensor(a):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.fixture
def unchanged():
    return Unchanged


def test_guard_notices():
    net = torch.nn.Linear(2, 2)
    guard = Unchanged(net)
    before = copy.deepcopy(guard.before)
    net.bias.data += 1
    assert not same(before, guard.look())
