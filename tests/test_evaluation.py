import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from helpers.activations import activations
from helpers.evaluation import (
    area,
    bootstrap,
    deletion,
    insertion,
    mask_iou,
    mass_inside,
    pointing_game,
    randomize_layers,
    rank_correlation,
    replacement_curve,
)
from helpers.transforms import gaussian_blur

MASK = torch.tensor([[[True, False], [True, False]]])


def total(x):
    return x.mean((1, 2, 3))


@pytest.mark.parametrize("values, hit", [
    ([[3, 1], [0, 2]], 1), ([[0, 3], [2, 1]], 0),                       # the object is the left column
    ([[1, 1], [1, 1]], 0.5), ([[0, 5], [5, 0]], 0.5), ([[5, 0], [5, 0]], 1), ([[0, 5], [0, 5]], 0), ([[5, 5], [5, 0]], 2 / 3)])
def test_pointing_by_hand(values, hit):
    """Of equal largest values, the share of them that lies on the object, wherever it is read."""
    hit = pytest.approx(hit)
    assert pointing_game(torch.tensor([values]).float(), MASK).item() == hit
    turned = torch.tensor([values]).float().flip(1, 2)
    assert pointing_game(turned, MASK.flip(1, 2)).item() == hit


def test_pointing_at_windows_of_equal_values():
    """As occlusion gives them: a 2 x 3 window shares the largest value; two of its six pixels touch the object."""
    maps, masks = torch.zeros(1, 6, 6), torch.zeros(1, 6, 6, dtype=torch.bool)
    maps[0, 1:3, 1:4], masks[0, 2:5, 2:5] = 0.25, True
    assert pointing_game(maps, masks).item() == pytest.approx(2 / 6)
    # One pixel further, straight up and to the left: of the window's upper row the same two, and the first of its lower row.
    assert pointing_game(maps, masks, tolerance=1).item() == pytest.approx(5 / 6)


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
    tied = replacement_curve(score, start, end, torch.zeros(1, 2, 2), steps=4)      # in any order, but each pixel once
    assert sorted((tied[0, :-1] - tied[0, 1:]).tolist()) == [1, 2, 3, 4] and tied[0, -1] == 0
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


def test_maps_of_several_methods_are_measured_as_each_by_itself(images):
    g, calls = torch.Generator().manual_seed(3), []
    maps = torch.rand(3, len(images), *images.shape[2:], generator=g)
    masks = torch.rand(maps.shape[1:], generator=g) > 0.5

    def score(x):
        calls.append(len(x))
        return x.mean((1, 2, 3))
    for measure in (lambda m: pointing_game(m, masks), lambda m: mass_inside(m, masks), lambda m: rank_correlation(m, m.flip(-1)),
                    lambda m: deletion(score, images, m, steps=3), lambda m: insertion(score, images, m, steps=3)):
        together = measure(maps)
        assert together.shape == maps.shape[:2] and torch.equal(together, torch.stack([measure(m) for m in maps]))
    calls.clear()
    replacement_curve(score, images, torch.zeros_like(images), maps, steps=3)
    assert len(calls) == 2 + 3 * 2                      # both ends once, and two in between for each method


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
        (torch.rand(1, 2, 2), MASK.float(), TypeError, "as masks.*> 0.5"),
        (torch.rand(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool), ValueError, r"images \[0\] have no pixel"),
        (torch.rand(2, 2), MASK, ValueError, r"Try map\[None\]"),
        (torch.rand(1, 2, 2) / 0, MASK, ValueError, "not a number"),
        (None, MASK, ValueError, "Got None as maps"),
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


def numbers(x):
    """A linear score: the sum of the red pixels, each times its place as it is read, from 1."""
    red = x[:, 0].flatten(1)
    return (red * torch.arange(1.0, red.shape[1] + 1)).sum(1)


def test_deletion_and_insertion_by_hand():
    """White pixels of worth 1, 2, 3, 4; a white image that is blurred stays white."""
    white = torch.ones(1, 3, 2, 2)
    maps = torch.tensor([[[1.0, 4.0], [3.0, 2.0]]])      # goes in the order 2, 3, 4, 1
    assert deletion(numbers, white, maps, steps=4, baseline=0.0).item() == pytest.approx((10 / 2 + 8 + 5 + 1 + 0 / 2) / 4)
    assert deletion(numbers, white, maps, steps=2, baseline=0.0).item() == pytest.approx((10 / 2 + 5 + 0 / 2) / 2)
    assert deletion(numbers, white, maps, steps=4).item() == pytest.approx((10 / 2 + 9 + 7.5 + 5.5 + 5 / 2) / 4)      # to grey
    assert insertion(numbers, white, maps, steps=4).item() == pytest.approx(10)


def test_one_step_is_the_mean_of_both_ends(images):
    maps = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    grey, blurred = total(torch.full_like(images, 0.5)), total(gaussian_blur(images, 5).clamp(0, 1))
    torch.testing.assert_close(deletion(total, images, maps, steps=1), (total(images) + grey) / 2)
    torch.testing.assert_close(insertion(total, images, maps, steps=1), (total(images) + blurred) / 2)
    assert replacement_curve(total, images, 1 - images, maps, steps=1).shape == (3, 2)


def test_the_curve_runs_from_one_image_to_the_other(images):
    maps, end = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)), images.flip(0)
    curve = replacement_curve(total, images, end, maps, steps=5)
    assert torch.equal(curve[:, 0], total(images)) and torch.equal(curve[:, -1], total(end))
    counts = replacement_curve(total, torch.zeros_like(images), torch.ones_like(images), maps, steps=5) * 64 * 64
    assert counts.round().tolist() == [[0, 819, 1638, 2458, 3277, 4096]] * 3      # in equal steps, to the pixel


def test_more_steps_than_pixels():
    white, black, maps = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), -torch.arange(4.0).view(1, 2, 2)
    curve = replacement_curve(numbers, white, black, maps, steps=8)[0].tolist()
    assert curve[::2] == [10, 9, 7, 4, 0] and set(curve) == {10, 9, 7, 4, 0}


@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (2, 2)])
def test_equal_values_go_by_chance_after_larger_ones(shape):
    maps = torch.tensor([0.0, 1.0, -0.0, 1.0]).view(1, *shape)      # pixels 2 and 4 in some order, then 1 and 3
    white, black = torch.ones(1, 3, *shape), torch.zeros(1, 3, *shape)
    curve = replacement_curve(numbers, white, black, maps, steps=4)[0]
    falls = (curve[:-1] - curve[1:]).tolist()
    assert curve[0] == 10 and sorted(falls[:2]) == [2, 4] and sorted(falls[2:]) == [1, 3]
    assert torch.equal(replacement_curve(numbers, white, black, maps, steps=4)[0], curve)       # the same chance each time


def test_only_the_order_of_a_map_counts(images):
    maps = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    for measure in (deletion, insertion):
        torch.testing.assert_close(measure(total, images, maps), measure(total, images, (3 * maps).exp() - 5))


@pytest.mark.parametrize("curve, height", [([[0, 1]], 0.5), ([[2, 2, 2, 2]], 2), ([[1, 0, 0]], 0.25), ([[0, 4, 0]], 2), ([[-1, 1]], 0)])
def test_area_by_hand(curve, height):
    assert area(torch.tensor(curve).float()).tolist() == [height]


def test_the_largest_value_against_a_numpy_loop():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(-3, 4, (40, 5, 7), generator=generator).float()      # many ties
    masks = torch.rand(40, 5, 7, generator=generator) > 0.9
    masks[:, 4, 6] = True
    for tolerance in (0, 1, 1.5, 3):
        expected = []
        for m, mask in zip(maps.numpy(), masks.numpy(), strict=True):
            hits = [min(np.hypot(i - row, j - column) for i, j in np.argwhere(mask)) <= tolerance
                    for row, column in np.argwhere(m == m.max())]
            expected.append(np.mean(hits))
        torch.testing.assert_close(pointing_game(maps, masks, tolerance=tolerance), torch.tensor(expected).float())
        assert 0 < sum(expected) < 40 and any(0 < e < 1 for e in expected)


def test_mass_against_a_numpy_loop():
    generator = torch.Generator().manual_seed(0)
    maps, masks = torch.randn(9, 5, 7, generator=generator), torch.rand(9, 5, 7, generator=generator) > 0.5
    expected = [sum(v for v in m[k] if v > 0) / sum(v for v in m.flatten() if v > 0)
                for m, k in zip(maps.numpy(), masks.numpy(), strict=True)]
    torch.testing.assert_close(mass_inside(maps, masks), torch.tensor(np.array(expected)).float())


def test_zero_maps():
    assert mass_inside(torch.zeros(1, 2, 2), MASK).item() == 0
    corner = torch.tensor([[[True, False], [False, False]]])
    assert pointing_game(torch.zeros(1, 2, 2), corner).item() == pytest.approx(1 / 4)       # the object's share of the image
    assert pointing_game(torch.zeros(1, 2, 2), ~corner).item() == pytest.approx(3 / 4)


def test_a_map_that_says_nothing_does_what_chance_does(images):
    """The score is the light of the upper half: in the order of reading, it would all go first."""
    def upper(x):
        return x[:, :, :32].mean((1, 2, 3))

    white = torch.ones_like(images)
    curve = replacement_curve(upper, white, 0 * white, torch.zeros(len(images), 64, 64), steps=4)
    torch.testing.assert_close(curve[0], torch.tensor([1, 0.75, 0.5, 0.25, 0]), rtol=0, atol=0.03)


def test_all_on_the_object_and_nothing():
    assert mass_inside(MASK.float(), MASK).item() == 1 and mass_inside(MASK.float(), ~MASK).item() == 0
    everywhere = torch.ones_like(MASK)
    assert mass_inside(torch.rand(1, 2, 2), everywhere).item() == pytest.approx(1) and pointing_game(-MASK.float(), everywhere).item() == 1


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_one_bad_value_is_enough(images, bad):
    maps, masks = torch.rand(3, 64, 64), torch.ones(3, 64, 64, dtype=torch.bool)
    maps[2, 5, 7] = bad
    for measure in (lambda: pointing_game(maps, masks), lambda: mass_inside(maps, masks), lambda: deletion(total, images, maps),
                    lambda: insertion(total, images, maps), lambda: replacement_curve(total, images, images, maps)):
        with pytest.raises(ValueError, match="infinite or not a number"):
            measure()


def test_which_masks_are_empty():
    masks = torch.ones(4, 2, 2, dtype=torch.bool)
    masks[[1, 3]] = False
    for measure in (pointing_game, mass_inside):
        with pytest.raises(ValueError, match=r"images \[1, 3\] have no pixel"):
            measure(torch.rand(4, 2, 2), masks)


@pytest.mark.parametrize("start, end, says", [
    (torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 5), "expected the same shape"),
    (torch.rand(1, 3, 4, 4), torch.rand(2, 3, 4, 4), "expected the same shape"),
    (torch.rand(1, 3, 4, 4) + 1, torch.rand(1, 3, 4, 4), r"expected \[0, 1\]"),
    (torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4) - 1, r"expected \[0, 1\]"),
])
def test_images_that_do_not_fit_are_refused(start, end, says):
    with pytest.raises(ValueError, match=says):
        replacement_curve(total, start, end, torch.rand(1, 4, 4))


@pytest.mark.parametrize("measure", [deletion, insertion])
def test_a_score_of_another_shape_is_refused(measure, images):
    with pytest.raises(ValueError, match=r"one number per image, shape \(3,\)"):
        measure(lambda x: x.mean((2, 3)), images, torch.rand(3, 64, 64))


def test_arguments_out_of_range(images):
    with pytest.raises(ValueError, match=r"expected \[0, 1\]"):
        deletion(total, images, torch.rand(3, 64, 64), baseline=1.5)
    with pytest.raises(ValueError, match="as sigma in pixels; expected a number of more than 0"):
        insertion(total, images, torch.rand(3, 64, 64), sigma=0)


def test_nothing_is_changed_by_the_curve_or_by_a_score_that_works_in_place(random_net, images, unchanged):
    maps, end, masks = torch.rand(3, 64, 64), images.flip(0), torch.rand(3, 64, 64) > 0.5

    def fails(x):
        x.zero_()
        raise RuntimeError("no score")

    curve = torch.rand(3, 5)
    with unchanged(random_net, images, end, maps, masks, curve):
        area(curve), pointing_game(maps, masks, tolerance=3), mass_inside(maps, masks)
        for measure in (lambda s: replacement_curve(s, images, end, maps, steps=2), lambda s: deletion(s, images, maps, steps=2),
                        lambda s: insertion(s, images, maps, steps=2)):
            assert not measure(lambda x: random_net(x.sub_(0.1).abs_())[:, 0]).requires_grad
            with pytest.raises(RuntimeError, match="no score"):
                measure(fails)


@pytest.mark.parametrize("maps, share", [(torch.full((1, 2, 2), 1e-35), 0.5), (torch.zeros(1, 2, 2).half(), 0),
                                         (torch.eye(2)[None] * torch.tensor([[[1e-9, 0], [0, 0]]]), 1)])
def test_mass_of_very_small_maps(maps, share):
    """Gradients of a probability are this small where the network is sure."""
    assert mass_inside(maps, MASK).item() == pytest.approx(share)


@pytest.mark.parametrize("tolerance", [-2, float("nan")])
def test_a_tolerance_is_not_negative(tolerance):
    with pytest.raises(ValueError):
        pointing_game(torch.ones(1, 2, 2), MASK, tolerance=tolerance)


def test_infinitely_many_steps(images):
    with pytest.raises(ValueError, match="whole number"):
        deletion(total, images, torch.rand(3, 64, 64), steps=float("inf"))


@pytest.mark.parametrize("masks", [MASK.tolist(), MASK.numpy()])
def test_masks_that_are_no_tensor(masks):
    with pytest.raises((TypeError, ValueError), match="list|array"):
        pointing_game(torch.ones(1, 2, 2), masks)


def test_iou_by_hand():
    a = torch.tensor([[[1, 1], [0, 0]], [[1, 0], [0, 0]], [[0, 0], [0, 0]], [[1, 1], [1, 1]], [[0, 1], [0, 0]]]).bool()
    b = torch.tensor([[[1, 0], [1, 0]], [[0, 1], [0, 0]], [[0, 0], [0, 0]], [[1, 1], [1, 1]], [[0, 0], [0, 0]]]).bool()
    assert mask_iou(a, b).tolist() == pytest.approx([1 / 3, 0, 1, 1, 0])
    torch.testing.assert_close(mask_iou(a, b), mask_iou(b, a))


@pytest.mark.parametrize("a, b, error", [
    (torch.ones(1, 2, 2), torch.ones(1, 2, 2).bool(), TypeError), (torch.ones(2, 2).bool(), torch.ones(2, 2).bool(), TypeError),
    (torch.ones(1, 2, 2).bool(), torch.ones(1, 2, 3).bool(), ValueError), ([[True]], torch.ones(1, 1, 1).bool(), TypeError),
])
def test_masks_that_cannot_be_compared(a, b, error):
    with pytest.raises(error, match="expected"):
        mask_iou(a, b)


def test_rank_correlation_by_hand_and_scipys():
    a = torch.tensor([[[1.0, 2], [3, 4]]])
    assert rank_correlation(a, a.exp()).tolist() == pytest.approx([1])
    assert rank_correlation(a, -a).tolist() == pytest.approx([-1])
    assert rank_correlation(a, torch.tensor([[[1.0, 3], [2, 4]]])).tolist() == pytest.approx([0.8])
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randint(0, 5, (4, 6, 6), generator=generator).float() for _ in range(2))     # many ties
    expected = [spearmanr(p.flatten().numpy(), q.flatten().numpy()).statistic for p, q in zip(x, y, strict=True)]
    assert rank_correlation(x, y).tolist() == pytest.approx(expected, abs=1e-6)
    assert rank_correlation(torch.ones(1, 2, 2), a).isnan().all()
    with pytest.raises(ValueError, match="expected the same shape"):
        rank_correlation(x, y[:1])


def test_shuffled_layers_keep_their_numbers_and_the_others_their_places(random_net, images, unchanged):
    with unchanged(random_net, images):
        copy = randomize_layers(random_net, ["fc8", "conv5"], seed=1)
    before, after = random_net.state_dict(), copy.state_dict()
    for name in before:
        if name.startswith(("fc8", "conv5")):
            assert torch.equal(before[name].flatten().sort().values, after[name].flatten().sort().values)
            assert not torch.equal(before[name], after[name])
        else:
            assert torch.equal(before[name], after[name])
    assert torch.equal(activations(copy, images, "relu4")["relu4"], activations(random_net, images, "relu4")["relu4"])
    assert not torch.allclose(copy(images), random_net(images))
    assert torch.equal(randomize_layers(random_net, "fc8")(images), randomize_layers(random_net, ["fc8"])(images))
    assert not any(p.requires_grad for p in copy.parameters()) and not copy.training


def test_layers_that_cannot_be_shuffled(random_net):
    with pytest.raises(KeyError, match="Did you mean 'conv5'"):
        randomize_layers(random_net, "conv55")
    with pytest.raises(ValueError, match="no weights"):
        randomize_layers(random_net, ["relu5"])


# ---- bootstrap ----

def test_bootstrap_written_out():
    """Other samples are drawn here: the ends of both intervals agree to a small share of their width."""
    values = torch.rand(60, generator=torch.Generator().manual_seed(0)) ** 2
    low, high = bootstrap(values, resamples=20_000)
    means = values[torch.randint(60, (20_000, 60), generator=torch.Generator().manual_seed(1))].mean(1)
    assert abs(low - means.quantile(0.025)) < 0.03 * (high - low) and abs(high - means.quantile(0.975)) < 0.03 * (high - low)


def test_bootstrap_of_rows_is_that_of_each_row_and_repeats():
    values = torch.randn(3, 2, 40, generator=torch.Generator().manual_seed(0))
    low, high = bootstrap(values)
    assert low.shape == high.shape == (3, 2) and (low < values.mean(-1)).all() and (values.mean(-1) < high).all()
    one = bootstrap(values[1, 1])
    torch.testing.assert_close(torch.stack(one), torch.stack([low[1, 1], high[1, 1]]))
    assert torch.equal(bootstrap(values)[0], low) and not torch.equal(bootstrap(values, seed=1)[0], low)


def test_bootstrap_by_hand():
    assert [x.item() for x in bootstrap(torch.ones(5))] == [1, 1]
    low, high = bootstrap(torch.tensor([0, 1]), level=0.4)      # means 0, 1/2, 1 with chances 1/4, 1/2, 1/4
    assert (low.item(), high.item()) == (0.5, 0.5)
    low, high = bootstrap(torch.tensor([0, 1]), level=0.9)
    assert (low.item(), high.item()) == (0, 1)
    low, high = bootstrap(torch.tensor([False, True]), level=0.9, resamples=100)
    assert (low.item(), high.item()) == (0, 1)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    draws = torch.randn(400, 50, generator=torch.Generator().manual_seed(0))        # the true mean is 0
    low, high = bootstrap(draws, level=0.9, resamples=400)
    assert 0.84 < ((low < 0) & (0 < high)).float().mean() < 0.94


@pytest.mark.parametrize("values, how", [(torch.tensor(1.0), {}), (torch.ones(1), {}), (torch.tensor([1.0, float("nan")]), {}),
                                         (torch.ones(4), {"level": 1.0}), (torch.ones(4), {"resamples": 99})])
def test_bootstrap_refuses(values, how):
    with pytest.raises(ValueError, match="expected"):
        bootstrap(values, **how)
