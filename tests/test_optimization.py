import pytest
import torch

from helpers.optimization import (
    NormalizedGradient,
    descend,
    last,
    normalize_gradient,
    project_l2,
    project_linf,
)
from helpers.parametrization import FourierImage, PixelImage

OPTIMIZERS = {
    "normalized": NormalizedGradient,
    "SGD": lambda p: torch.optim.SGD(p, lr=10.0),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1),
}


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def gray(value=0.5, n=1):
    return torch.full((n, 3, 4, 4), value)


def test_every_optimizer_descends_in_both_parametrizations():
    loss = lambda x: (x - 0.7).square().mean()
    for optimizer in OPTIMIZERS.values():
        for image in (PixelImage(rand(1, 3, 8, 8)), FourierImage(rand(1, 3, 8, 8))):
            before = loss(image()).item()
            step = last(descend(image, loss, steps=12, optimizer=optimizer))
            assert loss(step.image) < 0.9 * before
            assert 0 <= step.image.min() and step.image.max() <= 1


def test_steps_are_numbered_keep_their_images_and_have_the_loss_before():
    loss = lambda x: (x - 0.7).square().mean()
    image = PixelImage(gray(0.1))
    steps = list(descend(image, loss, steps=3))
    assert [step.index for step in steps] == [1, 2, 3]
    assert steps[0].loss.item() == pytest.approx(0.36) and not steps[0].loss.requires_grad
    assert steps[1].loss.item() == loss(steps[0].image).item()
    assert torch.equal(steps[2].image, image()) and not torch.equal(steps[0].image, steps[2].image)
    one, = descend(PixelImage(gray()), lambda x: x.mean((1, 2, 3)), steps=1)
    assert one.loss.shape == ()         # also where the loss has the shape (1,)


def test_a_normalized_step_by_hand_for_each_image():
    scale = torch.tensor([1.0, 1000.0])[:, None, None, None]
    steps = descend(PixelImage(gray(n=2)), lambda x: (scale * x).sum(), steps=1,
                    optimizer=lambda p: NormalizedGradient(p, lr=0.25))
    torch.testing.assert_close(last(steps).image, gray(0.5 - 0.25 / 48 ** 0.5, n=2))


def test_pixels_are_clamped_and_can_come_back():
    image = PixelImage(gray(0.95))
    assert torch.equal(last(descend(image, lambda x: -x.sum(), steps=3)).image, gray(1.0))
    assert last(descend(image, lambda x: x.sum(), steps=1)).image.max() < 1


def test_not_finite():
    for bad in (lambda x: x.sum() * torch.nan,
                lambda x: x.sum() + torch.inf,
                lambda x: (x - x.detach()).square().sum().sqrt()):      # only the gradient is NaN
        for steps in (1, 10, 25):
            with pytest.raises(ValueError, match="finite"):
                last(descend(PixelImage(gray()), bad, steps=steps))


def test_network_and_start_are_unchanged(random_net, images, unchanged):
    with unchanged(random_net, images), torch.no_grad():
        last(descend(PixelImage(images), lambda x: -random_net(x)[:, 0].sum(), steps=2))
        normalize_gradient(images, "l2")
        project_l2(images, 1 - images, 0.1)
        project_linf(images, 1 - images, 0.1)


def test_no_direction_of_length_1_is_steeper():
    g = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    slope = {norm: (g * normalize_gradient(g, norm)).flatten(1).sum(1) for norm in ("l2", "linf")}
    torch.testing.assert_close(slope["l2"], g.flatten(1).norm(dim=1))       # the dual norms
    torch.testing.assert_close(slope["linf"], g.flatten(1).norm(p=1, dim=1))
    assert normalize_gradient(torch.zeros(1, 3, 2, 2), "l2").abs().max() == 0


def test_projections_by_hand():
    center = torch.full((1, 3, 1, 1), 0.5)
    x = torch.tensor([0.8, 0.1, 0.5]).view(1, 3, 1, 1)      # at a distance of 0.5
    expected = torch.tensor([0.65, 0.3, 0.5]).view(1, 3, 1, 1)
    torch.testing.assert_close(project_l2(x, center, 0.25), expected)
    expected = torch.tensor([0.75, 0.25, 0.5]).view(1, 3, 1, 1)
    torch.testing.assert_close(project_linf(x, center, 0.25), expected)


@pytest.mark.parametrize("project, p", [(project_l2, 2), (project_linf, torch.inf)])
def test_a_projection_keeps_both_bounds_and_what_is_inside(project, p):
    x, center = 3 * rand(5, 3, 6, 6) - 1, rand(5, 3, 6, 6, seed=1)
    for epsilon in (1e-3, 0.1, 1.0, 50.0):
        y = project(x, center, epsilon)
        assert 0 <= y.min() and y.max() <= 1
        assert ((y - center).flatten(1).norm(p=p, dim=1) <= epsilon * (1 + 1e-5) + 1e-6).all()
        torch.testing.assert_close(project(y, center, epsilon), y, rtol=0, atol=1e-6)
