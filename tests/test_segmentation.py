import cv2
import pytest
import torch

from helpers.evaluation import mask_iou
from helpers.segmentation import grabcut, largest_part, seeds


@pytest.fixture
def disc():
    """A red disc on blue, with a little noise, and its mask; a map that is right, but blurred."""
    i, j = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    far = ((i - 20) ** 2 + (j - 26) ** 2).sqrt()
    mask = (far < 10)[None]
    image = torch.where(mask[:, None], torch.tensor([0.8, 0.2, 0.1])[:, None, None], torch.tensor([0.1, 0.2, 0.8])[:, None, None])
    noise = 0.05 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return (image + noise).clamp(0, 1), torch.exp(-(far / 12) ** 2)[None], mask


def test_a_disc_is_cut_out(disc):
    image, saliency_map, mask = disc
    found = grabcut(image, saliency_map)
    assert found.shape == mask.shape and found.dtype == torch.bool
    assert (found != mask).sum() <= 3


def test_the_same_again_and_nothing_is_changed(disc):
    image, saliency_map, _ = disc
    before, state = (image.clone(), saliency_map.clone()), torch.get_rng_state()
    assert torch.equal(grabcut(image, saliency_map), grabcut(image, saliency_map))
    assert torch.equal(image, before[0]) and torch.equal(saliency_map, before[1]) and torch.equal(state, torch.get_rng_state())


def test_seeds_by_hand():
    ranks = torch.arange(100.0).view(1, 10, 10)
    found = seeds(ranks, foreground=0.95, background=0.3)
    assert (found == 1).sum() == 5 and (found[0].flatten()[-5:] == 1).all()
    assert (found == -1).sum() == 30 and (found[0].flatten()[:30] == -1).all()


def test_seeds_keep_their_side(disc):
    image, saliency_map, _ = disc
    sure, found = seeds(saliency_map), grabcut(image, saliency_map)
    assert not found[sure == -1].any()
    assert found[sure == 1].all()


def test_the_largest_part_alone_stays():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, :2, :2] = True
    mask[0, 4:8, 4:8] = True
    mask[0, 3, 3] = True                # touches the second at a corner
    kept = largest_part(mask)
    assert kept.sum() == 17 and not kept[0, :2, :2].any() and kept[0, 3, 3]
    assert not largest_part(torch.zeros_like(mask)).any()


def test_a_flat_map_has_no_seeds_and_says_so(disc):
    image, saliency_map, _ = disc
    with pytest.warns(UserWarning, match="fewer than 10 pixels"):
        mask = grabcut(image, torch.ones_like(saliency_map))
    assert mask.shape == saliency_map.shape and mask.dtype == torch.bool and not mask.any()


def test_of_equally_low_pixels_all_are_ground(disc):
    """Grad-CAM is zero over half of a picture: no quantile lies below that, and without seeds of the ground nothing can be cut."""
    image, saliency_map, mask = disc
    half = (saliency_map - saliency_map.quantile(0.6)).clamp(min=0)
    assert (seeds(half) == -1).float().mean() == pytest.approx(0.6, abs=0.01)
    assert (seeds(half) == 1).equal(seeds(saliency_map) == 1)
    assert mask_iou(grabcut(image, half), mask) > 0.8


def test_one_colour_everywhere_gives_a_mask_and_no_error_of_opencv(disc):
    _, saliency_map, _ = disc
    mask = grabcut(torch.full((1, 3, 48, 48), 0.5), saliency_map)
    assert mask.dtype == torch.bool and mask.shape == saliency_map.shape


def test_where_opencv_gives_up_the_map_decides(disc, monkeypatch):
    """Some of its versions refuse colours that are all alike."""
    image, saliency_map, _ = disc

    def refuse(*args):
        raise cv2.error("no two colours")
    monkeypatch.setattr(cv2, "grabCut", refuse)
    with pytest.warns(UserWarning, match="all alike"):
        mask = grabcut(image, saliency_map)
    assert torch.equal(mask, saliency_map > saliency_map.quantile(0.95))


@pytest.mark.parametrize("few, how", [("object", {"background": 0.3, "foreground": 1 - 9.5 / 2304}),
                                      ("ground", {"background": 9.5 / 2304, "foreground": 0.9})])
def test_ten_pixels_of_each_kind_are_needed(disc, few, how):
    """Of 48 x 48 pixels with different values, nine or ten are sure."""
    image, saliency_map, mask = disc
    apart = saliency_map + 1e-4 * torch.rand(1, 48, 48, generator=torch.Generator().manual_seed(0))
    side = 1 if few == "object" else -1
    assert (seeds(apart, **how) == side).sum() == 10
    assert mask_iou(grabcut(image, apart, **how, unknown="object" if few == "ground" else "ground"), mask) > 0      # and no warning
    moved = {"foreground": 1 - 8.5 / 2304} if few == "object" else {"background": 8.5 / 2304}
    assert (seeds(apart, **how | moved) == side).sum() == 9
    with pytest.warns(UserWarning, match="fewer than 10 pixels"):
        grabcut(image, apart, **how | moved)


@pytest.mark.parametrize("image, saliency_map, how, says", [
    (torch.rand(1, 3, 8, 8), torch.rand(1, 8, 9), {}, r"expected \(1, 3, h, w\) and \(1, h, w\)"),
    (torch.rand(2, 3, 8, 8), torch.rand(1, 8, 8), {}, r"expected \(1, 3, h, w\) and \(1, h, w\)"),
    (torch.rand(1, 3, 8, 8), torch.rand(2, 8, 8), {}, "expected one map"),
    (torch.rand(1, 3, 8, 8), torch.rand(8, 8), {}, "expected one map"),
    (torch.rand(1, 3, 8, 8), torch.full((1, 8, 8), torch.nan), {}, "not a number"),
    (torch.rand(1, 3, 8, 8), torch.rand(1, 8, 8), {"foreground": 0.2}, "quantiles"),
    (torch.rand(1, 3, 8, 8), torch.rand(1, 8, 8), {"background": 0.0}, "quantiles"),
    (torch.rand(1, 3, 8, 8), torch.rand(1, 8, 8), {"foreground": 1.0}, "quantiles"),
    (torch.rand(1, 3, 8, 8), torch.rand(1, 8, 8), {"iterations": 0}, "iterations"),
    (torch.rand(1, 3, 8, 8) + 1, torch.rand(1, 8, 8), {}, r"expected \[0, 1\]"),
])
def test_what_it_refuses(image, saliency_map, how, says):
    with pytest.raises(ValueError, match=says):
        grabcut(image, saliency_map, **how)


def test_where_the_unknown_starts_decides_on_a_colour_that_has_no_seed(disc):
    """A green ring round the red disc, of which the map is not sure: it stays on the side where it started."""
    image, saliency_map, mask = disc
    i, j = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    far = ((i - 20) ** 2 + (j - 26) ** 2).sqrt()
    ring = ((far >= 10) & (far < 15))[None]
    image = torch.where(ring[:, None], torch.tensor([0.2, 0.7, 0.2])[:, None, None] + 0.1 * (image - 0.5), image).clamp(0, 1)
    ground, whole = (grabcut(image, saliency_map, unknown=start, background=0.5) for start in ("ground", "object"))
    assert ground[ring].float().mean() < 0.1 and whole[ring].float().mean() > 0.9
    with pytest.raises(KeyError, match="Did you mean 'object'"):
        grabcut(image, saliency_map, unknown="objects")


def test_both_quantiles_may_be_the_same():
    found = seeds(torch.arange(16.0).view(1, 4, 4), background=0.5, foreground=0.5)
    assert (found == 1).sum() == (found == -1).sum() == 8
