import pytest
import torch

from helpers.optimize import NormalizedGradient, descend
from helpers.param import PixelImage

TARGET = torch.full((1, 3, 8, 8), 0.7)
OPTIMIZERS = {
    "normalised": lambda p: NormalizedGradient(p, lr=0.2), "SGD": lambda p: torch.optim.SGD(p, lr=10.0),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.02), "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.5),
}


def distance(x):
    return (x - TARGET).square().mean()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_descends(name):
    image = PixelImage.noise(8, 8, generator=torch.Generator().manual_seed(0))
    losses = [step.loss for step in descend(image, distance, steps=20, optimizer=OPTIMIZERS[name])]
    assert losses[-1] < 0.5 * losses[0]
    assert 0 <= image().min() and image().max() <= 1


def test_steps_are_numbered_and_keep_their_pictures():
    image = PixelImage(torch.full((1, 3, 8, 8), 0.1))
    steps = list(descend(image, distance, steps=3))
    assert [step.index for step in steps] == [1, 2, 3]
    assert not torch.equal(steps[0].image, steps[2].image) and torch.equal(steps[2].image, image())


def test_a_normalised_step_has_its_length_in_each_image():
    start = torch.full((2, 3, 8, 8), 0.5)
    image, scale = PixelImage(start), torch.tensor([1.0, 1000.0])[:, None, None, None]
    step, = descend(image, lambda x: (scale * x).sum(), steps=1, optimizer=lambda p: NormalizedGradient(p, lr=0.25))
    assert torch.allclose((step.image - start).flatten(1).norm(dim=1), torch.full((2,), 0.25))


def test_pixels_stay_in_range_and_can_come_back():
    image = PixelImage(torch.full((1, 3, 4, 4), 0.95))
    list(descend(image, lambda x: -x.sum(), steps=3))
    assert torch.equal(image(), torch.ones_like(image()))          # projected, not beyond
    list(descend(image, lambda x: x.sum(), steps=1))
    assert image().max() < 1                                       # a saturated pixel still has a gradient


def test_the_start_is_copied():
    start = torch.full((1, 3, 4, 4), 0.5)
    list(descend(PixelImage(start), lambda x: x.sum(), steps=1))
    assert torch.equal(start, torch.full((1, 3, 4, 4), 0.5))


def test_noise_follows_its_generator_and_leaves_the_global_state():
    state = torch.get_rng_state()
    a, b = (PixelImage.noise(5, 7, generator=torch.Generator().manual_seed(3))() for _ in range(2))
    assert torch.equal(a, b) and a.shape == (1, 3, 5, 7)
    assert torch.equal(state, torch.get_rng_state())


def test_network_is_left_alone(random_net, unchanged):
    with unchanged(random_net):
        list(descend(PixelImage(torch.full((1, 3, 64, 64), 0.4)), lambda x: -random_net(x)[:, 0].mean(), steps=2))
    live = random_net.requires_grad_(True)
    try:
        list(descend(PixelImage(torch.full((1, 3, 64, 64), 0.4)), lambda x: -live(x)[:, 0].mean(), steps=1))
        assert all(p.grad is None for p in live.parameters())
    finally:
        live.requires_grad_(False)


@pytest.mark.parametrize("loss, says", [
    (lambda x: x.mean((2, 3)), r"shape \(1, 3\); expected one number"),
    (lambda x: 0.0, "a float"),
    (lambda x: x.detach().sum(), "does not depend on the image"),
    (lambda x: (x - 2).clamp(min=0).sum(), "gradient is zero at the start"),
])
def test_losses_that_cannot_be_descended(loss, says):
    with pytest.raises(ValueError, match=says):
        list(descend(PixelImage(torch.full((1, 3, 4, 4), 0.5)), loss, steps=2))


def test_nan_stops_with_the_steps_number_and_keeps_the_last_good_picture():
    image, seen = PixelImage(torch.full((1, 3, 4, 4), 0.5)), []
    loss = lambda x: x.sum() * (torch.nan if len(seen) == 2 else 1)
    with pytest.raises(ValueError, match="nan at step 3"):
        for step in descend(image, loss, steps=5):
            seen.append(step.image)
    assert torch.equal(image(), seen[-1]) and image().isfinite().all()


@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_steps_must_be_positive_and_whole(steps):
    with pytest.raises(ValueError, match="expected a whole number"):
        list(descend(PixelImage(TARGET), distance, steps=steps))


def test_bad_starts():
    with pytest.raises(ValueError, match="at least 1 x 1"):
        PixelImage.noise(0, 8)
    with pytest.raises(ValueError, match="expected more than 0"):
        NormalizedGradient([torch.zeros(1)], lr=0)
    with pytest.raises(ValueError, match=r"expected \[0, 1\]"):
        PixelImage(TARGET * 2)
