import numpy as np
import pytest
import torch

from helpers.evaluation import area, deletion, insertion, mass_inside, pointing_game, replacement_curve
from helpers.transforms import gaussian_blur

MASK = torch.tensor([[[True, False], [True, False]]])


def total(x):
    return x.mean((1, 2, 3))


@pytest.mark.parametrize("values, hit", [([[3, 1], [0, 2]], 1), ([[0, 3], [2, 1]], 0), ([[1, 1], [1, 1]], 1), ([[0, 5], [5, 0]], 0)])
def test_pointing_by_hand(values, hit):
    """Of equal values the one that is read first counts."""
    assert pointing_game(torch.tensor([values]).float(), MASK).tolist() == [hit]


def test_pointing_near_by():
    maps, masks = torch.zeros(1, 5, 5), torch.zeros(1, 5, 5, dtype=torch.bool)
    maps[0, 1, 1], masks[0, 2, 3] = 1, True
    assert [pointing_game(maps, masks, tolerance=t).item() for t in (0, 2, 2.3)] == [0, 0, 1]


def test_mass_by_hand():
    assert mass_inside(torch.tensor([[[3.0, 1.0], [-5.0, 2.0]]]), MASK).item() == pytest.approx(0.5)
    assert mass_inside(torch.full((1, 2, 2), 7.0), MASK).item() == pytest.approx(0.5)      # the object's share of the image
    assert mass_inside(-torch.ones(1, 2, 2), MASK).item() == 0


def test_curve_by_hand():
    """Four pixels of worth 1, 2, 3, 4 go one by one, those with the largest map first."""
    worth = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    start, end = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)

    def score(x):
        return (x[:, 0] * worth).sum((1, 2))

    best_first = replacement_curve(score, start, end, worth[None], steps=4)
    assert best_first.tolist() == [[10, 6, 3, 1, 0]]
    assert replacement_curve(score, start, end, -worth[None], steps=4).tolist() == [[10, 9, 7, 4, 0]]
    assert replacement_curve(score, start, end, torch.zeros(1, 2, 2), steps=2).tolist() == [[10, 7, 0]]   # as they are read
    assert area(best_first).item() == pytest.approx((5 + 6 + 3 + 1) / 4)


@pytest.mark.parametrize("steps", [1, 3, 16])
def test_deletion_and_insertion_are_those_of_a_loop(random_net, images, steps):
    maps = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(5))

    def score(x):
        return random_net(x).softmax(1)[:, 2]

    def by_loop(start, end, order):
        heights = []
        for count in np.linspace(0, 64 * 64, steps + 1).round().astype(int):
            x = start.clone().reshape(3, -1)
            x[:, order[:count]] = end.reshape(3, -1)[:, order[:count]]
            heights.append(score(x.view(1, 3, 64, 64)).item())
        return sum((a + b) / 2 for a, b in zip(heights, heights[1:], strict=False)) / steps

    deleted, inserted = deletion(score, images, maps, steps=steps), insertion(score, images, maps, steps=steps)
    blurred = gaussian_blur(images, 5)
    for n in range(3):
        order = torch.from_numpy(np.argsort(-maps[n].flatten().numpy(), kind="stable"))
        assert deleted[n].item() == pytest.approx(by_loop(images[n], torch.full_like(images[n], 0.5), order), rel=1e-4)
        assert inserted[n].item() == pytest.approx(by_loop(blurred[n].clamp(0, 1), images[n], order), rel=1e-4)


def test_a_perfect_map_beats_its_opposite(images):
    dark = images * 0.4

    def score(x):
        return x[:, :, :20, :20].mean((1, 2, 3))

    good = torch.zeros(3, 64, 64)
    good[:, :20, :20] = 1
    assert (deletion(score, dark + 0.6, good) < deletion(score, dark + 0.6, -good)).all()
    corner = torch.zeros(3, 3, 64, 64)
    corner[:, :, :20, :20] = 1      # blurred, its light has leaked out; put back, it is inside again
    assert (insertion(score, corner, good) > insertion(score, corner, -good)).all()


def test_a_batch_is_a_loop(images):
    maps, masks = torch.rand(3, 64, 64), torch.rand(3, 64, 64) > 0.5
    for measure in (lambda x, m, k: pointing_game(m, k), lambda x, m, k: mass_inside(m, k),
                    lambda x, m, k: deletion(total, x, m), lambda x, m, k: insertion(total, x, m)):
        one_by_one = torch.cat([measure(images[n:n + 1], maps[n:n + 1], masks[n:n + 1]) for n in range(3)])
        torch.testing.assert_close(measure(images, maps, masks), one_by_one)


@pytest.mark.parametrize(
    "maps, masks, error, says",
    [
        (torch.rand(1, 3, 3), MASK, ValueError, "expected the same size"),
        (torch.rand(1, 2, 2), MASK.float(), TypeError, "Try masks > 0.5"),
        (torch.rand(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool), ValueError, r"images \[0\] have no pixel"),
        (torch.rand(2, 2), MASK, ValueError, r"Try map\[None\]"),
        (torch.rand(1, 2, 2) / 0, MASK, ValueError, "not a number"),
        (None, MASK, ValueError, "NoneType"),
    ],
)
def test_maps_and_masks_that_do_not_fit_are_refused(maps, masks, error, says):
    for measure in (pointing_game, mass_inside):
        with pytest.raises(error, match=says):
            measure(maps, masks)


@pytest.mark.parametrize(
    "maps, how, says",
    [
        (torch.rand(3, 32, 32), {}, "maps .* for images"),
        (torch.rand(2, 64, 64), {}, "maps .* for images"),
        (torch.rand(3, 64, 64), {"steps": 0}, "at least 1"),
        (torch.rand(3, 64, 64), {"steps": 1.5}, "whole number"),
    ],
)
def test_curves_refuse(images, maps, how, says):
    for measure in (deletion, insertion):
        with pytest.raises(ValueError, match=says):
            measure(total, images, maps, **how)


def test_nothing_is_changed(random_net, images, unchanged):
    maps, masks = torch.rand(3, 64, 64), torch.ones(3, 64, 64, dtype=torch.bool)

    def fails(x):
        random_net(x)
        raise RuntimeError("no score")

    with unchanged(random_net, images, maps):
        pointing_game(maps, masks), mass_inside(maps, masks)
        for measure in (deletion, insertion):
            measure(lambda x: random_net(x)[:, 0], images, maps, steps=2)
            with pytest.raises(RuntimeError, match="no score"):
                measure(fails, images, maps)
