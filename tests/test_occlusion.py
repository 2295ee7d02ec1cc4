import pytest
import torch
from captum.attr import NoiseTunnel, Occlusion, Saliency

from helpers.attribution import input_gradient, occlusion, saliency, smooth_grad


def linear(seed=0, size=12):
    w = torch.randn(3, size, size, generator=torch.Generator().manual_seed(seed))
    return w, lambda x: (x * w).sum((1, 2, 3))


def brute_force(score, x, window, stride, baseline):
    (height, width), (down, right), (h, w) = window, stride, x.shape[2:]
    total, times = torch.zeros(len(x), h, w), torch.zeros(h, w)
    tops = sorted({*range(0, h - height + 1, down), h - height})
    lefts = sorted({*range(0, w - width + 1, right), w - width})
    for n in range(len(x)):
        for top in tops:
            for left in lefts:
                covered = x[n:n + 1].clone()
                covered[..., top:top + height, left:left + width] = torch.as_tensor(baseline).expand_as(x)[n:n + 1][
                    ..., top:top + height, left:left + width]
                total[n, top:top + height, left:left + width] += (score(x[n:n + 1]) - score(covered)).item()
                times[top:top + height, left:left + width] += int(n == 0)
    return total / times


@pytest.mark.parametrize("window, stride", [((4, 4), (2, 2)), ((5, 3), (4, 2)), ((7, 12), (3, 1)), ((12, 12), (5, 5)), ((1, 1), (1, 1))])
@pytest.mark.parametrize("baseline", [0.5, 0.0, torch.tensor([0.1, 0.5, 0.9])[:, None, None], torch.rand(2, 3, 12, 12)])
def test_it_is_the_brute_force(window, stride, baseline):
    x, (_, score) = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1)), linear()
    found = occlusion(score, x, window=window, stride=stride, baseline=baseline)
    torch.testing.assert_close(found, brute_force(score, x, window, stride, baseline), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("window, stride", [(8, 4), (16, 8), (16, 16)])
def test_it_is_captums_where_all_windows_are_whole(random_net, images, window, stride):
    ours = occlusion(lambda x: random_net(x)[:, 3], images, window=window, stride=stride)
    theirs = Occlusion(random_net).attribute(images, sliding_window_shapes=(3, window, window), strides=(3, stride, stride),
                                             baselines=0.5, target=3)
    for colour in theirs.unbind(1):
        torch.testing.assert_close(ours, colour, rtol=1e-3, atol=1e-5)


def test_it_is_zero_where_the_network_is_blind():
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = occlusion(lambda x: x[:, :, :4, :4].sum((1, 2, 3)), x, window=4, stride=2)
    assert found[0, :4, :4].abs().min() > 0
    assert (found[0, 6:] == 0).all() and (found[0, :, 6:] == 0).all()


def test_one_window_over_all_is_the_whole_fall():
    x, (_, score) = torch.rand(1, 3, 12, 12), linear()
    found = occlusion(score, x, window=12, stride=1, baseline=0.0)
    torch.testing.assert_close(found, score(x).expand(1, 12, 12), rtol=1e-4, atol=1e-4)


def test_a_batch_is_a_loop(random_net, images):
    def score(x):
        return random_net(x).softmax(1)[:, 0]

    one_by_one = torch.cat([occlusion(score, x, window=24, stride=20) for x in images.split(1)])
    torch.testing.assert_close(occlusion(score, images, window=24, stride=20), one_by_one, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "how, says",
    [
        ({"window": 13}, "window of 13 x 13 pixels for images of 12 x 12"),
        ({"window": (4, 13)}, "Try a smaller window"),
        ({"window": 4, "stride": 5}, "never be covered"),
        ({"window": 4, "stride": 0}, "at least 1"),
        ({"window": 4.5}, "whole pixels"),
        ({"baseline": torch.rand(5)}, r"a colour \(3, 1, 1\)"),
        ({"baseline": 1.5}, "0, 1"),
        ({"baseline": float("nan")}, "not a number"),
    ],
)
def test_it_refuses(how, says):
    with pytest.raises(ValueError, match=says):
        occlusion(linear()[1], torch.rand(1, 3, 12, 12), **how)


@pytest.mark.parametrize("attribute", [occlusion, smooth_grad, saliency])
def test_a_score_of_another_shape_is_refused(attribute, images):
    with pytest.raises(ValueError, match=r"one number per image, shape \(3,\)"):
        attribute(lambda x: x.mean((2, 3)), images)


def test_the_gradient_of_a_linear_network_is_its_weights():
    x, (w, score) = torch.rand(4, 3, 12, 12), linear()
    torch.testing.assert_close(input_gradient(score, x), w.expand(4, -1, -1, -1))
    torch.testing.assert_close(smooth_grad(score, x, sigma=0.3), w.abs().amax(0).expand(4, -1, -1))


def test_without_noise_it_is_saliency(random_net, images):
    def score(x):
        return random_net(x)[:, 1]

    torch.testing.assert_close(smooth_grad(score, images, samples=2, sigma=0), saliency(score, images))


def test_it_is_captums_noise_tunnel_where_only_the_mean_of_the_noise_counts():
    """The gradient of a square is linear in the noise: with many copies both come to the gradient without noise."""
    w, _ = linear()
    x = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(2))
    torch.manual_seed(0)
    theirs = NoiseTunnel(Saliency(lambda x: (w * x * x).sum((1, 2, 3)))).attribute(
        x, nt_type="smoothgrad", nt_samples=2000, stdevs=0.1, abs=False).abs().amax(1)
    ours = smooth_grad(lambda x: (w * x * x).sum((1, 2, 3)), x, samples=2000, sigma=0.1)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05)


def test_a_seed_gives_the_same_map_again(random_net, images):
    maps = [smooth_grad(lambda x: random_net(x)[:, 1], images, samples=2, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1]) and not torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("how", [{"samples": 0}, {"samples": 1.5}, {"sigma": -0.1}])
def test_smooth_grad_refuses(how, images):
    with pytest.raises(ValueError, match="expected a whole number from 1, and sigma from 0"):
        smooth_grad(lambda x: x.sum((1, 2, 3)), images, **how)


def test_nothing_is_changed(random_net, images, unchanged):
    def fails(x):
        random_net(x)
        raise RuntimeError("no score")

    with unchanged(random_net, images):
        for attribute in (lambda s, x: occlusion(s, x, window=32, stride=32), smooth_grad):
            attribute(lambda x: random_net(x)[:, 0], images)
            with pytest.raises(RuntimeError, match="no score"):
                attribute(fails, images)
