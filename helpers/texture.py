"""Texture synthesis by nearest neighbors, without a network. Efros & Leung 1999."""

from itertools import chain, product

import torch
import torch.nn.functional as F

from helpers.images import check_images, pair

SLACK = 1e-4        # in a squared distance: where one window fits exactly, so may others


def efros_leung(source, *, size=(128, 128), window=11, seed=0):
    """Synthesize a texture by Efros & Leung's algorithm, (1,3,h,w) in [0, 1] -> (1,3,H,W).

    Each pixel is a copy of one of the source. `window`, an odd number of pixels, is about the size
    of the largest thing that repeats: smaller ones give disorder, larger ones copy whole pieces.
    """
    *_, image = efros_leung_steps(source, size=size, window=window, seed=seed)
    return image


def efros_leung_steps(source, *, size=(128, 128), window=11, seed=0):
    """Yield the texture (1,3,H,W) of `efros_leung` after each ring; unknown pixels are black.

    Starts from 3 x 3 pixels of the source. Then the window of each pixel is compared with those of
    the source, and one of the closest gives the color of its center.
    """
    check_images(source)
    if window % 2 == 0:
        raise ValueError(f"Got a window of {window} pixels; expected odd. Try {window + 1}.")
    image, = source.detach().cpu().double()     # (3,h,w)
    height, width = pair(size)
    generator = torch.Generator().manual_seed(seed)
    top, left = [int(torch.randint(1, n - 1, (), generator=generator)) for n in image.shape[1:]]
    chance = torch.rand(height, width, generator=generator, dtype=torch.float64)
    squares, colors, centers = cut_windows(image, window)
    canvas, around = empty_canvas(height, width, window)        # a view: it changes with the canvas
    for ring, groups in enumerate(ring_order(height, width, window // 2)):
        for pixels in groups:
            i, j = torch.tensor(pixels).T
            if ring == 0:
                drawn = image[:, top + i - height // 2, left + j - width // 2]
            else:
                distances = window_distances(squares, colors, around[:, i, j])
                picked = [pick(*each) for each in zip(distances, chance[i, j].tolist())]
                drawn = centers[:, picked]
            canvas[0, i, j] = 1
            canvas[1:, i, j] = drawn
        yield canvas[None, 1:].to(source, copy=True)


def ring_order(height, width, reach):
    """Yield square rings from the center outward, each a list of groups of pixels (i, j).

    The first ring is the start of 3 x 3 pixels. The pixels of a later group are filled at once,
    which is about three times as fast as one by one. They are outside each other's windows: more
    than `reach` apart along a side of the ring, or on opposite sides.
    """
    middle_i = height // 2
    middle_j = width // 2
    spacing = reach + 1
    yield [list(product(span(middle_i, 1, height), span(middle_j, 1, width)))]
    for ring in range(2, max(middle_i, middle_j) + 1):
        upper_lower = [i for i in (middle_i - ring, middle_i + ring) if 0 <= i < height]
        left_right = [j for j in (middle_j - ring, middle_j + ring) if 0 <= j < width]
        groups = []
        for first in range(spacing):
            across = [j for j in span(middle_j, ring, width) if j % spacing == first]
            groups.append(list(product(upper_lower, across)))
        for first in range(spacing):
            down = [i for i in span(middle_i, ring - 1, height) if i % spacing == first]
            groups.append(list(product(down, left_right)))
        if 2 * ring <= reach:       # opposite sides are too near: one by one
            groups = [[pixel] for pixel in chain(*groups)]
        yield [group for group in groups if group]


def span(middle, ring, side):
    """Return the range of rows, or columns, at most `ring` from the middle, of `side` in all."""
    return range(max(middle - ring, 0), min(middle + ring + 1, side))


def empty_canvas(height, width, window):
    """Make a canvas (4,H,W) of known (0 or 1) and color, and a view of its windows (4,H,W,k,k)."""
    reach = window // 2
    padded = torch.zeros(4, height + 2 * reach, width + 2 * reach, dtype=torch.float64)
    canvas = padded[:, reach:reach + height, reach:reach + width]
    return canvas, padded.unfold(1, window, 1).unfold(2, window, 1)


def cut_windows(image, window):
    """Cut out all windows s of the source (3,h,w): |s|^2 (n,k k), s (n,3 k k), centers (3,n)."""
    squares = F.unfold(image.square().sum(0)[None, None], window)[0].T.contiguous()
    colors = F.unfold(image[None], window)[0].T.contiguous()
    reach = window // 2
    centers = image[:, reach:image.shape[1] - reach, reach:image.shape[2] - reach]
    return squares, colors, centers.flatten(1)


def window_distances(squares, colors, around):
    """Compute the mean squared distances of m windows t to the n windows s of the source, (m,n).

    The mean is over known pixels, with Gaussian weights, of |s - t|^2 = |s|^2 - 2 s t + |t|^2, two
    matrix products. `around` (4,m,k,k) is known or not (1 or 0), and the color t.
    """
    k = around.shape[3]
    offset = torch.arange(k, dtype=torch.float64) - k // 2
    gaussian = torch.exp(-(offset[:, None] ** 2 + offset ** 2) / (2 * (k / 6.4) ** 2))
    weight = gaussian * around[0]                                       # (m,k,k)
    t = around[1:]                                                      # (3,m,k,k)
    weighted_t = (weight * t).transpose(0, 1).flatten(1)                # (m,3 k k)
    t_squares = (weight * t ** 2).sum((0, 2, 3))                        # (m,)
    total = squares @ weight.flatten(1).T - 2 * colors @ weighted_t.T + t_squares       # (n,m)
    return total.T / weight.sum((1, 2))[:, None]


def pick(distances, chance):
    """Pick one of the windows within 10% of the closest, by a random number in [0, 1): (n,)."""
    close = (distances <= 1.1 * distances.min() + SLACK).nonzero()[:, 0]
    return int(close[int(chance * len(close))])
