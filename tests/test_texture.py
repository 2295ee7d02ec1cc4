import pytest
import torch

from helpers.images import photos
from helpers.texture import efros_leung, grow


def noise(h, w, seed=0):
    return torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(seed))


def stripes(h, w, period):
    """Red where the column is a multiple of the period, else blue."""
    red = (torch.arange(w) % period == 0).float().expand(h, w)
    return torch.stack([red, torch.zeros(h, w), 1 - red])[None]


def naive_efros_leung(source, size, window, seed=0):
    """The same in plain loops: one pixel after the other, each time the difference to every window of the source."""
    (height, width), (h, w), reach = size, source.shape[2:], window // 2
    generator = torch.Generator().manual_seed(seed)
    top, left = (int(torch.randint(1, side - 1, (), generator=generator)) for side in (h, w))
    luck = torch.rand(height, width, generator=generator, dtype=torch.float64)
    offset = torch.arange(window, dtype=torch.float64) - reach
    bell = torch.exp(-(offset[:, None] ** 2 + offset ** 2) / (2 * (window / 6.4) ** 2))
    places = [(i, j) for i in range(h - window + 1) for j in range(w - window + 1)]
    windows = torch.stack([source[0, :, i:i + window, j:j + window] for i, j in places]).double()
    known = torch.zeros(height + 2 * reach, width + 2 * reach, dtype=torch.float64)
    canvas = torch.zeros(3, *known.shape, dtype=torch.float64)

    def order(p):
        down, right = abs(p[0] - height // 2), abs(p[1] - width // 2)
        return max(down, right), down < right, (p[1] if down >= right else p[0]) % (reach + 1), p

    for i, j in sorted([(i, j) for i in range(height) for j in range(width)], key=order):
        if order((i, j))[0] <= 1:
            colour = source[0, :, top + i - height // 2, left + j - width // 2].double()
        else:
            weight = bell * known[i:i + window, j:j + window]
            far = ((windows - canvas[:, i:i + window, j:j + window]) ** 2 * weight).sum((1, 2, 3)) / weight.sum()
            close = (far <= 1.1 * far.min() + 1e-4).nonzero()[:, 0]
            colour = windows[close[int(luck[i, j] * len(close))], :, reach, reach]
        canvas[:, i + reach, j + reach], known[i + reach, j + reach] = colour, 1
    return canvas[None, :, reach:reach + height, reach:reach + width].to(source.dtype)


SOURCES = {"noise": noise(12, 12), "wide noise": noise(9, 17, seed=1), "stripes": stripes(14, 14, 4), "photograph": None}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("window, size", [(3, (11, 11)), (5, (14, 8)), (9, (9, 13))])
def test_equals_the_loop(name, window, size):
    source = photos()["dahlia"].load(64)[..., 20:36, 24:40] if name == "photograph" else SOURCES[name]
    assert torch.equal(efros_leung(source, size=size, window=window, seed=window), naive_efros_leung(source, size, window, seed=window))


@pytest.mark.parametrize("size", [(20, 11), (11, 20), 1, 2, (1, 9), (3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_pixel_is_one_of_the_source(size, dtype):
    source = noise(10, 13).to(dtype)
    made = efros_leung(source, size=size, window=5)
    assert made.shape == (1, 3, *(size if isinstance(size, tuple) else (size, size))) and made.dtype == dtype
    colours = {tuple(c) for c in source[0].flatten(1).T.tolist()}
    assert {tuple(c) for c in made[0].flatten(1).T.tolist()} <= colours


def test_the_seed_decides_and_nothing_else_is_changed():
    source = noise(12, 12).requires_grad_()
    before, state = source.detach().clone(), torch.get_rng_state()
    first, again, other = (efros_leung(source, size=12, window=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other) and not first.requires_grad
    assert torch.equal(source, before) and torch.equal(state, torch.get_rng_state()) and source.grad is None


def test_one_colour_stays_one_colour():
    assert torch.equal(efros_leung(torch.full((1, 3, 8, 8), 0.3), size=(9, 12), window=5), torch.full((1, 3, 9, 12), 0.3))


@pytest.mark.parametrize("period", [3, 4, 5])
def test_stripes_keep_their_period(period):
    red = efros_leung(stripes(18, 18, period), size=(16, 20), window=2 * period + 1)[0, 0]
    assert (red == red[:1]).all()
    assert torch.equal(red[:, period:], red[:, :-period]) and (red[0, :period].sum() == 1)


def test_it_grows_ring_by_ring():
    source = 0.5 + noise(10, 10) / 2        # nothing black
    pictures = list(grow(source, size=(8, 11), window=5))
    assert [int((p > 0).all(1).sum()) for p in pictures] == [9, 25, 49, 72, 88]
    for earlier, later in zip(pictures, pictures[1:]):
        assert torch.equal(torch.where(earlier > 0, later, 0), earlier)
    assert torch.equal(pictures[-1], efros_leung(source, size=(8, 11), window=5))


@pytest.mark.parametrize("source, how, says", [
    (noise(8, 8), {"window": 4}, "window of 4.*odd.*Try 5"),
    (noise(8, 8), {"window": 1}, "window of 1.*Try 3"),
    (noise(8, 8), {"window": 5.0}, "window of 5.0.*whole"),
    (noise(8, 20), {"window": 9}, "window of 9 .*8 x 20.*larger source"),
    (noise(2, 2), {"window": 3}, "window of 3 .*2 x 2"),
    (noise(8, 8).expand(2, -1, -1, -1), {}, r"Got 2 images; expected one.*Try source\[:1\]"),
    (noise(8, 8), {"size": 0, "window": 3}, "at least 1"),
    (noise(8, 8), {"size": (8, -1), "window": 3}, "at least 1"),
    (noise(8, 8)[0], {"window": 3}, "expected images"),
    (2 * noise(8, 8), {"window": 3}, r"expected \[0, 1\]"),
])
def test_what_is_wrong_is_said(source, how, says):
    with pytest.raises(ValueError, match=says):
        efros_leung(source, **how)


@pytest.mark.parametrize("seed", range(4))
def test_rings_smaller_than_a_window_are_filled_one_by_one(seed):
    """Their upper and lower sides lie in one window: each must know what the other has been given."""
    source = noise(22, 22, seed=seed)
    assert torch.equal(efros_leung(source, size=(9, 9), window=17, seed=seed), naive_efros_leung(source, (9, 9), 17, seed=seed))


def test_a_ring_that_was_given_stays_as_it_is():
    rings = grow(noise(10, 10).double(), size=(7, 7), window=5)
    first = next(rings)
    before = first.clone()
    next(rings)
    assert torch.equal(first, before)


def test_the_first_picture_is_the_start():
    assert [int((p > 0).all(1).sum()) for p in grow(0.5 + noise(10, 10) / 2, size=(5, 5), window=3)] == [9, 25]
