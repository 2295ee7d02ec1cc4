import pytest
import torch

from helpers.photos import photos
from helpers.texture import efros_leung, ring_order


def noise(h, w, seed=0):
    return torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(seed))


def plain_loop(source, size, window, seed):
    """Efros & Leung's algorithm pixel by pixel, comparing each window with all of the source."""
    (height, width), (h, w), reach = size, source.shape[2:], window // 2
    generator = torch.Generator().manual_seed(seed)
    top, left = [int(torch.randint(1, side - 1, (), generator=generator)) for side in (h, w)]
    chance = torch.rand(height, width, generator=generator, dtype=torch.float64)
    offset = torch.arange(window, dtype=torch.float64) - reach
    gaussian = torch.exp(-(offset[:, None] ** 2 + offset ** 2) / (2 * (window / 6.4) ** 2))
    windows = source[0].double().unfold(1, window, 1).unfold(2, window, 1).flatten(1, 2)
    canvas = torch.zeros(4, height + 2 * reach, width + 2 * reach, dtype=torch.float64)
    order = [p for groups in ring_order(height, width, reach) for group in groups for p in group]
    for i, j in order:
        around = canvas[:, i:i + window, j:j + window]
        if max(abs(i - height // 2), abs(j - width // 2)) <= 1:
            color = source[0, :, top + i - height // 2, left + j - width // 2]
        else:
            weight = gaussian * around[0]
            distance = (weight * (windows - around[1:, None]) ** 2).sum((0, 2, 3)) / weight.sum()
            close = (distance <= 1.1 * distance.min() + 1e-4).nonzero()[:, 0]
            color = windows[:, close[int(chance[i, j] * len(close))], reach, reach]
        canvas[0, i + reach, j + reach] = 1
        canvas[1:, i + reach, j + reach] = color
    return canvas[None, 1:, reach:reach + height, reach:reach + width].float()


@pytest.mark.parametrize("window, size", [(3, (11, 11)), (5, (14, 8)), (9, (9, 13)), (11, (9, 9))])
def test_equals_the_plain_loop(window, size):
    photograph = photos()["dahlia"].load(64)[..., 20:36, 24:40]
    for source in (noise(12, 12), noise(11, 17), photograph):
        found = efros_leung(source, size=size, window=window, seed=window)
        assert torch.equal(found, plain_loop(source, size, window, seed=window))


def test_pixels_filled_at_once_are_outside_each_others_windows():
    for height, width, reach in ((20, 13, 2), (9, 24, 5), (1, 9, 1), (2, 2, 1)):
        rings = list(ring_order(height, width, reach))
        pixels = [p for groups in rings for group in groups for p in group]
        assert len(pixels) == len(set(pixels)) == height * width
        for groups in rings[1:]:
            for group in groups:
                i, j = torch.tensor(group).T
                apart = torch.maximum((i[:, None] - i).abs(), (j[:, None] - j).abs())
                assert (apart.fill_diagonal_(99) > reach).all()


def test_stripes_keep_their_period():
    red = (torch.arange(18) % 4 == 0).float().expand(18, 18)
    source = torch.stack([red, 0 * red, 1 - red])[None]
    made = efros_leung(source, size=(16, 20), window=9)[0, 0]
    assert (made == made[:1]).all() and torch.equal(made[:, 4:], made[:, :-4])
    assert made[0, :4].sum() == 1


def test_the_seed_and_purity():
    source = noise(12, 12).requires_grad_()
    state = torch.get_rng_state()
    a, b, c = [efros_leung(source, size=12, window=5, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(a, b) and not torch.equal(a, c) and not a.requires_grad
    assert torch.equal(source, noise(12, 12)) and torch.equal(torch.get_rng_state(), state)


def test_wrong_inputs():
    x = noise(8, 8)
    for source, window in ((x, 4), (255 * x, 3), (torch.cat([x, x]), 3)):
        with pytest.raises(ValueError):
            efros_leung(source, window=window)
    with pytest.raises(RuntimeError):
        efros_leung(noise(8, 20), window=9)
