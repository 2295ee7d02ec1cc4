"""DeepDream: octaves, and the loop that the notebook writes out."""

import pytest
import torch

from helpers.activations import activations
from helpers.dream import descend_octaves, dream
from helpers.images import resize
from helpers.optimize import descend, last
from helpers.param import FourierImage, PixelImage


def brighter(image):
    return descend(image, lambda x: -x.sum(), steps=2, optimizer=lambda p: torch.optim.SGD(p, lr=0.01))


def test_octaves_grow_to_the_size_of_the_start():
    start = torch.full((1, 3, 20, 31), 0.4)
    steps = list(descend_octaves(start, brighter, scale=2, octaves=3))
    assert [tuple(step.image.shape[2:]) for step in steps] == [(5, 8), (5, 8), (10, 16), (10, 16), (20, 31), (20, 31)]
    torch.testing.assert_close(steps[-1].image, torch.full_like(start, 0.4 + 6 * 0.01))     # what each octave added was carried on


def test_octaves_keep_the_start_sharp():
    """Where the dream adds nothing, the start comes back to the bit, however small the first octave was."""
    start = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    still = lambda image: descend(image, lambda x: x.sum(), steps=1, optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    *_, step = descend_octaves(start, still, octaves=3)
    assert torch.equal(step.image, start)


def test_one_octave_is_plain_descent():
    start = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    *_, one = descend_octaves(start, brighter, octaves=1)
    *_, plain = brighter(PixelImage(start))
    assert torch.equal(one.image, plain.image)


@pytest.mark.parametrize("how, says", [({"octaves": 0}, "at least 1"), ({"octaves": 2.5}, "at least 1"),
                                       ({"scale": 1.0}, "more than 1 times"), ({"scale": float("nan")}, "more than 1 times"),
                                       ({"scale": float("inf")}, "more than 1 times"),
                                       ({"octaves": 7, "scale": 2}, "has 0 x 1 pixels. Try fewer"),
                                       ({"octaves": 8, "scale": 2}, "has 0 x 0 pixels. Try fewer")])
def test_octaves_refuse(how, says):
    with pytest.raises(ValueError, match=says):
        list(descend_octaves(torch.full((1, 3, 16, 40), 0.5), brighter, **how))


def test_the_start_is_resized_only_where_its_size_differs(monkeypatch):
    asked = []
    monkeypatch.setattr("helpers.dream.resize", lambda x, size: asked.append(size) or resize(x, size))
    list(descend_octaves(torch.full((1, 3, 20, 30), 0.4), brighter, scale=2, octaves=2))
    assert asked == [(10, 15)]


# ---- dream ----

def energy(net, x, layer="relu3"):
    return 0.5 * activations(net, x, layer)[layer].square().sum().item()


def test_a_dream_has_more_of_the_layer_and_keeps_to_its_length(random_net, images):
    steps = list(dream(random_net, images[:1], "relu3", steps=3, octaves=2))
    assert len(steps) == 6 and steps[-1].image.shape == images[:1].shape
    assert energy(random_net, steps[-1].image) > 1.2 * energy(random_net, images[:1])
    first, = dream(random_net, images[:1], "relu3", steps=1, octaves=1, shift=0)
    assert first.loss == pytest.approx(-energy(random_net, images[:1]), rel=1e-5)
    two, = dream(random_net, torch.full((2, 3, 64, 64), 0.5), "relu3", steps=1, octaves=1, length=0.01)
    torch.testing.assert_close((two.image - 0.5).square().mean((1, 2, 3)).sqrt(), torch.full((2,), 0.01), rtol=1e-3, atol=0)
    one, = dream(random_net, torch.full((1, 3, 64, 64), 0.5), "relu3", steps=1, octaves=1, length=0.01)
    torch.testing.assert_close((one.image - 0.5).square().mean().sqrt(), torch.tensor(0.01), rtol=1e-3, atol=0)


def test_one_step_is_along_the_layers_own_activations(random_net, images):
    """Half the squared norm has the activations themselves as its gradient at the layer: the recipe that gave DeepDream its name."""
    x = images[:1].clone().requires_grad_()
    a = activations(random_net, x, "relu3")["relu3"]
    g, = torch.autograd.grad(a, x, grad_outputs=a.detach())
    one, = dream(random_net, images[:1], "relu3", steps=1, octaves=1, shift=0, length=1e-4)
    direction = torch.nn.functional.cosine_similarity((one.image - images[:1]).flatten(), g.flatten(), dim=0)
    assert direction > 0.99


def test_a_dream_repeats_by_its_seed_and_changes_nothing(random_net, images, unchanged):
    with unchanged(random_net, images):
        a, b, c = (last(dream(random_net, images[:1], "relu2", steps=2, octaves=2, seed=seed)).image for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)
    with pytest.raises(KeyError, match="Did you mean 'relu2'"):
        last(dream(random_net, images[:1], "rleu2"))


def test_octaves_of_waves():
    start = torch.full((1, 3, 20, 32), 0.4)
    adam = lambda image: descend(image, lambda x: -x.sum(), steps=2, optimizer=lambda p: torch.optim.Adam(p, lr=0.05))
    steps = list(descend_octaves(start, adam, scale=2, octaves=2, image=FourierImage))
    assert [tuple(step.image.shape[2:]) for step in steps] == [(10, 16)] * 2 + [(20, 32)] * 2
    assert steps[-1].image.mean() > steps[1].image.mean() + 0.002 > 0.404        # what the first octave added was carried on
