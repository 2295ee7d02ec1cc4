"""Feature inversion: the loss written out, and what it must find."""

import pytest
import torch

from helpers.activations import activations
from helpers.inversion import code_error, invert
from helpers.optimize import last
from helpers.param import PixelImage


def test_the_first_loss_by_hand(random_net, images):
    x, start = images[:1], torch.full((1, 3, 64, 64), 0.4)
    step = next(invert(random_net, x, "relu2", image=PixelImage(start), tv_weight=0.5))
    a, b = (activations(random_net, y, "relu2")["relu2"] for y in (start, x))
    assert step.loss == pytest.approx(((a - b).square().sum() / b.square().sum()).item(), rel=1e-4)      # no variation in one grey
    again = next(invert(random_net, x, "relu2", image=PixelImage(images[1:2]), tv_weight=0.5))
    a = activations(random_net, images[1:2], "relu2")["relu2"]
    v = sum(images[1:2].diff(dim=d).square().sum() for d in (2, 3))
    assert again.loss == pytest.approx(((a - b).square().sum() / b.square().sum() + 0.5 * v).item(), rel=1e-4)


def test_a_low_layer_gives_the_picture_back(random_net, images):
    x = torch.nn.functional.interpolate(images[:1, :, :8, :8], 64, mode="bilinear")
    step = last(invert(random_net, x, "conv1", tv_weight=0.0, steps=120))
    first = next(invert(random_net, x, "conv1", tv_weight=0.0)).image
    assert code_error(random_net, step.image, x, "conv1") < 0.1 < code_error(random_net, first, x, "conv1")
    assert (step.image - x).square().mean().sqrt() < 0.5 * (first - x).square().mean().sqrt()


def test_a_batch_of_starts_and_the_error_of_each(random_net, images):
    starts = torch.cat([images[:1], images])
    step = next(invert(random_net, images[:1], "relu3", image=PixelImage(starts), optimizer=lambda p: torch.optim.SGD(p, lr=1e-9)))
    errors = code_error(random_net, step.image, images[:1], "relu3")
    assert not code_error(random_net, step.image.requires_grad_(), images[:1], "relu3").requires_grad
    assert errors.shape == (4,) and errors[0] < 1e-5 and errors[1] < 1e-5 and (errors[2:] > 0.1).all()


def test_it_refuses_and_changes_nothing(random_net, images, unchanged):
    with unchanged(random_net, images):
        last(invert(random_net, images[:1], "relu2", steps=1))
        with pytest.raises(ValueError, match="Got 3 images; expected one"):
            invert(random_net, images, "relu2")
        with pytest.raises(KeyError, match="Did you mean 'relu2'"):
            invert(random_net, images[:1], "rleu2")
        with pytest.raises(ValueError, match="tv_weight"):
            invert(random_net, images[:1], "relu2", tv_weight=-1)
