import math
from itertools import product

import numpy as np
import pytest
import torch

from helpers.optimization import descend, last
from helpers.parametrization import (
    OPPONENT,
    OPPONENT_STD,
    FourierImage,
    MacoImage,
    PixelImage,
    from_spectrum,
    mean_magnitude,
    to_spectrum,
)
from helpers.photos import photos


def rand(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def adam(p):
    return torch.optim.Adam(p, lr=0.3)


@pytest.mark.parametrize("make", [
    lambda g: PixelImage.noise(6, 7, batch=2, generator=g),
    lambda g: FourierImage.noise(6, 7, batch=2, generator=g),
    lambda g: MacoImage.noise(torch.ones(3, 6, 4), batch=2, generator=g),
])
def test_noise_repeats_by_its_generator(make):
    state = torch.get_rng_state()
    g = torch.Generator().manual_seed(0)
    first, second = make(g)(), make(g)()
    again, default = make(torch.Generator().manual_seed(0))(), make(None)()
    assert first.shape[:3] == (2, 3, 6) and 0 <= first.min() and first.max() <= 1
    assert torch.equal(first, again) and torch.equal(first, default)
    assert not torch.equal(first, second) and torch.equal(state, torch.get_rng_state())


def test_pixels_are_a_copy_and_noise_has_its_sigma():
    start = rand(1, 3, 4, 4)
    image = PixelImage(start)
    image.pixels.data += 1
    assert torch.equal(start, rand(1, 3, 4, 4))
    noise = PixelImage.noise(64, 64, sigma=0.05)()
    assert noise.mean().item() == pytest.approx(0.5, abs=2e-3)
    assert noise.std().item() == pytest.approx(0.05, abs=2e-3)


def test_wrong_starts():
    for make in (PixelImage, FourierImage, mean_magnitude):
        for start in (255 * rand(1, 3, 4, 4), rand(1, 1, 4, 4)):
            with pytest.raises(ValueError, match="expected"):
                make(start)


def test_the_spectrum_is_numpys():
    x = 0.1 + 0.8 * rand(2, 3, 6, 7)
    colors = np.array([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / np.sqrt([[3], [2], [6]])
    planes = np.einsum("kc,bchw->bkhw", colors, x.logit().double().numpy())
    expected = np.fft.rfft2(planes, norm="ortho")
    np.testing.assert_allclose(to_spectrum(x).numpy(), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(OPPONENT @ OPPONENT.T, torch.eye(3))


def test_spectrum_and_fourier_image_give_the_start_back():
    for shape in ((2, 3, 8, 8), (1, 3, 7, 9), (1, 3, 9, 12), (1, 3, 1, 5)):
        x = 0.05 + 0.9 * rand(*shape)
        torch.testing.assert_close(from_spectrum(to_spectrum(x), OPPONENT, shape[2:]), x)
        torch.testing.assert_close(FourierImage(x)(), x, rtol=1e-4, atol=1e-4)
    white = torch.ones(1, 3, 4, 4)
    torch.testing.assert_close(FourierImage(white)(), 0.99 * white)


def test_one_frequency_by_hand():
    """The lowest frequency along the width, in brightness, is a cosine in all colors and rows."""
    image = FourierImage.noise(8, 8, sigma=0.0)
    torch.testing.assert_close(image(), torch.full((1, 3, 8, 8), 0.5))
    image.spectrum.data[0, 0, 0, 1, 0] = 0.1
    z = image().logit()
    wave = torch.cos(2 * torch.pi * torch.arange(8) / 8)
    torch.testing.assert_close(z / z.max(), wave.expand_as(z), rtol=1e-4, atol=1e-4)


def test_low_frequencies_are_stronger():
    z = FourierImage.noise(64, 64)().logit()
    power = torch.fft.rfft2(z).abs().square().mean((0, 1))
    assert power[0, 1:4].mean() > 20 * power[0, 20:30].mean()


def test_the_channels_vary_as_in_color_photographs():
    names = ("cat", "espresso", "astronaut", "rocket", "temple", "dahlia", "hopper")
    album = torch.cat([photos()[name].load(128) for name in names])
    logits = album.clamp(0.01, 0.99).logit()
    std = torch.einsum("kc,bchw->kbhw", OPPONENT, logits).flatten(1).square().mean(1).sqrt()
    torch.testing.assert_close(OPPONENT_STD, std / std[0], rtol=0.15, atol=0)


def test_mean_magnitude_is_that_of_a_loop():
    photographs = rand(3, 3, 5, 8)
    strength, found = to_spectrum(photographs).abs().mean(0), mean_magnitude(photographs)
    ring = lambda i, j: round(math.hypot(min(i, 5 - i) / 5, j / 8) * 8)
    positions = list(product(range(5), range(5)))
    for i, j in positions:
        alike = [strength[:, m, n] for m, n in positions if ring(m, n) == ring(i, j)]
        expected = torch.stack(alike).mean(0) if ring(i, j) else torch.zeros(3)
        torch.testing.assert_close(found[:, i, j], expected)


def test_maco_keeps_its_magnitudes():
    magnitude = mean_magnitude(0.1 + 0.8 * rand(3, 3, 12, 16))
    image = MacoImage.noise(magnitude, batch=2)
    before = image().detach()
    x = last(descend(image, lambda x: (x - 0.7).square().sum(), steps=5, optimizer=adam)).image
    assert (x - 0.7).square().sum() < 0.9 * (before - 0.7).square().sum()
    logits = torch.einsum("kc,bchw->bkhw", OPPONENT, x.logit())
    found = torch.fft.rfft2(logits, norm="ortho").abs()
    # The first and last column mirror themselves: a real image cannot have just any phase there.
    torch.testing.assert_close(found[..., 1:-1], magnitude.expand_as(found)[..., 1:-1],
                               rtol=0, atol=1e-4)
