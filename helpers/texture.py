"""Texture without a network: a new picture out of the pixels of a small one, by nearest neighbours. Efros & Leung 1999."""

from itertools import groupby, product

import torch
import torch.nn.functional as F

from helpers.images import check_images, in_double, pair

SLACK = 1e-4    # of squared difference, added to the 10 %: where the closest fits exactly, so may others, but for rounding


def efros_leung(source, *, size=(128, 128), window=11, seed=0):
    """The source's texture in another size, each pixel a copy of one of the source's, (1,3,h,w) in [0,1] -> (1,3,H,W).

    `window` is how much is compared, odd, in pixels a side: about the largest thing that repeats. A smaller one gives
    disorder, a larger one copies whole pieces and takes longer; the memory is 32 window^2 bytes for each pixel of the source. The same
    `seed` gives the same picture.
    Raises ValueError for several sources, a window that is even, below 3 or larger than the source, and a wrong size.
    """
    *_, picture = grow(source, size=size, window=window, seed=seed)
    return picture


def grow(source, *, size=(128, 128), window=11, seed=0):
    """How `efros_leung` makes its picture: yields (1,3,H,W) after the start and after each ring, black where none is yet.

    It starts from 3 x 3 pixels of the source, in the middle, and adds square rings. To fill a pixel, its window is compared
    with all windows of the source over the pixels known so far: squared differences, weighted by a Gaussian. Of those
    within 10 % of the closest, one drawn at random gives its middle. (The paper puts a pixel off while the closest is
    farther than 0.3. With values in [0, 1] that is an RMS of 0.55 and hardly happens, so it is left out.) It works in
    float64, on the CPU where the device has none.
    """
    (height, width), source = check(source, size, window), source.detach()
    (h, w), reach, generator = source.shape[2:], window // 2, torch.Generator().manual_seed(seed)
    top, left = (int(torch.randint(1, side - 1, (), generator=generator)) for side in (h, w))
    luck = torch.rand(height, width, generator=generator, dtype=torch.float64)      # one draw for each pixel, in any order

    # |s - t|^2 = |s|^2 - 2 s.t + |t|^2: the distances of some windows t to all windows s are one product of (|s|^2, -2 s) with
    # (1, t), weighted, and 0 where t is not known. In double precision, so that the choice is the one that differences make.
    wide = in_double(source)
    squares_and_windows = F.unfold(torch.cat([wide.square().sum(1, keepdim=True), -2 * wide], 1), window)[0].T.contiguous()     # (n,4 k k)
    middles = wide[0, :, reach:h - reach, reach:w - reach].flatten(1)       # (3,n): what each window has to give
    canvas = wide.new_zeros(4, height + 2 * reach, width + 2 * reach)       # known or not, and the colour; a margin never known
    inside = canvas[:, reach:reach + height, reach:reach + width]
    around = canvas.unfold(1, window, 1).unfold(2, window, 1).permute(1, 2, 0, 3, 4)        # (H,W,4,window,window), a view of it
    offset = torch.arange(window, dtype=torch.float64, device=wide.device) - reach
    bell = torch.exp(-(offset[:, None] ** 2 + offset ** 2) / (2 * (window / 6.4) ** 2))

    # Of a ring, those take their turn together that are out of each other's windows: on its upper and lower side, then on the
    # left and right one, each (reach + 1)-th pixel; and one by one in the rings that are smaller than a window.
    def turn(pixel):
        down, right = abs(pixel[0] - height // 2), abs(pixel[1] - width // 2)
        ring, along = max(down, right), pixel[1] if down >= right else pixel[0]
        return ring, down < right, along % (reach + 1), pixel if 2 * ring <= reach else ()

    def pick(distances, chance):
        close = (distances <= 1.1 * distances.min() + SLACK).nonzero()[:, 0]
        return int(close[int(chance * len(close))])

    for number, pixels in groupby(sorted(product(range(height), range(width)), key=turn), key=lambda pixel: turn(pixel)[0]):
        for _, together in groupby(pixels, key=turn):
            i, j = torch.tensor(list(together)).T
            if number <= 1:
                colours = wide[0, :, top + i - height // 2, left + j - width // 2]
            else:
                patches, weight = around[i, j], bell * around[i, j, :1]
                filters = weight * torch.cat([torch.ones_like(weight), patches[:, 1:]], 1)
                squares = (weight * patches[:, 1:] ** 2).sum((1, 2, 3))
                distances = (squares_and_windows @ filters.flatten(1).T + squares).T / weight.sum((1, 2, 3))[:, None]
                colours = middles[:, [pick(*one) for one in zip(distances, luck[i, j].tolist())]]
            inside[0, i, j], inside[1:, i, j] = 1, colours
        if number > 0 or height * width == 1:       # the start is two rings, a pixel and the eight around it
            yield inside[None, 1:].to(source, copy=True)


def check(source, size, window):
    """(H, W), or a ValueError that says what is wrong."""
    check_images(source)
    if len(source) != 1:
        raise ValueError(f"Got {len(source)} images; expected one. Try source[:1].")
    if not isinstance(window, int) or window < 3 or window % 2 == 0:
        near = max(3, int(window) // 2 * 2 + 1) if isinstance(window, (int, float)) and abs(window) < float("inf") else 11
        raise ValueError(f"Got a window of {window!r}; expected a whole number, odd and at least 3. Try {near}.")
    if window > min(source.shape[2:]):
        raise ValueError(f"Got a window of {window} for a source of {source.shape[2]} x {source.shape[3]} pixels; expected one that fits "
                         "into the source. Try a smaller window, or a larger source.")
    return pair(size)
