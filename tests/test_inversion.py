import pytest
import torch
import torch.nn.functional as F

from helpers.activations import activations
from helpers.inversion import invert, relative_feature_error
from helpers.optimization import last
from helpers.parametrization import PixelImage


def test_the_first_loss_by_hand(random_net, images):
    x, start = images[:1], images[1:2]
    step = next(invert(random_net, x, "relu2", image=PixelImage(start), tv_weight=0.5))
    target, features = [activations(random_net, y, "relu2") for y in (x, start)]
    tv = sum(start.diff(dim=d).square().sum() for d in (2, 3))
    expected = (features - target).square().sum() / target.square().sum() + 0.5 * tv
    torch.testing.assert_close(step.loss, expected)


def test_an_early_layer_gives_the_image_back(random_net, images, unchanged):
    x = F.interpolate(images[:1, :, :8, :8], 64, mode="bilinear")
    with unchanged(random_net, x):
        first, *_, step = invert(random_net, x, "conv1", tv_weight=0.0, steps=120)
    errors = [relative_feature_error(random_net, s.image, x, "conv1") for s in (first, step)]
    assert errors[1] < 0.1 < errors[0]
    assert (step.image - x).norm() < 0.5 * (first.image - x).norm()


def test_a_batch_of_starts_or_of_images(random_net, images):
    still = lambda p: torch.optim.SGD(p, lr=0.0)
    start = PixelImage(torch.cat([images[:1], images]))
    step = next(invert(random_net, images[:1], "relu3", image=start, optimizer=still))
    errors = relative_feature_error(random_net, step.image, images[:1], "relu3")
    assert errors.shape == (4,) and errors[:2].max() < 1e-5 and errors[2:].min() > 0.1
    assert last(invert(random_net, images, "relu3", steps=1)).image.shape == images.shape


def test_wrong_inputs(random_net, images):
    with pytest.raises(KeyError, match="relu2"):
        invert(random_net, images[:1], "rleu2")
    with pytest.raises(ValueError, match="expected"):
        invert(random_net, 255 * images[:1], "relu2")
