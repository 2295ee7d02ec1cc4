import math
import weakref
from itertools import product

import pytest
import torch

from helpers.activations import activations
from helpers.images import photos
from helpers.losses import total_variation
from helpers.optimize import NormalizedGradient, descend, last, project_l2
from helpers.param import OPPONENT, SPREAD, FourierImage, MacoImage, PixelImage, image_of, mean_magnitude, waves_of
from helpers.transforms import jitter

TARGET = torch.full((1, 3, 8, 8), 0.7)
OPTIMIZERS = {
    "normalised": lambda p: NormalizedGradient(p, lr=0.2), "SGD": lambda p: torch.optim.SGD(p, lr=10.0),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.02), "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.5),
}


def distance(x):
    return (x - TARGET).square().mean()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_descends(name):
    image = PixelImage.noise(8, 8, generator=torch.Generator().manual_seed(0))
    losses = [step.loss for step in descend(image, distance, steps=20, optimizer=OPTIMIZERS[name])]
    assert losses[-1] < 0.5 * losses[0]
    assert 0 <= image().min() and image().max() <= 1


def test_steps_are_numbered_and_keep_their_pictures():
    image = PixelImage(torch.full((1, 3, 8, 8), 0.1))
    steps = list(descend(image, distance, steps=3))
    assert [step.index for step in steps] == [1, 2, 3]
    assert not torch.equal(steps[0].image, steps[2].image) and torch.equal(steps[2].image, image())


def test_a_normalised_step_has_its_length_in_each_image():
    start = torch.full((2, 3, 8, 8), 0.5)
    image, scale = PixelImage(start), torch.tensor([1.0, 1000.0])[:, None, None, None]
    step, = descend(image, lambda x: (scale * x).sum(), steps=1, optimizer=lambda p: NormalizedGradient(p, lr=0.25))
    assert torch.allclose((step.image - start).flatten(1).norm(dim=1), torch.full((2,), 0.25))


def test_pixels_stay_in_range_and_can_come_back():
    image = PixelImage(torch.full((1, 3, 4, 4), 0.95))
    list(descend(image, lambda x: -x.sum(), steps=3))
    assert torch.equal(image(), torch.ones_like(image()))          # projected, not beyond
    list(descend(image, lambda x: x.sum(), steps=1))
    assert image().max() < 1                                       # a saturated pixel still has a gradient


def test_the_start_is_copied():
    start = torch.full((1, 3, 4, 4), 0.5)
    list(descend(PixelImage(start), lambda x: x.sum(), steps=1))
    assert torch.equal(start, torch.full((1, 3, 4, 4), 0.5))


def test_noise_follows_its_generator_and_leaves_the_global_state():
    state = torch.get_rng_state()
    a, b = (PixelImage.noise(5, 7, generator=torch.Generator().manual_seed(3))() for _ in range(2))
    assert torch.equal(a, b) and a.shape == (1, 3, 5, 7)
    assert torch.equal(state, torch.get_rng_state())


def test_network_is_left_alone(random_net, unchanged):
    with unchanged(random_net):
        list(descend(PixelImage(torch.full((1, 3, 64, 64), 0.4)), lambda x: -random_net(x)[:, 0].mean(), steps=2))
    live = random_net.requires_grad_(True)
    try:
        list(descend(PixelImage(torch.full((1, 3, 64, 64), 0.4)), lambda x: -live(x)[:, 0].mean(), steps=1))
        assert all(p.grad is None for p in live.parameters())
    finally:
        live.requires_grad_(False)


@pytest.mark.parametrize("loss, says", [
    (lambda x: x.mean((2, 3)), r"shape \(1, 3\); expected one number"),
    (lambda x: 0.0, "a float"),
    (lambda x: x.detach().sum(), "does not depend on the image"),
    (lambda x: (x - 2).clamp(min=0).sum(), "gradient is zero at the start"),
])
def test_losses_that_cannot_be_descended(loss, says):
    with pytest.raises(ValueError, match=says):
        list(descend(PixelImage(torch.full((1, 3, 4, 4), 0.5)), loss, steps=2))


def test_nan_stops_with_the_steps_number_and_keeps_the_last_good_picture():
    image, seen = PixelImage(torch.full((1, 3, 4, 4), 0.5)), []
    loss = lambda x: x.sum() * (torch.nan if len(seen) == 2 else 1)
    with pytest.raises(ValueError, match="nan at step 3"):
        for step in descend(image, loss, steps=5):
            seen.append(step.image)
    assert torch.equal(image(), seen[-1]) and image().isfinite().all()


def test_whole_steps_may_be_written_as_a_float():
    assert len(list(descend(PixelImage(TARGET), lambda x: x.sum(), steps=2.0))) == 2


@pytest.mark.parametrize("steps", [0, -1, 1.5, float("inf"), float("nan")])
def test_steps_must_be_positive_and_whole(steps):
    with pytest.raises(ValueError, match="expected a whole number"):
        list(descend(PixelImage(TARGET), distance, steps=steps))


def test_bad_starts():
    with pytest.raises(ValueError, match="at least 1"):
        PixelImage.noise(0, 8)
    with pytest.raises(ValueError, match="expected a number of more than 0"):
        NormalizedGradient([torch.zeros(1)], lr=0)
    with pytest.raises(ValueError, match=r"expected \[0, 1\]"):
        PixelImage(TARGET * 2)


def test_a_gradient_that_is_no_number_stops_too_and_keeps_the_last_good_picture():
    """The square root of zero has a finite value and no finite slope."""
    image, seen = PixelImage(torch.full((1, 3, 4, 4), 0.5)), []
    loss = lambda x: x.sum() if len(seen) < 2 else ((x - x.detach()) ** 2).sum().sqrt()
    with pytest.raises(ValueError, match="gradient became infinite or not a number at step 3"):
        for step in descend(image, loss, steps=5):
            seen.append(step.image)
    assert torch.equal(image(), seen[-1]) and image().isfinite().all()


def test_a_zero_spectrum_is_grey():
    image = FourierImage.noise(12, 9, sigma=0.0)
    assert image().shape == (1, 3, 12, 9)
    torch.testing.assert_close(image(), torch.full((1, 3, 12, 9), 0.5))


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 3, 7, 9), (1, 3, 9, 12), (1, 3, 1, 5), (1, 3, 64, 64)])
def test_waves_give_the_start_back(shape):
    start = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    torch.testing.assert_close(FourierImage(start)(), start, rtol=1e-4, atol=1e-4)


def test_one_wave_by_hand():
    """The first frequency along the width, in brightness alone, is one cosine, the same in all colours and rows."""
    image = FourierImage.noise(8, 8, sigma=0.0)
    image.spectrum.data[0, 0, 0, 1, 0] = 0.1
    z = image().logit()
    assert z[0, 0, 0].argmax() == 0 and z[0, 0, 0].argmin() == 4
    wave = torch.cos(2 * torch.pi * torch.arange(8) / 8)
    torch.testing.assert_close(z / z.max(), wave.expand_as(z), rtol=1e-4, atol=1e-4)


def test_slow_waves_are_larger_and_pixels_stay_within():
    image = FourierImage.noise(64, 64, batch=3, sigma=5.0, generator=torch.Generator().manual_seed(0))
    x = image().detach()
    assert x.shape == (3, 3, 64, 64) and 0 <= x.min() and x.max() <= 1
    z = FourierImage.noise(64, 64, sigma=0.01, generator=torch.Generator().manual_seed(0))().detach().logit()
    power = torch.fft.rfft2(z).abs().square().mean((0, 1))
    assert power[0, 1:4].mean() > 20 * power[0, 20:30].mean()


def test_noise_of_waves_follows_its_generator():
    state = torch.get_rng_state()
    a, b = (FourierImage.noise(6, 7, generator=torch.Generator().manual_seed(3))() for _ in range(2))
    assert torch.equal(a, b)
    g = torch.Generator().manual_seed(0)
    assert not torch.equal(FourierImage.noise(6, 7, generator=g)(), FourierImage.noise(6, 7, generator=g)())
    PixelImage.noise(3, 3, batch=2, generator=g)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n != "SGD"])
def test_waves_descend(name):
    image = FourierImage.noise(8, 8, generator=torch.Generator().manual_seed(0))
    optimizer = {"Adam": lambda p: torch.optim.Adam(p, lr=0.2)}.get(name, OPTIMIZERS[name])
    losses = [step.loss for step in descend(image, distance, steps=20, optimizer=optimizer)]
    assert losses[-1] < 0.7 * losses[0]
    assert 0 <= image().min() and image().max() <= 1


def test_the_start_of_waves_is_an_image():
    with pytest.raises(ValueError, match=r"expected \[0, 1\]"):
        FourierImage(TARGET * 2)
    with pytest.raises(ValueError, match="at least 1"):
        FourierImage.noise(0, 5)


def invert(net, x0):
    code = activations(net, x0, "relu3")["relu3"]
    return lambda x: (activations(net, x, "relu3")["relu3"] - code).square().sum() / code.square().sum() + 1e-4 * total_variation(x).sum()


LOSSES = {
    "score": lambda net, x0: lambda x: -net(x)[:, 2].sum(),
    "channel": lambda net, x0: lambda x: -activations(net, jitter(x, 0), "relu2")["relu2"][:, 4].mean(),
    "inversion": invert,
    "variation": lambda net, x0: lambda x: total_variation(x).sum(),
    "edges": lambda net, x0: lambda x: total_variation(x, beta=1.0).sum(),
}
CAREFUL = {
    "normalised": lambda p: NormalizedGradient(p, lr=0.05), "SGD": None, "Adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.3, max_iter=3),     # a line search may run away where a loss has no least value
}
RATES = {"score": 0.1, "channel": 0.1, "inversion": 0.01, "variation": 1e-5, "edges": 1e-6}      # plain SGD needs one for each


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("parametrisation", ["pixels", "waves"])
@pytest.mark.parametrize("optimizer", CAREFUL)
def test_every_loss_falls_in_every_parametrisation_by_every_optimizer(random_net, images, loss, parametrisation, optimizer):
    g = torch.Generator().manual_seed(0)
    image = PixelImage.noise(64, 64, generator=g) if parametrisation == "pixels" else FourierImage.noise(64, 64, sigma=0.5, generator=g)
    f = LOSSES[loss](random_net, images[:1])
    start = f(image()).item()
    plain = lambda p: torch.optim.SGD(p, lr=RATES[loss])
    step = last(descend(image, f, steps=3, optimizer=CAREFUL[optimizer] or plain))
    assert f(step.image).item() < start


def test_last_keeps_no_earlier_step():
    alive = []

    def steps():
        for _ in range(5):
            picture = torch.zeros(3)
            alive.append(weakref.ref(picture))
            yield picture

    kept = last(steps())
    assert alive[-1]() is kept and not any(picture() is not None for picture in alive[:-1])


def test_last_of_nothing():
    with pytest.raises(ValueError, match="no step"):
        last(iter([]))


# ---- Fixed magnitude ----

@pytest.fixture
def photographs():
    return 0.1 + 0.8 * torch.rand(3, 3, 12, 16, generator=torch.Generator().manual_seed(0))


def test_waves_give_the_picture_back(photographs):
    image = MacoImage.noise(mean_magnitude(photographs))
    assert torch.allclose(image_of(waves_of(photographs), image.colours, (12, 16)), photographs, atol=1e-5)


def test_magnitudes_are_alike_in_all_directions_and_grey_on_average(photographs):
    m = mean_magnitude(photographs)
    assert m.shape == (3, 12, 9) and (m[:, 0, 0] == 0).all() and (m.flatten(1)[:, 1:] > 0).all()
    assert torch.allclose(m, mean_magnitude(photographs.flip(2))) and torch.allclose(m[:, 3, 4], m[:, -3, 4])
    flat = mean_magnitude(torch.full_like(photographs, 0.3))
    assert flat.abs().max() < 1e-4      # a picture of one colour has no waves
    whole = torch.full((2, 3, 8, 8), 0.5)
    whole[..., ::2] = 0.6               # stripes of two pixels across: the fastest wave alone
    m = mean_magnitude(whole)
    assert m[0].amax() == m[0, 0, 4] and m[0, 0, 1] < 1e-5


def test_whatever_its_phases_a_picture_keeps_its_magnitudes(photographs):
    m = mean_magnitude(photographs)
    image = MacoImage.noise(m, batch=2, generator=torch.Generator().manual_seed(0))
    step = last(descend(image, lambda x: (x - 0.7).square().sum(), steps=5, optimizer=lambda p: torch.optim.Adam(p, lr=0.3)))
    planes = torch.einsum("kc,bchw->bkhw", image.colours, step.image.logit())
    found = torch.fft.rfft2(planes, norm="ortho").abs()
    inside = (slice(None), slice(None), slice(1, 6), slice(1, 8))       # the first and last column mirror themselves, and may lose some
    assert torch.allclose(found[inside], m.expand_as(found)[inside], atol=1e-4)
    assert (0 < step.image).all() and (step.image < 1).all() and step.loss < 0.9 * next(iter(descend(
        MacoImage.noise(m, batch=2, generator=torch.Generator().manual_seed(0)), lambda x: (x - 0.7).square().sum(), steps=1))).loss


def test_phases_follow_their_generator_and_leave_the_global_state(photographs):
    state, m = torch.get_rng_state(), mean_magnitude(photographs)
    one, same = (MacoImage.noise(m, generator=torch.Generator().manual_seed(3))() for _ in range(2))
    assert one.shape == (1, 3, 12, 16) and torch.equal(one, same) and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("magnitude, phase", [((3, 8, 5), (1, 3, 8, 4)), ((8, 5), (1, 8, 5)), ((1, 8, 5), (1, 1, 8, 5))])
def test_magnitudes_and_phases_must_fit(magnitude, phase):
    with pytest.raises(ValueError, match="expected"):
        MacoImage(torch.ones(magnitude), torch.zeros(phase))


@pytest.mark.parametrize("photographs", [torch.rand(1, 3, 8, 9), torch.rand(3, 8, 8), 2 * torch.rand(1, 3, 8, 8)])
def test_photographs_of_an_even_width(photographs):
    with pytest.raises(ValueError, match="expected"):
        mean_magnitude(photographs)


@pytest.mark.parametrize("params", [torch.zeros(2, 3, requires_grad=True), [], [{"params": [torch.zeros(2)]}]])
def test_normalized_gradient_wants_tensors(params):
    with pytest.raises(TypeError, match=r"Try \[x\] for a single one"):
        NormalizedGradient(params)


# ---- What a mistake in one number would change ----

def test_noise_is_clamped_and_drawn_again_by_its_generator():
    first, again = (PixelImage.noise(8, 8, sigma=2, generator=torch.Generator().manual_seed(3))() for _ in range(2))
    assert torch.equal(first, again) and first.min() == 0 and first.max() == 1
    torch.manual_seed(5)
    by_the_global_state = PixelImage.noise(8, 8)()
    torch.manual_seed(5)
    assert torch.equal(by_the_global_state, PixelImage.noise(8, 8)())


def test_phases_are_drawn_from_the_whole_circle():
    phase = MacoImage.noise(torch.ones(3, 40, 21), generator=torch.Generator().manual_seed(0)).phase
    assert 0 <= phase.min() < 0.1 and 6.2 < phase.max() < 2 * math.pi
    assert torch.polar(torch.ones_like(phase), phase.detach()).mean().abs() < 0.05


def test_black_and_white_have_waves():
    for grey in (0.0, 1.0):
        flat = torch.full((1, 3, 4, 6), grey)
        assert waves_of(flat).isfinite().all()
        torch.testing.assert_close(FourierImage(flat)(), flat, atol=0.0101, rtol=0)


def test_colours_are_spread_about_as_in_coloured_photographs():
    album = torch.cat([photo.load(128) for name, photo in photos().items() if name not in ("cameraman", "hubble")])
    planes = torch.einsum("kc,bchw->bkhw", OPPONENT, album.clamp(0.01, 0.99).logit())
    size = planes.square().mean((0, 2, 3)).sqrt()
    torch.testing.assert_close(SPREAD, size / size[0], rtol=0.15, atol=0)


def test_the_mean_magnitude_is_that_of_a_loop():
    album = torch.rand(3, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    strength, found = waves_of(album).abs().mean(0), mean_magnitude(album)
    ring = lambda i, j: round(math.hypot(min(i, 5 - i) / 5, j / 8) * 8)
    for k, i, j in product(range(3), range(5), range(5)):
        alike = [strength[k, m, n].item() for m in range(5) for n in range(5) if ring(m, n) == ring(i, j)]
        assert found[k, i, j].item() == pytest.approx(sum(alike) / len(alike) if ring(i, j) else 0, rel=1e-4)


def test_a_parameter_that_the_image_does_not_use_is_no_hindrance():
    class Spare(PixelImage):
        def __init__(self, start):
            super().__init__(start)
            self.spare = torch.nn.Parameter(torch.ones(2))
    image = Spare(torch.full((1, 3, 4, 4), 0.5))
    last(descend(image, lambda x: x.sum(), steps=2))
    assert image.spare.tolist() == [1, 1] and image().mean() < 0.5


def test_a_score_without_a_gradient_is_told_at_the_first_step():
    with pytest.raises(ValueError, match="zero at the start"):
        next(descend(PixelImage(torch.full((1, 3, 4, 4), 0.5)), lambda x: (x - 9).relu().sum(), steps=5))


def test_zero_grad_forgets():
    x = torch.ones(2, requires_grad=True)
    optimizer = NormalizedGradient([x])
    x.sum().backward()
    optimizer.zero_grad()
    assert x.grad is None


def test_only_the_last_step_is_kept():
    class Thing:
        pass

    def things(alive):
        for _ in range(3):
            thing = Thing()
            alive.append(weakref.ref(thing))
            yield thing
            del thing
            if len(alive) == 3:
                assert alive[0]() is None
    assert isinstance(last(things([])), Thing)


def test_a_step_just_outside_the_ball_is_shortened():
    x, away = torch.full((1, 3, 64, 64), 0.5), torch.zeros(1, 3, 64, 64)
    away[0, 0, 0, 0] = 1
    assert (project_l2(x + 0.2001 * away, x, 0.2) - x).norm().item() == pytest.approx(0.2, abs=2e-5)


@pytest.mark.parametrize("made", [lambda: PixelImage(torch.rand(1, 3, 8, 8)), lambda: FourierImage(torch.rand(1, 3, 8, 8)),
                                  lambda: FourierImage.noise(8, 8), lambda: MacoImage.noise(torch.ones(3, 8, 5))])
def test_what_is_made_in_inference_mode_can_be_descended(made):
    with torch.inference_mode():
        image = made()
    steps = list(descend(image, lambda x: x.square().sum(), steps=3, optimizer=lambda p: torch.optim.Adam(p, lr=0.1)))
    assert steps[-1].loss < steps[0].loss


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_magnitudes_and_phases_are_finite(bad):
    good, phase = torch.ones(3, 4, 3), torch.zeros(1, 3, 4, 3)
    for magnitude, turned in ((good * bad, phase), (good, phase + bad)):
        with pytest.raises(ValueError, match="expected finite"):
            MacoImage(magnitude, turned)
