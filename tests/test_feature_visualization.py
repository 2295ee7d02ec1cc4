import pytest
import torch

from helpers.feature_visualization import in_top_k, maximize_class, visualize_classes
from helpers.losses import total_variation
from helpers.optimization import last
from helpers.parametrization import FourierImage, PixelImage
from helpers.transforms import jitter


def waves(n):
    return FourierImage.noise(64, 64, batch=n)


REGULARIZERS = {
    "none": {},
    "L2": {"regularizer": lambda x: 0.05 * (x - 0.5).square().sum((1, 2, 3))},
    "total variation": {"regularizer": lambda x: 1e-3 * total_variation(x)},
    "jitter": {"transform": lambda x: jitter(x, 4, generator=torch.Generator().manual_seed(0))},
    "Fourier": {"make_image": waves, "optimizer": lambda p: torch.optim.Adam(p, lr=0.2)},
}


def test_scores_rise_with_every_regularizer(random_net, unchanged):
    classes = [1, 7]
    with unchanged(random_net):
        for how in REGULARIZERS.values():
            first = visualize_classes(random_net, classes, steps=1, **how)
            found = visualize_classes(random_net, classes, steps=8, **how)
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
    found = last(maximize_class(random_net, [3, 5], steps=3, regularizer=decay)).image
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-4)
    again = visualize_classes(random_net, [3, 5], steps=3, regularizer=decay)
    torch.testing.assert_close(again, found)


@pytest.mark.parametrize("image", [None, lambda n: PixelImage(torch.full((n, 3, 64, 64), 0.4))])
def test_the_batch_size_does_not_change_an_image(random_net, image):
    sgd = lambda p: torch.optim.SGD(p, lr=0.1)
    one, all_three = [visualize_classes(random_net, [1, 2, 3], steps=3, make_image=image,
                                        batch=batch, optimizer=sgd) for batch in (1, 24)]
    torch.testing.assert_close(one, all_three, rtol=1e-3, atol=1e-3)


def test_one_class_from_several_starts_and_the_seed(random_net):
    step = last(maximize_class(random_net, [2], steps=2, image=waves(3)))
    same = last(maximize_class(random_net, [2, 2, 2], steps=2, image=waves(3)))
    assert torch.equal(step.image, same.image)
    a, b = [visualize_classes(random_net, [1], steps=1, seed=seed) for seed in (0, 1)]
    assert not torch.equal(a, b)


def test_top_k_by_hand(random_net, images):
    order = random_net(images).argsort(dim=1, descending=True)
    assert in_top_k(random_net, images, order[:, 0]).all()
    assert not in_top_k(random_net, images, order[:, 1]).any()
    assert in_top_k(random_net, images, order[:, 2].tolist(), k=3).all()


def test_wrong_inputs(random_net, images):
    with pytest.raises(IndexError):
        next(maximize_class(random_net, [10]))
    with pytest.raises(IndexError):
        next(maximize_class(random_net, [1, 2], image=waves(3)))
    with pytest.raises(ValueError, match="expected"):
        in_top_k(random_net, 255 * images, [1, 2, 3])
    training = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    with pytest.raises(ValueError, match="training"):
        next(maximize_class(training, [1]))
