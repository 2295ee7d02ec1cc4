"""Print the checkerboard artifact of the style network: peaks in the spectrum, next to a baseline.

Upsampling by 4 can leave a pattern with a period of 2 or 4 pixels. Of these eight frequencies, the
largest amplitude is compared with the mean around it; the baseline is the 95th percentile of the
same for eight other frequencies, drawn at random, in the same image.
"""

import argparse

import torch

from helpers.photos import photos
from helpers.style import load_transform_net

GRID = torch.tensor([(a, b) for a in range(3) for b in range(3) if a + b]) / 4      # cycles/pixel


def peaks(image, frequencies):
    """Compute amplitudes over the mean around each, (1,3,h,w) and (n,2) cycles/pixel -> (n,)."""
    gray = image.mean((0, 1))
    window = torch.hann_window(len(gray))[:, None] * torch.hann_window(gray.shape[1])
    amplitude = torch.fft.fft2((gray - gray.mean()) * window).abs()
    around = [(i, j) for i in range(-6, 7) for j in range(-6, 7) if max(abs(i), abs(j)) > 2]
    shift = torch.tensor(around)
    size = torch.tensor(gray.shape)
    place = (frequencies * size).round().long()[:, None]            # (n,1,2)
    rows, columns = ((place + shift) % size).unbind(2)
    at = place[:, 0] % size
    return amplitude[at[:, 0], at[:, 1]] / amplitude[rows, columns].mean(1)


def main(argv=None):
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    net = load_transform_net()
    generator = torch.Generator().manual_seed(0)
    for size in ((144, 216), (240, 360)):
        photo = photos()["temple"].load(size)
        images = {"photograph": photo} | {name: net(photo, name) for name in net.styles}
        for name, image in images.items():
            others = 0.2 + 0.3 * torch.rand(1000, 8, 2, generator=generator)
            baseline = peaks(image, others.flatten(0, 1)).view(1000, 8).amax(1).quantile(0.95)
            print(f"{size}  {name:10}  {peaks(image, GRID).max():.1f}  baseline {baseline:.1f}")


if __name__ == "__main__":
    main()
