
import pytest
import torch
from scipy.ndimage import gaussian_filter

from helpers.baselines import high_pass
from helpers.metrics import insertion
from helpers.transforms import blur_maps, gaussian_blur, jitter, random_crop, reflect_pad_crop


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- Blur ----

@pytest.mark.parametrize("shape", [(2, 3, 12, 31), (1, 1, 4, 6), (1, 3, 1, 7)])
def test_a_blur_equals_scipy(shape):
    x = torch.rand(shape, generator=seeded())
    for sigma in (0.4, 1.0, 2.5, 5.0):
        radius = [min(int(3 * sigma + 0.5), side - 1) for side in shape[2:]]
        expected = gaussian_filter(x.numpy(), sigma, mode="mirror", radius=radius, axes=(2, 3))
        torch.testing.assert_close(gaussian_blur(x, sigma), torch.from_numpy(expected))


def test_a_point_becomes_a_gaussian():
    x = torch.zeros(1, 3, 15, 17)
    x[0, 1, 7, 8] = 1
    g = torch.exp(-torch.arange(-3.0, 4) ** 2 / 2)
    g = g / g.sum()
    found = gaussian_blur(x, 1)
    torch.testing.assert_close(found[0, 1, 4:11, 5:12], g[:, None] * g)
    assert found.sum().item() == pytest.approx(1) and not found[0, [0, 2]].any()


def test_maps_are_blurred_as_images_are(images):
    torch.testing.assert_close(blur_maps(images[:, 0], 1.5), gaussian_blur(images, 1.5)[:, 0])


CHANGES = [
    lambda x: gaussian_blur(x, 5),
    lambda x: blur_maps(x[:, 0], 5),
    high_pass,
    lambda x: insertion(lambda z: z.float().mean((1, 2, 3)), x, x[:, 0]),
    lambda x: jitter(x, 3, generator=seeded()),
    lambda x: reflect_pad_crop(x, generator=seeded())[0],
    lambda x: random_crop(x, 0.35, size=64, generator=seeded()),
]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype, atol", [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_in_both_layouts(images, dtype, atol, layout):
    x = images[:1].to(dtype).contiguous(memory_format=layout)
    for change in CHANGES:
        torch.testing.assert_close(change(x).float(), change(x.float()), rtol=0, atol=atol)


# ---- Random transforms ----

def test_jitter_draws_every_shift():
    x = torch.arange(25.0).view(1, 1, 5, 5)
    g = seeded()
    seen = {jitter(x, 1, generator=g)[0, 0, 2, 2].item() for _ in range(200)}
    assert seen == {6, 7, 8, 11, 12, 13, 16, 17, 18}
    moved = jitter(x, 2, generator=g)
    assert moved.flatten().sort().values.tolist() == list(range(25))


def test_a_reflected_crop_is_a_window_and_the_same_for_all(images):
    crop, inverse = reflect_pad_crop(images, 1 - images, border=2, generator=seeded(3))
    padded = torch.nn.functional.pad(images, [2] * 4, mode="reflect")
    windows = [padded[..., i:i + 66, j:j + 66] for i in range(3) for j in range(3)]
    assert sum(torch.equal(crop, window) for window in windows) == 1
    assert torch.equal(inverse, 1 - crop)


def test_each_image_is_cropped_by_itself():
    ramp = (torch.arange(100.0) / 100).expand(50, 3, 100, 100)
    crops = random_crop(ramp, 0.3, size=30, generator=seeded())
    left, right = crops[:, 0, 0, 0], crops[:, 0, 0, -1]
    width = right - left                # the fraction seen, but for half a pixel at either end
    assert crops.shape == (50, 3, 30, 30)
    assert 0.25 < width.min() < 0.4 and 0.85 < width.max() < 1
    assert left.min() < 0.1 and left.max() > 0.4
    torch.testing.assert_close(random_crop(ramp, 1, size=100), ramp, rtol=0, atol=1e-5)


def test_gradients_pass_and_nothing_is_changed(random_net, images, unchanged):
    x = images.clone().requires_grad_()
    with unchanged(random_net, images, x):
        for change in [*CHANGES[:2], *CHANGES[4:], lambda x: jitter(x, 3)]:
            gradient, = torch.autograd.grad(change(x).sum(), x)
            assert gradient.abs().max() > 0
            change(images)
