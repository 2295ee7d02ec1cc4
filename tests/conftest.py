"""Share small images, a tiny random network, and a guard on purity between the tests."""

import pytest
import torch

from helpers.networks import CourseNet


@pytest.fixture
def images():
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def random_net():
    """A CourseNet with random weights, frozen, as load_net returns it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = CourseNet([f"class {k}" for k in range(10)])
    return net.eval().requires_grad_(False)


class Unchanged:
    """A context that asserts what a helper must leave as it was.

    That is its inputs, the network's weights, modes, hooks, and .grad, and the global random state.
    """

    def __init__(self, net, *tensors):
        self.net = net
        self.tensors = tensors

    def state(self):
        modules = list(self.net.modules())
        parameters = list(self.net.parameters())
        return {
            "weights": {name: t.clone() for name, t in self.net.state_dict().items()},
            "inputs": [t.clone() for t in self.tensors],
            "random": torch.get_rng_state(),
            "modes": [module.training for module in modules],
            "forward hooks": [len(module._forward_hooks) for module in modules],
            "backward hooks": [len(module._backward_hooks) for module in modules],
            "frozen": [t.requires_grad for t in (*parameters, *self.tensors)],
            "grad": [t.grad is None for t in (*parameters, *self.tensors)],
        }

    def __enter__(self):
        self.before = self.state()

    def __exit__(self, *exception):
        after = self.state()
        for key, value in self.before.items():
            torch.testing.assert_close(after[key], value, rtol=0, atol=0, equal_nan=True,
                                       msg=f"changed: {key}")


@pytest.fixture
def unchanged():
    return Unchanged
