import numpy as np
import pytest
import torch
from scipy.stats import binomtest, spearmanr

from helpers.metrics import (
    auc,
    bootstrap_ci,
    deletion,
    insertion,
    iou,
    permute_layers,
    perturbation_curve,
    pointing_game,
    rank_correlation,
    wilson_ci,
)
from helpers.transforms import gaussian_blur

WORTH = torch.arange(1.0, 5).view(2, 2)
WHITE = torch.ones(1, 3, 2, 2)


def weighted(x):
    """A score: the red pixels, which count 1, 2, 3, and 4."""
    return (x[:, 0] * WORTH).sum((1, 2))


@pytest.fixture
def maps():
    """Small whole numbers, and so many ties."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-3, 4, (3, 64, 64), generator=generator).float()


@pytest.fixture
def masks():
    return torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1)) > 0.9


# ---- Localization ----

def test_pointing_game_by_hand():
    left = torch.tensor([[[True, False], [True, False]]])
    for values, hit in [([[3, 1], [0, 2]], 1), ([[0, 3], [2, 1]], 0), ([[5, 5], [5, 0]], 2 / 3)]:
        found = pointing_game(torch.tensor([values]), left)
        assert found.tolist() == pytest.approx([hit])


def test_localization_equals_a_numpy_loop(maps, masks):
    found = pointing_game(maps, masks)
    for n in range(3):
        m, mask = maps[n].numpy(), masks[n].numpy()
        object_pixels = np.argwhere(mask)
        hits = [np.hypot(*(object_pixels - at).T).min() == 0 for at in np.argwhere(m == m.max())]
        assert found[n].item() == pytest.approx(np.mean(hits))


def test_iou_by_hand():
    a = torch.tensor([[[1, 1], [0, 0]], [[1, 0], [0, 0]], [[0, 0], [0, 0]]]).bool()
    b = torch.tensor([[[1, 0], [1, 0]], [[0, 1], [0, 0]], [[0, 0], [0, 0]]]).bool()
    assert iou(a, b).tolist() == pytest.approx([1 / 3, 0, 1])


# ---- Perturbation ----

def test_perturbation_curves_by_hand():
    black = torch.zeros_like(WHITE)
    largest_first = perturbation_curve(weighted, WHITE, black, WORTH[None], steps=4)
    assert largest_first.tolist() == [[10, 6, 3, 1, 0]]
    assert auc(largest_first).tolist() == [(5 + 6 + 3 + 1) / 4]
    tied = perturbation_curve(weighted, WHITE, black, 0 * WORTH[None], steps=4)
    assert sorted((-tied.diff()[0]).tolist()) == [1, 2, 3, 4]


def test_deletion_and_insertion_by_hand():
    maps = torch.tensor([[[1.0, 4], [3, 2]]])       # pixels 2, 3, 4, 1
    black = deletion(weighted, WHITE, maps, steps=4, baseline=0.0)
    assert black.tolist() == pytest.approx([(10 / 2 + 8 + 5 + 1 + 0 / 2) / 4])
    gray = deletion(weighted, WHITE, maps, steps=4)
    assert gray.tolist() == pytest.approx([(10 / 2 + 9 + 7.5 + 5.5 + 5 / 2) / 4])
    assert insertion(weighted, WHITE, maps, steps=4).tolist() == pytest.approx([10])


def test_deletion_and_insertion_equal_a_loop(random_net, images, maps):
    def score(x):
        return random_net(x).softmax(1)[:, 3]

    maps = maps + 1e-3 * torch.rand(maps.shape, generator=torch.Generator().manual_seed(2))
    blurred = gaussian_blur(images, 5).clamp(0, 1)
    for start, end, metric in [(images, 0 * images + 0.5, deletion), (blurred, images, insertion)]:
        curve = [score(start)]
        for n in (1365, 2731):
            threshold = maps.flatten(1).sort(descending=True).values[:, n, None, None]
            curve.append(score(torch.where((maps > threshold)[:, None], end, start)))
        curve = torch.stack([*curve, score(end)])
        expected = (curve[:-1] + curve[1:]).mean(0) / 2
        torch.testing.assert_close(metric(score, images, maps, steps=3), expected)


# ---- Sanity checks and statistics ----

def test_rank_correlation_equals_scipy(maps):
    other = maps.flip(0)
    expected = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(maps, other)]
    assert rank_correlation(maps, other).tolist() == pytest.approx(expected)
    assert rank_correlation(maps, (2 * maps).exp()).tolist() == pytest.approx([1, 1, 1])
    assert rank_correlation(maps, torch.ones_like(maps)).isnan().all()


def test_permuted_layers_keep_their_values(random_net):
    before = random_net.state_dict()
    after = permute_layers(random_net, ["fc8", "conv5"], seed=1).state_dict()
    for name in before:
        same = torch.equal(before[name], after[name])
        assert same != name.startswith(("fc8", "conv5"))
        values = (state[name].flatten().sort().values for state in (before, after))
        assert torch.equal(*values)
    with pytest.raises(KeyError, match="conv5"):
        permute_layers(random_net, "conv55")


def test_a_bootstrap_interval_written_out():
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(2, 60, generator=generator) ** 2
    low, high = bootstrap_ci(values, resamples=20_000)
    draws = torch.randint(60, (20_000, 60), generator=generator)
    means = values[1][draws].mean(1)
    width = (high - low)[1]
    assert abs(low[1] - means.quantile(0.025)) < 0.03 * width
    assert abs(high[1] - means.quantile(0.975)) < 0.03 * width
    assert bootstrap_ci(torch.ones(5)) == (1, 1)


def test_nothing_is_changed_and_scores_are_checked(random_net, images, maps, masks, unchanged):
    with unchanged(random_net, images, maps, masks):
        pointing_game(maps, masks)
        rank_correlation(maps, maps)
        permute_layers(random_net, "fc8")
        for metric in (deletion, insertion):
            metric(lambda x: random_net(x)[:, 0], images, maps, steps=2)
            with pytest.raises(ValueError, match="score"):
                metric(random_net, images, maps)
            with pytest.raises(ValueError, match="pixels"):
                metric(lambda x: random_net(x)[:, 0], images * 255, maps)


@pytest.mark.parametrize("n, hits", [(48, 48), (48, 0), (7, 3)])
def test_wilson_intervals_agree_with_scipy(n, hits):
    mean, low, high = wilson_ci(torch.arange(n) < hits)
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert mean == pytest.approx(hits / n)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-4)
