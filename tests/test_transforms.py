import pytest
import torch
from scipy.ndimage import gaussian_filter

from helpers.transforms import gaussian_blur


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
    with pytest.raises(ValueError, match="more than 0 pixels"):
        gaussian_blur(images, sigma)


def test_the_images_stay_as_they_are(images):
    before = images.clone()
    gaussian_blur(images, 2)
    assert torch.equal(images, before)
