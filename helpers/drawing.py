"""Draw maps, masks, and images as images (1,3,h,w)."""

import torch
from matplotlib import color_sequences, colormaps, colors
from scipy.ndimage import binary_dilation

from helpers.images import resize


def heat(values, *, signed=False, low=None, high=None):
    """Color a map (h,w) or (1,h,w) as an image (1,3,h,w), dark to bright from `low` to `high`.

    The default is the map's own range. With `signed`, zero is white, negative values are blue, and
    positive values are red.
    """
    values = values.detach().float().cpu().reshape(values.shape[-2:])
    if signed:
        high = float(values.abs().max()) if high is None else high
        low = -high
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    fraction = ((values - low) / max(high - low, 1e-12)).clamp(0, 1)
    rgb = colormaps["RdBu_r" if signed else "inferno"](fraction.numpy())[..., :3]
    return torch.from_numpy(rgb).float().permute(2, 0, 1)[None]


def overlay(image, values, *, alpha=0.6, **options):
    """Blend a map (1,h,w), colored by `heat` and resized, with its image (1,3,H,W) in gray."""
    image = image.detach().cpu()
    drawn = resize(heat(values, **options), image.shape[-2:])
    return (1 - alpha) * image.mean(1, keepdim=True) + alpha * drawn


def gradient_image(gradient, *, quantile=0.995):
    """Scale gradients (b,3,h,w) to images in [0,1]: zero is gray.

    Values beyond the quantile of |gradient| are clipped: the rest would be gray next to them.
    """
    sizes = gradient.detach().abs().flatten(1).float()
    k = max(1, round(quantile * sizes.shape[1]))
    scale = sizes.kthvalue(k, dim=1).values
    scale = torch.where(scale > 0, scale, sizes.amax(1)).clamp(min=1e-12).view(-1, 1, 1, 1)
    return (0.5 + 0.5 * gradient.detach() / scale).clamp(0, 1).cpu()


def outline(image, mask, *, width=2):
    """Outline a mask (1,h,w) bool on its image (1,3,h,w): yellow inside, black outside."""
    drawn = image.detach().cpu().clone()
    inside = mask[0].cpu().numpy()
    around = binary_dilation(inside, iterations=width) & ~inside
    edge = binary_dilation(~inside, iterations=width) & inside
    drawn[0][:, torch.from_numpy(around)] = 0.0
    drawn[0][:, torch.from_numpy(edge)] = drawn.new_tensor((1.0, 0.9, 0.0))[:, None]
    return drawn


def draw_trimap(image, trimap):
    """Tint an image (1,3,h,w) by its trimap (1,h,w): red where it is 1, blue where it is -1."""
    drawn = image.detach().cpu().clone()
    for label, color in ((1, (0.9, 0.1, 0.1)), (-1, (0.1, 0.3, 1.0))):
        chosen = (trimap[0] == label).cpu()
        drawn[0][:, chosen] = 0.4 * drawn[0][:, chosen] + 0.6 * torch.tensor(color)[:, None]
    return drawn


def make_grid(images, *, columns=8, gap=1):
    """Arrange images (n,3,h,w) in rows on one image (1,3,H,W), with white gaps."""
    n, channels, h, w = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = torch.ones(channels, rows * (h + gap) - gap, columns * (w + gap) - gap)
    for k, image in enumerate(images.detach().cpu()):
        top = k // columns * (h + gap)
        left = k % columns * (w + gap)
        grid[:, top:top + h, left:left + w] = image
    return grid[None]


def image_scatter(images, points, *, labels=None, cells=36, side=24):
    """Draw images (n,3,h,w) at their points (n,2), x to the right and y up: (1,3,H,W).

    Only the first image in each of cells x cells cells is drawn. `labels` (n,) color the frames, in
    colors that color-blind readers can tell apart (Petroff 2021).
    """
    points = points.detach().cpu().float()
    low, high = points.aminmax(dim=0)
    positions = ((points - low) / (high - low).clamp(min=1e-12) * (cells - 1)).round().long()
    grid = torch.ones(3, cells * side, cells * side)
    taken = set()
    for k, image in enumerate(resize(images.detach().cpu(), side)):
        column, row = positions[k].tolist()
        if (column, row) in taken:
            continue
        taken.add((column, row))
        top = (cells - 1 - row) * side
        tile = grid[:, top:top + side, column * side:(column + 1) * side]
        tile[:] = image
        if labels is not None:
            color = colors.to_rgb(color_sequences["petroff10"][int(labels[k]) % 10])
            tile[:] = torch.tensor(color)[:, None, None]
            tile[:, 2:-2, 2:-2] = image[:, 2:-2, 2:-2]
    return grid[None]
