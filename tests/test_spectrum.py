"""What the waves tell: shares by hand, and lattices that were put in."""

import math

import numpy as np
import pytest
import torch
from scipy.signal.windows import hann

from helpers.images import photos
from helpers.spectrum import fine_share, lattice, power


def wave(period, size=96):
    """A vertical grating, (1,3,size,size)."""
    return (0.5 + 0.25 * torch.cos(2 * torch.pi * torch.arange(size) / period)).expand(1, 3, size, size).contiguous()


def test_a_grating_is_where_its_frequency_is():
    strength = power(wave(8))[0]
    assert strength.argmax() in (96 // 8, 96 - 96 // 8) and strength.shape == (96, 96)


@pytest.mark.parametrize("period, share", [(2.5, 1.0), (8, 0.0)])
def test_the_share_of_fine_waves(period, share):
    assert fine_share(wave(period)).item() == pytest.approx(share, abs=1e-3)
    assert fine_share(torch.cat([wave(period), wave(8)])).shape == (2,)
    both = 0.5 * (wave(2.5) + wave(8))          # two gratings of one strength
    assert fine_share(both).item() == pytest.approx(0.5, abs=1e-2)


def test_photographs_have_no_lattice_and_one_that_is_put_in_is_found():
    album = torch.cat([p.load((120, 180)) for name, p in photos().items() if name != "hubble"])
    assert lattice(album) < 3
    for period in (2, 3, 4):
        dots = torch.zeros(120, 180)
        dots[::period, ::period] = 1
        assert lattice((0.9 * album + 0.06 * dots).clamp(0, 1)) > 3 * lattice(album), period


def test_an_edge_is_no_lattice():
    """A straight edge makes a line through the spectrum, which passes through the waves of every lattice."""
    picture = torch.rand(4, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.2
    picture[..., 40:] += 0.6
    assert lattice(picture) < 3


def test_one_grating_of_four_pixels_is_a_peak():
    noise = 0.05 * torch.rand(4, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    assert lattice(noise) < 3 < 20 < lattice(noise + 0.1 * wave(4))


def strength_by_numpy(picture):
    """(3,h,w) -> (h,w): its waves with SciPy's window, a colour at a time."""
    h, w = picture.shape[1:]
    window = np.outer(hann(h), hann(w))
    return sum(abs(np.fft.fft2((colour - colour.mean()) * window)) ** 2 for colour in picture.double().numpy())


@pytest.mark.parametrize("seed", range(6))
def test_the_highest_peak_is_that_of_plain_loops(seed):
    x = torch.rand(2, 3, 49, 63, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 8.0]).view(2, 1, 1, 1)
    whole = [strength_by_numpy(picture[:, :48, :60]) for picture in x]      # 48 and 60 are multiples of 12
    mean = sum(strength / strength.sum() for strength in whole)
    around = lambda i, j, rows, columns: np.mean([mean[(i + a) % 48, (j + b) % 60] for a in rows for b in columns])
    near, far, peaks = (-1, 0, 1), [d for d in range(-8, 9) if abs(d) > 2], []
    for i, j in {(48 * a // p, 60 * b // p) for p in (2, 3, 4) for a in range(p) for b in range(p)} - {(0, 0)}:
        peaks.append(around(i, j, near, near) / max(around(i, j, far, near), around(i, j, near, far)))
    assert len(peaks) == 3 + 8 + 15 - 3 and lattice(x) == pytest.approx(max(peaks), rel=1e-4)
    assert lattice(x / 1000) == pytest.approx(max(peaks), rel=1e-4)         # however weak the waves


def test_the_fine_share_is_that_of_plain_loops():
    x = torch.rand(1, 3, 49, 63, generator=torch.Generator().manual_seed(0))
    strength = strength_by_numpy(x[0])
    fine = [strength[i, j] for i in range(49) for j in range(63) if math.hypot(min(i, 49 - i) / 49, min(j, 63 - j) / 63) > 1 / 3]
    assert fine_share(x).item() == pytest.approx(sum(fine) / strength.sum(), rel=1e-4)
    torch.testing.assert_close(fine_share(x / 1000), fine_share(x))


def test_it_refuses_small_pictures_and_no_pictures():
    with pytest.raises(ValueError, match="40 x 90 pixels; expected at least 48"):
        lattice(torch.rand(1, 3, 40, 90))
    with pytest.raises(ValueError, match=r"x\[None\]"):
        fine_share(torch.rand(3, 50, 50))
