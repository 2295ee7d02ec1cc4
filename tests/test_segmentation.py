import cv2
import numpy as np
import pytest
import torch

from helpers.segmentation import grabcut, largest_component, trimap

SIDE = torch.arange(48.0)
RADIUS = torch.hypot(SIDE[:, None] - 20, SIDE - 26)[None]
MAP = torch.exp(-(RADIUS / 12) ** 2)


def color(red, green, blue):
    return torch.tensor([red, green, blue]).view(3, 1, 1)


@pytest.fixture
def disk():
    """A red disk on blue with a little noise, (1,3,48,48)."""
    image = torch.where(RADIUS < 10, color(0.8, 0.2, 0.1), color(0.1, 0.2, 0.8))[None]
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return (image + 0.05 * noise).clamp(0, 1)


def test_a_trimap_by_hand():
    found = trimap(torch.arange(100.0).view(1, 10, 10))[0].flatten()
    assert found.tolist() == [-1] * 30 + [0] * 65 + [1] * 5
    half = trimap((MAP - MAP.quantile(0.6)).clamp(min=0))       # zeros, as Grad-CAM has
    assert (half == -1).float().mean().item() == pytest.approx(0.6, abs=0.01)


def test_the_largest_component_by_hand():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, :2, :2] = True
    mask[0, 4:8, 4:8] = True
    mask[0, 3, 3] = True                # touches the larger one at a corner
    expected = mask.clone()
    expected[0, :2, :2] = False
    assert torch.equal(largest_component(mask), expected)
    assert not largest_component(torch.zeros_like(mask)).any()


def test_a_disk_is_segmented(disk):
    found = grabcut(disk, MAP)
    assert (found != (RADIUS < 10)).sum() <= 3
    known = trimap(MAP)
    assert found[known == 1].all() and not found[known == -1].any()
    assert torch.equal(grabcut(disk.half(), MAP), found)


def test_grabcut_equals_opencv(disk):
    known = trimap(MAP)[0].numpy()
    labels = np.select([known == 1, known == -1], [cv2.GC_FGD, cv2.GC_BGD], cv2.GC_PR_FGD)
    labels = labels.astype(np.uint8)
    rgb = (disk[0] * 255).round().byte().permute(1, 2, 0).numpy()
    cv2.setRNGSeed(0)
    cv2.grabCut(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), labels, None, np.zeros((1, 65)),
                np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    expected = torch.from_numpy(labels % 2 == 1)[None]          # GC_FGD and GC_PR_FGD
    assert torch.equal(grabcut(disk, MAP, unknown="foreground"), largest_component(expected))


def test_the_initialization_decides_on_a_color_that_nothing_is_known_of(disk):
    ring = (RADIUS >= 10) & (RADIUS < 15)
    image = torch.where(ring, color(0.2, 0.7, 0.2) + 0.1 * (disk - 0.5), disk)
    found = [grabcut(image, MAP, unknown=kind, background=0.5)[ring].float().mean()
             for kind in ("background", "foreground")]
    assert found[0] < 0.1 and found[1] > 0.9


def test_without_colors_or_known_pixels_the_map_decides(disk):
    one_color = torch.full_like(disk, 0.5)
    few = one_color.clone()
    few[..., 14:16, 20:22] = 1          # an unknown pixel of another color does not help
    for image, saliency_map in [(one_color, MAP), (few, MAP), (disk, torch.ones_like(MAP))]:
        with pytest.warns(UserWarning, match="GrabCut"):
            mask = grabcut(image, saliency_map)
        assert torch.equal(mask, saliency_map > saliency_map.quantile(0.95))


def test_nothing_is_changed_and_wrong_input_is_refused(random_net, disk, unchanged):
    with unchanged(random_net, disk, MAP):
        grabcut(disk, MAP)
    with pytest.raises(ValueError, match="pixels"):
        grabcut(disk * 255, MAP)
