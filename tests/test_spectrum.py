import numpy as np
import pytest
import torch
from scipy.signal.windows import hann

from helpers.photos import photos
from helpers.spectrum import checkerboard_score, high_frequency_fraction, power_spectrum


def grating(period, size=96):
    wave = torch.cos(2 * torch.pi * torch.arange(size) / period)
    return (0.5 + 0.25 * wave).expand(1, 3, size, size)


def test_the_power_spectrum_equals_numpy(images):
    window = np.outer(hann(64), hann(64))
    centered = (images - images.mean((2, 3), keepdim=True)).numpy()
    expected = (abs(np.fft.fft2(centered * window)) ** 2).sum(1)
    torch.testing.assert_close(power_spectrum(images), torch.from_numpy(expected).float())


def test_the_fraction_of_gratings():
    assert power_spectrum(grating(8))[0].argmax() in (12, 84)
    found = high_frequency_fraction(torch.cat([grating(2.5), grating(8)]))
    assert found.tolist() == pytest.approx([1, 0], abs=1e-3)
    both = (grating(2.5) + grating(8)) / 2
    assert high_frequency_fraction(both).item() == pytest.approx(0.5, abs=0.01)


def test_checkerboards_are_found_and_photographs_have_none():
    album = torch.cat([photos()[name].load(96) for name in ("cat", "espresso", "temple", "dahlia")])
    assert checkerboard_score(album) < 3
    for period in (2, 3, 4):
        dots = torch.zeros(96, 96)
        dots[::period, ::period] = 0.06
        assert checkerboard_score(0.9 * album + dots) > 3 * checkerboard_score(album), period


def test_an_edge_is_no_checkerboard():
    noise = 0.2 * torch.rand(4, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    edge = noise.clone()
    edge[..., 40:] += 0.6
    assert checkerboard_score(edge) < 3
    assert checkerboard_score(noise / 4 + 0.1 * grating(4)) > 20


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="48"):
        checkerboard_score(torch.rand(1, 3, 40, 90))
