import pytest
import torch
from torchvision.utils import make_grid as torchvision_grid

from helpers.drawing import (
    draw_trimap,
    gradient_image,
    heat,
    image_scatter,
    make_grid,
    outline,
    overlay,
)


def test_heat():
    dark, middle, bright = heat(torch.tensor([[0.0, 1.0, 2.0]]))[0, :, 0].T
    assert dark.max() < 0.05 and bright.mean() > 0.6
    assert torch.equal(heat(torch.tensor([[0.0, 1.0]]), low=0, high=2)[0, :, 0, 1], middle)
    assert heat(torch.zeros(4, 4)).isfinite().all()
    blue, white, red = heat(torch.tensor([[-1.0, 0.0, 3.0]]), signed=True)[0, :, 0].T
    assert white.min() > 0.95 and blue[2] > blue[0] and red[0] > red[2]
    assert overlay(torch.rand(1, 3, 32, 48), torch.rand(1, 4, 6)).shape == (1, 3, 32, 48)


def test_gradient_image_clips_the_largest_values():
    gradient = torch.linspace(-1, 1, 1200).view(1, 3, 20, 20)
    gradient[0, 0, 0, 0] = -100
    image = gradient_image(torch.cat([gradient, torch.zeros_like(gradient)]))
    assert (image[1] == 0.5).all()
    assert image[0].min() == 0 and image[0].max() > 0.99
    assert torch.equal(gradient_image(2 * gradient), gradient_image(gradient))


def test_outline_follows_the_mask():
    image = torch.full((1, 3, 20, 20), 0.5)
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[0, 5:15, 5:20] = True
    drawn = outline(image, mask, width=1)
    assert drawn[0, :, 5, 10].tolist() == pytest.approx([1, 0.9, 0])
    assert drawn[0, :, 4, 10].tolist() == [0, 0, 0]
    assert (drawn[0, :, 7:13, 7:] == 0.5).all() and (drawn[0, :, :3] == 0.5).all()
    assert (image == 0.5).all()


def test_trimap_is_red_and_blue():
    trimap = torch.zeros(1, 32, 32, dtype=torch.int)
    trimap[0, :16] = 1
    trimap[0, 16:, :16] = -1
    drawn = draw_trimap(torch.full((1, 3, 32, 32), 0.5), trimap)
    drawn = drawn[0].where(drawn[0] != 0.5, 0)
    assert drawn[0, :16].min() > 0.7 and drawn[2, :16].max() < 0.3
    assert drawn[2, 16:, :16].min() > 0.7 and drawn[0, 16:, :16].max() < 0.3
    assert drawn[:, 16:, 16:].max() == 0


def test_grid_is_torchvisions(images):
    ours = make_grid(images, columns=2, gap=3)[0]
    theirs = torchvision_grid(images, nrow=2, padding=3, pad_value=1)
    assert torch.equal(ours, theirs[:, 3:-3, 3:-3])


def test_scatter_puts_images_at_their_points():
    images = torch.tensor([0.1, 0.4, 0.7, 0.9]).view(4, 1, 1, 1).expand(4, 3, 8, 8)
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 0.01]])
    sheet = image_scatter(images, points, cells=3, side=8)[0, 0]
    corners = [sheet[20, 4], sheet[4, 20], sheet[20, 20]]
    assert corners == pytest.approx([0.1, 0.4, 0.7])        # the first of two in one cell
    framed = image_scatter(images, points, labels=range(4), cells=3, side=8)[0]
    assert framed[:, 16, 0].argmax() == 2 and framed[0, 20, 4] == pytest.approx(0.1)    # blue
