"""Power spectra: how fine is an image's detail, and have strides left a checkerboard in it?"""

from itertools import product

import torch


def power_spectrum(images):
    """Compute the power spectrum, summed over colors, in the order of fft2: (b,3,h,w) -> (b,h,w).

    A Hann window fades out the border, whose opposite sides do not match.
    """
    x = images.detach().float()
    down, across = (torch.hann_window(n, periodic=False, device=x.device) for n in x.shape[2:])
    faded = (x - x.mean((2, 3), keepdim=True)) * down[:, None] * across
    return torch.fft.fft2(faded).abs().square().sum(1)


def high_frequency_fraction(images, *, shorter=3.0):
    """Compute the fraction of the variance at wavelengths below `shorter` pixels, (b,)."""
    power = power_spectrum(images)
    down, across = (torch.fft.fftfreq(n, device=power.device) for n in power.shape[1:])
    high = torch.hypot(down[:, None], across) > 1 / shorter
    return (power * high).sum((1, 2)) / power.sum((1, 2)).clamp(min=1e-12)


def checkerboard_score(images):
    """Compute how far the strongest peak at a period of 2, 3, or 4 pixels stands out: a number.

    Averages the spectra of the images (b,3,h,w), since a single one has peaks up to 4 by chance. A
    score of 1 to 2 means no checkerboard. Raises ValueError for images below 48 pixels.
    """
    h, w = (side // 12 * 12 for side in images.shape[2:])       # multiples of each period
    if min(h, w) < 48:
        raise ValueError(f"Got images of {images.shape[2]} x {images.shape[3]} pixels; expected at "
                         "least 48 x 48. Try larger ones.")
    power = power_spectrum(images[..., :h, :w])
    power = (power / power.sum((1, 2), keepdim=True).clamp(min=1e-12)).mean(0)
    peaks = []
    for period in (2, 3, 4):
        for y, x in product(range(period), repeat=2):
            if (y, x) != (0, 0):
                peaks.append(peak_height(power, h * y // period, w * x // period))
    return torch.stack(peaks).max().item()


def peak_height(power, i, j):
    """Divide the power of the 3 x 3 frequencies around (i, j) by that of frequencies 3 to 8 away.

    Of those above and below and those on either side, the stronger count: an edge is a line in the
    spectrum and no peak.
    """
    h, w = power.shape
    near = torch.arange(-1, 2)
    far = torch.cat([torch.arange(-8, -2), torch.arange(3, 9)])

    def mean(rows, columns):
        return power[(i + rows)[:, None] % h, (j + columns) % w].mean()

    surround = torch.maximum(mean(far, near), mean(near, far))
    return mean(near, near) / surround.clamp(min=1e-12)
