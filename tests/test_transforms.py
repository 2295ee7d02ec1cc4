import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, rotate

from helpers.transforms import blur_maps, gaussian_blur, jitter, mirror_crop, pad, random_crop, random_rotate, random_scale


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5, 5.0])
def test_it_is_scipys(images, sigma):
    ours = gaussian_blur(images, sigma)
    for picture, blurred in zip(images.flatten(0, 1), ours.flatten(0, 1), strict=True):
        theirs = gaussian_filter(picture.numpy(), sigma, mode="mirror", radius=int(3 * sigma + 0.5))
        torch.testing.assert_close(blurred, torch.from_numpy(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3, 2, 9), (2, 3, 5, 5)])
def test_a_constant_stays(shape):
    torch.testing.assert_close(gaussian_blur(torch.full(shape, 0.3).double(), 4.0), torch.full(shape, 0.3).double())


def test_it_blurs(images):
    assert gaussian_blur(images, 2).std() < 0.3 * images.std()
    torch.testing.assert_close(gaussian_blur(images, 2).mean(), images.mean(), rtol=0.02, atol=0)


@pytest.mark.parametrize("sigma", [0, -1, float("nan")])
def test_sigma_is_positive(images, sigma):
    with pytest.raises(ValueError, match="as sigma in pixels; expected a number of more than 0"):
        gaussian_blur(images, sigma)


def test_the_images_stay_as_they_are(images):
    before = images.clone()
    gaussian_blur(images, 2)
    assert torch.equal(images, before)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 1.3, 2.0, 3.7])
@pytest.mark.parametrize("shape", [(1, 3, 12, 12), (2, 3, 12, 31), (1, 3, 40, 13)])
def test_it_is_scipys_at_truncate_3(shape, sigma):
    """Both take the radius int(3 sigma + 0.5), which fits here."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1)).double()
    theirs = gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="mirror", truncate=3)
    torch.testing.assert_close(gaussian_blur(x, sigma), torch.from_numpy(theirs), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape, sigma", [((1, 3, 4, 6), 5.0), ((1, 3, 2, 2), 1.0), ((2, 3, 3, 20), 3.0), ((1, 3, 1, 7), 2.0)])
def test_where_the_image_is_smaller_than_the_window_the_radius_is_that_of_the_image(shape, sigma):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1)).double()
    radius = [min(int(3 * sigma + 0.5), n - 1) for n in shape[2:]]
    theirs = gaussian_filter(x.numpy(), sigma, mode="mirror", radius=radius, axes=(2, 3))
    found = gaussian_blur(x, sigma)
    torch.testing.assert_close(found, torch.from_numpy(theirs), rtol=1e-10, atol=1e-12)
    assert found.shape == shape and found.min() >= x.min() and found.max() <= x.max()


def test_a_point_by_hand():
    """Far from the border a point becomes the Gaussian itself, the product of one down and one across; no colour leaks."""
    x = torch.zeros(1, 3, 15, 17).double()
    x[0, 1, 7, 8] = 1
    g = torch.exp(-torch.arange(-3, 4).double() ** 2 / 2)
    g = g / g.sum()
    found = gaussian_blur(x, 1)
    torch.testing.assert_close(found[0, 1, 4:11, 5:12], g[:, None] * g)
    assert found.sum().item() == pytest.approx(1) and not found[0, [0, 2]].any()


def test_it_is_separable():
    generator = torch.Generator().manual_seed(0)
    column, row = torch.rand(1, 3, 20, 1, generator=generator).double(), torch.rand(1, 3, 1, 30, generator=generator).double()
    torch.testing.assert_close(gaussian_blur(column * row, 2), gaussian_blur(column, 2) * gaussian_blur(row, 2))


def test_symmetries(images):
    blurred = gaussian_blur(images, 2)
    torch.testing.assert_close(gaussian_blur(images.flip(3), 2), blurred.flip(3))
    torch.testing.assert_close(gaussian_blur(images.transpose(2, 3), 2), blurred.transpose(2, 3))
    torch.testing.assert_close(gaussian_blur(images.flip(1), 2), blurred.flip(1))
    torch.testing.assert_close(torch.cat([gaussian_blur(x, 2) for x in images.split(1)]), blurred)


@pytest.mark.parametrize("dtype, atol", [(torch.float64, 1e-6), (torch.float32, 0), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_the_type_is_kept(images, dtype, atol):
    found = gaussian_blur(images.to(dtype), 2)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), gaussian_blur(images, 2), rtol=0, atol=atol)


def test_a_sigma_much_smaller_than_a_pixel_leaves_all(images):
    assert torch.equal(gaussian_blur(images, 0.1), images)


def test_pixels_beyond_0_and_1_and_gradients_pass(images):
    x = (images * 9 - 4).requires_grad_()
    torch.testing.assert_close(gaussian_blur(x, 2), gaussian_blur(images, 2) * 9 - 4, rtol=1e-4, atol=1e-5)
    gradient, = torch.autograd.grad(gaussian_blur(x, 2).sum(), x)
    assert gradient.sum().item() == pytest.approx(x.numel(), rel=1e-4)


@pytest.mark.parametrize("x, error", [(torch.rand(3, 8, 8), ValueError), (torch.rand(1, 1, 8, 8), ValueError),
                                      (torch.ones(1, 3, 8, 8).int(), TypeError), (torch.full((1, 3, 8, 8), torch.inf), ValueError)])
def test_images_that_are_no_images(x, error):
    with pytest.raises(error, match="expected"):
        gaussian_blur(x, 2)


def test_nothing_is_changed(random_net, images, unchanged):
    with unchanged(random_net, images):
        gaussian_blur(images, 3)
        with pytest.raises(ValueError):
            gaussian_blur(images, 0)


def test_an_infinite_sigma_is_refused(images):
    with pytest.raises(ValueError, match="sigma"):
        gaussian_blur(images, float("inf"))


def seeded(n=0):
    return torch.Generator().manual_seed(n)


@pytest.mark.parametrize("seed", range(5))
def test_jitter_permutes(images, seed):
    moved = jitter(images, 5, generator=seeded(seed))
    assert moved.shape == images.shape
    assert torch.equal(moved.flatten(2).sort(2).values, images.flatten(2).sort(2).values)
    shifts = [(i, j) for i in range(-5, 6) for j in range(-5, 6) if torch.equal(images.roll((i, j), (2, 3)), moved)]
    assert len(shifts) == 1      # all images and colours by the same, within bounds


def test_jitter_reaches_every_shift_alike():
    x, g = torch.arange(25.0).view(1, 1, 5, 5).expand(1, 3, 5, 5), seeded()
    seen = torch.bincount(torch.tensor([int(jitter(x, 1, generator=g)[0, 0, 2, 2]) for _ in range(900)]), minlength=25)
    near = torch.zeros(5, 5, dtype=torch.bool)
    near[1:4, 1:4] = True
    assert (seen.view(5, 5)[near] > 60).all() and (seen.view(5, 5)[~near] == 0).all()      # of 100 expected


@pytest.mark.parametrize("change", [lambda x, g: jitter(x, 9, generator=g), lambda x, g: random_scale(x, 0.5, 2, generator=g),
                                    lambda x, g: random_rotate(x, 90, generator=g)])
def test_what_is_random_follows_its_generator_and_leaves_the_global_state(images, change):
    before, state = images.clone(), torch.get_rng_state()
    assert torch.equal(change(images, seeded(3)), change(images, seeded(3)))
    found = [change(images, None) for _ in range(8)]
    assert any(f.shape != found[0].shape or not torch.equal(f, found[0]) for f in found)
    assert torch.equal(state, torch.get_rng_state()) and torch.equal(before, images)


def test_pad_by_hand():
    found = pad(torch.ones(1, 3, 2, 3), 2, value=0.25)
    assert found.shape == (1, 3, 6, 7) and (found[..., 2:4, 2:5] == 1).all()
    assert found.sum().item() == pytest.approx(3 * (6 + 36 * 0.25))


def test_scale_changes_the_size_by_its_factor(images):
    assert random_scale(images, 0.5, 0.5).shape == (3, 3, 32, 32) and random_scale(images, 1.5, 1.5).shape == (3, 3, 96, 96)
    torch.testing.assert_close(random_scale(images, 1.0, 1.0), images)
    sizes = {random_scale(images, 0.9, 1.1, generator=seeded(n)).shape[2] for n in range(30)}
    assert min(sizes) >= 58 and max(sizes) <= 70 and len(sizes) > 5


@pytest.mark.parametrize("shape", [(16, 16), (12, 20)])
def test_a_turn_is_scipys(shape):
    """Far from the border, and for images that are not square too."""
    x = gaussian_blur(torch.rand(1, 3, *shape, generator=seeded()), 2)
    inner = (slice(None), slice(4, -4), slice(4, -4))
    for n in range(4):
        angle = -20 + 40 * torch.rand((), generator=seeded(n)).item()
        found = random_rotate(x, 20, generator=seeded(n))[0]
        theirs = torch.from_numpy(np.stack([rotate(c.numpy(), angle, reshape=False, order=1) for c in x[0]]))
        torch.testing.assert_close(found[inner], theirs[inner], rtol=0, atol=1e-3)


def test_no_turn_is_no_change(images):
    torch.testing.assert_close(random_rotate(images, 0), images, rtol=1e-3, atol=1e-4)


def test_gradients_pass(images):
    x = images.clone().requires_grad_()
    for change in (lambda x: jitter(x, 3), lambda x: pad(x, 2), lambda x: random_scale(x), lambda x: random_rotate(x, 9)):
        gradient, = torch.autograd.grad(change(x).sum(), x)
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("change", [lambda x: jitter(x, -1), lambda x: jitter(x, 1.5), lambda x: jitter(x, float("inf")),
                                    lambda x: pad(x, -1), lambda x: random_scale(x, 0, 1), lambda x: random_scale(x, 2, 1),
                                    lambda x: random_rotate(x, -1), lambda x: random_rotate(x, float("nan")), lambda x: jitter(x[0], 1)])
def test_what_is_out_of_range(images, change):
    with pytest.raises(ValueError, match="expected"):
        change(images)


# ---- random crops ----

def test_a_crop_of_all_is_the_picture_and_a_smaller_one_a_part_of_it(images):
    torch.testing.assert_close(random_crop(images, 1.0, 1.0), images, rtol=0, atol=1e-6)
    ramp = torch.arange(64.0).view(1, 1, 1, 64).expand(1, 3, 40, 64) / 64
    part = random_crop(ramp, 0.5, 0.5, generator=torch.Generator().manual_seed(1))      # 20 of 40 pixels, enlarged to 40
    assert part.shape == (1, 3, 40, 40) and part[..., -1].mean() - part[..., 0].mean() == pytest.approx(19 / 64, abs=1e-4)


def test_each_image_has_a_crop_of_its_own_within_the_bounds():
    ramp = torch.arange(100.0).view(1, 1, 1, 100).expand(50, 3, 100, 100) / 100
    crops = random_crop(ramp, 0.3, 0.9, size=30, generator=torch.Generator().manual_seed(0))
    assert crops.shape == (50, 3, 30, 30)
    wide = (crops[:, 0, 0, -1] - crops[:, 0, 0, 0])     # the share that was seen, but for half a pixel at either end
    assert 0.25 < wide.min() < 0.4 and 0.8 < wide.max() < 0.92 and len(wide.unique()) > 40
    left = crops[:, 0, 0, 0]
    assert left.min() < 0.1 and left.max() > 0.4


def test_crops_repeat_by_their_generator_and_can_be_differentiated(images):
    a, b = (random_crop(images, size=32, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(a, b) and a.shape == (3, 3, 32, 32)
    x = images.clone().requires_grad_()
    random_crop(x, 0.5, 0.5, generator=torch.Generator().manual_seed(0)).sum().backward()
    touched = (x.grad != 0).float().mean((1, 2, 3))
    assert ((0.2 < touched) & (touched < 0.35)).all()       # a quarter of the pixels, and the filter's reach


@pytest.mark.parametrize("low, high", [(0, 1), (0.5, 0.4), (0.5, 1.1), (float("nan"), 1)])
def test_crops_of_impossible_shares(images, low, high):
    with pytest.raises(ValueError, match="expected 0 < low <= high <= 1"):
        random_crop(images, low, high)


def test_maps_are_blurred_as_images_are(images):
    maps = images[:, 0]
    torch.testing.assert_close(blur_maps(maps, 1.5), gaussian_blur(images, 1.5)[:, 0])
    with pytest.raises(ValueError, match=r"expected maps \(b, h, w\)"):
        blur_maps(images, 1.5)


# ---- mirror_crop ----

def test_a_mirror_crop_is_a_window_of_the_mirrored_picture_and_the_same_for_all(images):
    seen, = mirror_crop(images, border=8, generator=seeded(3))
    again, other = mirror_crop(images, 1 - images, border=8, generator=seeded(3))
    assert seen.shape == (3, 3, 72, 72) and torch.equal(seen, again) and torch.equal(other, 1 - again)
    whole = torch.nn.functional.pad(images, [8] * 4, mode="reflect")
    assert any(torch.equal(seen, whole[..., i:i + 72, j:j + 72]) for i in range(9) for j in range(9))


def test_mirror_crops_begin_everywhere(images):
    g, corners = seeded(0), set()
    picture = torch.arange(64.0).view(1, 1, 8, 8).expand(1, 3, -1, -1)
    for _ in range(200):
        corners.add(tuple(mirror_crop(picture, border=2, generator=g)[0][0, 0, :, 0].tolist()))
    assert len(corners) == 9        # 3 x 3 places


@pytest.mark.parametrize("call, says", [(lambda x: mirror_crop(x, x[..., :9]), "of one size"), (lambda x: mirror_crop(), "of one size"),
                                        (lambda x: mirror_crop(x, border=64), "smaller than the picture"),
                                        (lambda x: mirror_crop(x, border=1.5), "pixels of border")])
def test_mirror_crop_refuses(images, call, says):
    with pytest.raises(ValueError, match=says):
        call(images)


# ---- in half precision ----

@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_blur_is_exact_also_where_networks_run_in_bf16(images, memory_format):
    images = images.contiguous(memory_format=memory_format)
    with torch.autocast("cpu", torch.bfloat16):
        blurred = gaussian_blur(images, 2)
    assert torch.equal(blurred, gaussian_blur(images, 2))


@pytest.mark.parametrize("transform", [
    lambda x, g: gaussian_blur(x, 1.5), lambda x, g: jitter(x, 3, generator=g), lambda x, g: pad(x, 2, value=0.5),
    lambda x, g: random_scale(x, generator=g), lambda x, g: random_rotate(x, 20, generator=g), lambda x, g: random_crop(x, generator=g)])
def test_pixels_may_leave_0_to_1(transform):
    """A descent's may. All of these are means of pixels, so what is twice as far from grey stays twice as far."""
    x, fresh = torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(0)), lambda: torch.Generator().manual_seed(4)
    torch.testing.assert_close(transform(4 * x - 1.5, fresh()), 4 * transform(x, fresh()) - 1.5)


def test_one_pixel_is_left_however_small_the_scale():
    assert random_scale(torch.rand(1, 3, 2, 5), 0.1, 0.1).shape[2:] == (1, 1)


def test_crops_are_drawn_from_all_places():
    x = torch.arange(16.0).view(1, 1, 4, 4).expand(300, 3, 4, 4) / 16
    corners = random_crop(x, 0.5, 0.5, size=2, generator=torch.Generator().manual_seed(0))[:, 0, 0, 0] * 16
    assert corners.unique().round().tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]


def test_no_border_leaves_the_picture_as_it_is():
    x = torch.rand(1, 3, 6, 7)
    assert torch.equal(mirror_crop(x, border=0)[0], x) and torch.equal(pad(x, 0), x) and torch.equal(jitter(x, 0), x)
