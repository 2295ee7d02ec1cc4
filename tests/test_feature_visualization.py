import pytest
import torch

from helpers.feature_visualization import is_classified_as, maximize_class
from helpers.losses import total_variation
from helpers.optimization import last
from helpers.parametrization import FourierImage, PixelImage
from helpers.transforms import jitter


def seeded():
    return torch.Generator().manual_seed(0)


def waves(n):
    return FourierImage.noise(64, 64, batch=n)


REGULARIZERS = {
    "none": lambda: {},
    "L2": lambda: {"regularizer": lambda x: 0.05 * (x - 0.5).square().sum((1, 2, 3))},
    "total variation": lambda: {"regularizer": lambda x: 1e-3 * total_variation(x)},
    "jitter": lambda: {"transform": lambda x: jitter(x, 4, generator=seeded())},
    "Fourier": lambda: {"image": waves(2), "optimizer": lambda p: torch.optim.Adam(p, lr=0.2)},
}


def visualize(net, classes, **options):
    return last(maximize_class(net, classes, **options)).image


def test_scores_rise_with_every_regularizer(random_net, unchanged):
    classes = [1, 7]
    with unchanged(random_net):
        for options in REGULARIZERS.values():
            first = visualize(random_net, classes, steps=1, **options())
            found = visualize(random_net, classes, steps=8, **options())
            assert found.shape == (2, 3, 64, 64) and 0 <= found.min() and found.max() <= 1
            scores = [random_net(x)[range(2), classes] for x in (first, found)]
            assert (scores[1] > scores[0]).all()


def test_it_is_the_loop_written_out(random_net):
    x = PixelImage.noise(64, 64, batch=2)().detach()
    for _ in range(3):
        x.requires_grad_()
        score = random_net(x)[range(2), [3, 5]] - 0.01 * x.square().sum((1, 2, 3))
        g, = torch.autograd.grad(score.sum(), x)
        x = (x + 2 * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1).detach()
    decay = lambda x: 0.01 * x.square().sum((1, 2, 3))
    found = visualize(random_net, [3, 5], steps=3, regularizer=decay)
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-4)


def test_one_class_from_several_starts_and_the_seed(random_net):
    found = visualize(random_net, [2], steps=2, image=waves(3))
    assert torch.equal(found, visualize(random_net, [2, 2, 2], steps=2, image=waves(3)))
    a, b = [visualize(random_net, [1], steps=1, seed=seed) for seed in (0, 1)]
    assert not torch.equal(a, b)


def test_predictions_by_hand(random_net, images):
    order = random_net(images).argsort(dim=1, descending=True)
    assert is_classified_as(random_net, images, order[:, 0].tolist()).all()
    assert not is_classified_as(random_net, images, order[:, 1]).any()


def test_wrong_inputs(random_net, images):
    with pytest.raises(IndexError):
        next(maximize_class(random_net, [10]))
    with pytest.raises(IndexError):
        next(maximize_class(random_net, [1, 2], image=waves(3)))
    with pytest.raises(ValueError, match="expected"):
        is_classified_as(random_net, 255 * images, [1, 2, 3])
    training = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    with pytest.raises(ValueError, match="training"):
        next(maximize_class(training, [1]))
