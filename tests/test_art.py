"""The drawn styles: sizes, seeds, and that each is a picture of its own."""

import random

import numpy as np
import pytest
import torch

from helpers.art import STYLES, cells, draw_style, noise


@pytest.mark.parametrize("name", STYLES)
def test_a_picture_of_the_size_asked_for(name):
    picture = draw_style(name, (48, 80))
    assert picture.shape == (1, 3, 48, 80) and picture.dtype == torch.float32
    assert picture.min() >= 0 and picture.max() <= 1 and picture.std() > 0.12
    assert draw_style(name, 33).shape == (1, 3, 33, 33) and draw_style(name, 1).shape == (1, 3, 1, 1)


@pytest.mark.parametrize("name", STYLES)
def test_the_same_seed_draws_the_same(name):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    first, again, other = draw_style(name, 64), draw_style(name, 64), draw_style(name, 64, seed=1)
    assert torch.equal(first, again) and (first - other).abs().mean() > 0.002
    assert torch.equal(torch.random.get_rng_state(), before[0]) and random.getstate() == before[2]
    assert (np.random.get_state()[1] == before[1]).all()


def test_no_two_styles_have_the_same_colours():
    """Distance of the histograms of colour, 4 levels a channel: 0 for the same, 2 for none in common."""
    def histogram(picture):
        level = (picture[0] * 3.999).long()
        return torch.bincount((level[0] * 16 + level[1] * 4 + level[2]).flatten(), minlength=64) / level[0].numel()
    found = [histogram(draw_style(name, 128)) for name in STYLES]
    for i, one in enumerate(found):
        for other in found[:i]:
            assert (one - other).abs().sum() > 0.5


def test_woodcut_is_black_on_cream():
    x = draw_style("woodcut", 96)
    assert (x.amax(1) - x.amin(1)).max() < 0.15 and x.min() < 0.12 and x.max() > 0.8


def test_a_noise_of_the_scale_asked_for():
    for scale in (3, 30):
        field = noise(np.random.default_rng(0), (200, 300), scale)
        assert field.shape == (200, 300) and abs(field.mean()) < 1e-4 and abs(field.std() - 1) < 1e-4
    fine, wide = (np.abs(np.diff(noise(np.random.default_rng(0), (200, 300), scale))).mean() for scale in (3, 30))
    assert fine > 4 * wide


def test_cells_are_those_of_the_nearest_centre():
    index, border, centres = cells(np.random.default_rng(0), (30, 40), 10)
    for y, x in [(0, 0), (29, 39), (12, 25)]:
        distance = np.hypot(*(centres - (y, x)).T)
        assert distance.argmin() == index[y, x]
        first, second = np.sort(distance)[:2]
        assert border[y, x] == pytest.approx((second - first) / 2)


def test_an_unknown_style_and_size():
    with pytest.raises(KeyError, match="mosaic"):
        draw_style("mosaik")
    with pytest.raises(ValueError, match="expected whole pixels"):
        draw_style("mosaic", 0)
