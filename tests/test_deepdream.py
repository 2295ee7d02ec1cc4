import pytest
import torch
import torch.nn.functional as F

from helpers.activations import activations
from helpers.deepdream import deep_dream, descend_octaves
from helpers.optimization import descend, last
from helpers.parametrization import FourierImage, PixelImage


def brighter(image):
    sgd = lambda p: torch.optim.SGD(p, lr=0.01)
    return descend(image, lambda x: -x.sum(), steps=2, optimizer=sgd)


def rms(x):
    return x.square().mean((1, 2, 3)).sqrt()


def test_octaves_grow_and_carry_the_detail():
    start = torch.full((1, 3, 20, 31), 0.4)
    steps = list(descend_octaves(start, brighter, scale=2, octaves=3))
    sizes = [tuple(step.image.shape[2:]) for step in steps]
    assert sizes == [(5, 8)] * 2 + [(10, 16)] * 2 + [(20, 31)] * 2
    torch.testing.assert_close(steps[-1].image, torch.full_like(start, 0.4 + 6 * 0.01))


def test_octaves_keep_the_start_sharp(images):
    """Where a dream adds nothing, the start comes back exactly."""
    still = lambda image: descend(image, lambda x: x.sum(), steps=1,
                                  optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    assert torch.equal(last(descend_octaves(images, still, octaves=3)).image, images)


def test_one_octave_is_plain_descent(images):
    one = last(descend_octaves(images, brighter, octaves=1))
    assert torch.equal(one.image, last(brighter(PixelImage(images))).image)


def test_octaves_of_fourier_images():
    start = torch.full((1, 3, 20, 32), 0.4)
    adam = lambda image: descend(image, lambda x: -x.sum(), steps=2,
                                 optimizer=lambda p: torch.optim.Adam(p, lr=0.05))
    steps = list(descend_octaves(start, adam, scale=2, octaves=2, make_image=FourierImage))
    assert steps[-1].image.mean() > steps[1].image.mean() > 0.402


def test_one_step_is_along_the_activations(random_net, images):
    """Half the squared norm has the activations themselves as its gradient at the layer."""
    x = images[:1].clone().requires_grad_()
    a = activations(random_net, x, "relu3")
    g, = torch.autograd.grad(a, x, grad_outputs=a.detach())
    step = last(deep_dream(random_net, images[:1], "relu3", steps=1, octaves=1, shift=0,
                           step_size=1e-4))
    change = (step.image - images[:1]).flatten()
    assert F.cosine_similarity(change, g.flatten(), dim=0) > 0.99
    assert step.loss.item() == pytest.approx(-0.5 * a.square().sum().item(), rel=1e-5)


def test_steps_have_their_length_in_each_image(random_net):
    gray = torch.full((2, 3, 64, 64), 0.5)
    step = last(deep_dream(random_net, gray, "relu3", steps=1, octaves=1, step_size=0.01))
    torch.testing.assert_close(rms(step.image - gray), torch.full((2,), 0.01), rtol=1e-3, atol=0)


def test_a_dream_increases_the_layer_and_repeats_by_its_seed(random_net, images, unchanged):
    x = images[:1]
    with unchanged(random_net, x):
        dreams = [last(deep_dream(random_net, x, "relu3", steps=3, octaves=2, seed=seed)).image
                  for seed in (0, 0, 1)]
    assert torch.equal(dreams[0], dreams[1]) and not torch.equal(dreams[0], dreams[2])
    before, after = [activations(random_net, y, "relu3").norm() for y in (x, dreams[0])]
    assert dreams[0].shape == x.shape and after > 1.1 * before


def test_wrong_inputs(random_net, images):
    with pytest.raises(KeyError, match="relu2"):
        last(deep_dream(random_net, images, "rleu2"))
    with pytest.raises(ValueError, match="expected"):
        last(deep_dream(random_net, 255 * images, "relu2"))
