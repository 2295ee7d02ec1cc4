import pytest
import torch

from helpers.baselines import center_prior, color_contrast, high_pass


def test_the_center_prior_peaks_at_the_center():
    maps = center_prior(torch.rand(2, 3, 9, 5))
    assert maps.shape == (2, 9, 5)
    assert maps[0].argmax() == 4 * 5 + 2 and maps[0, 4, 2] == 1
    assert maps.equal(maps.flip(1)) and maps.equal(maps.flip(2))


def test_contrast_and_detail_by_hand():
    x = torch.full((1, 3, 8, 8), 0.25)
    x[0, 2, 4, 4] = 0.89                # the mean of blue is 0.26
    assert color_contrast(x)[0, 4, 4].item() == pytest.approx(0.63)
    assert color_contrast(x)[0, 0, 0].item() == pytest.approx(0.01)
    assert high_pass(x, 1.0)[0].argmax() == 4 * 8 + 4
    assert high_pass(torch.full((1, 3, 8, 8), 0.4)).max() < 1e-6


def test_nothing_is_changed_and_bytes_are_refused(random_net, images, unchanged):
    with unchanged(random_net, images):
        center_prior(images)
        for baseline in (color_contrast, high_pass):
            baseline(images)
            with pytest.raises(ValueError, match="pixels"):
                baseline(images * 255)
