"""Parametrize an image: modules whose forward() returns images (b,3,h,w), for `descend`."""

import math

import torch
from torch import nn

from helpers.images import check_images

# Brightness, red against blue, green against both: orthonormal, and nearly the principal axes of
# the colors of photographs (Ohta 1980).
AXES = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]])
OPPONENT = AXES / AXES.norm(dim=1, keepdim=True)
OPPONENT_STD = torch.tensor([1.0, 0.47, 0.17])      # in color photographs, relative to brightness


def seeded(generator):
    """Return the generator, or without one a new generator with seed 0."""
    return torch.Generator().manual_seed(0) if generator is None else generator


class PixelImage(nn.Module):
    """Optimize the pixels themselves, starting from a copy of images (b,3,h,w) in [0, 1]."""

    def __init__(self, start):
        super().__init__()
        check_images(start)
        self.pixels = nn.Parameter(start.detach().clone())

    @classmethod
    def noise(cls, height, width, *, batch=1, sigma=0.1, generator=None, device=None):
        """Start from gray with Gaussian noise of standard deviation `sigma`."""
        noise = torch.randn(batch, 3, height, width, generator=seeded(generator))
        return cls((0.5 + sigma * noise).clamp(0, 1).to(device))

    def forward(self):
        return self.pixels

    @torch.no_grad()
    def project(self):
        """Clamp to [0, 1] after a step; in `forward`, a clamp would stop the gradient."""
        self.pixels.clamp_(0, 1)


class FourierImage(nn.Module):
    """Optimize the Fourier transform of the image in opponent colors, with 1/f scaling (Olah 2017).

    image = sigmoid(irfft2(spectrum / f)): dividing each frequency f by its size gives a step about
    the spectrum of photographs. Starts from images (b,3,h,w); black and white become 1% and 99%.
    """

    def __init__(self, start):
        super().__init__()
        check_images(start)
        self.size = start.shape[2:]
        longest = max(self.size)
        frequency = frequencies(*self.size).clamp(min=1 / longest)          # f = 0 has the mean
        scale = OPPONENT_STD.view(3, 1, 1) / frequency                      # (3,h,w//2+1)
        scale = scale / longest ** 0.5      # a convention, with which the course's steps were tuned
        self.register_buffer("scale", scale.to(start))
        self.register_buffer("colors", OPPONENT.to(start))
        spectrum = to_spectrum(start) / self.scale
        self.spectrum = nn.Parameter(torch.view_as_real(spectrum).detach().contiguous())

    @classmethod
    def noise(cls, height, width, *, batch=1, sigma=0.01, generator=None, device=None):
        """Start from a spectrum of Gaussian noise of standard deviation `sigma`: nearly gray."""
        image = cls(torch.full((batch, 3, height, width), 0.5, device=device))
        noise = torch.randn(image.spectrum.shape, generator=seeded(generator))
        image.spectrum.data = sigma * noise.to(device)
        return image

    def forward(self):
        spectrum = torch.view_as_complex(self.spectrum) * self.scale
        return from_spectrum(spectrum, self.colors, self.size)


class MacoImage(nn.Module):
    """Optimize only the phases (b,3,h,w//2+1) of a spectrum with fixed magnitudes: MACO (Fel 2023).

    The magnitudes (3,h,w//2+1) are those of photographs, see `mean_magnitude`.
    """

    def __init__(self, magnitude, phase):
        super().__init__()
        self.register_buffer("magnitude", magnitude.detach().clone())
        self.register_buffer("colors", OPPONENT.to(magnitude))
        self.phase = nn.Parameter(phase.detach().clone())

    @classmethod
    def noise(cls, magnitude, *, batch=1, generator=None):
        """Start from independent random phases: clouds in the colors of photographs."""
        turns = torch.rand(batch, *magnitude.shape, generator=seeded(generator))
        return cls(magnitude, 2 * math.pi * turns.to(magnitude))

    def forward(self):
        height, columns = self.magnitude.shape[1:]
        spectrum = torch.polar(self.magnitude.expand_as(self.phase), self.phase)
        return from_spectrum(spectrum, self.colors, (height, 2 * (columns - 1)))


def frequencies(height, width):
    """Compute the frequencies of `torch.fft.rfft2` in cycles per pixel, (h,w//2+1)."""
    return (torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.rfftfreq(width) ** 2).sqrt()


def to_spectrum(images):
    """Compute the Fourier transform in opponent colors, (b,3,h,w) -> complex (b,3,h,w//2+1)."""
    logits = images.clamp(0.01, 0.99).logit()
    planes = torch.einsum("kc,bchw->bkhw", OPPONENT.to(images), logits)
    return torch.fft.rfft2(planes, norm="ortho")


def from_spectrum(spectrum, colors, size):
    """Invert `to_spectrum`, complex (b,3,h,w//2+1) -> (b,3,h,w); `colors` is OPPONENT."""
    planes = torch.fft.irfft2(spectrum, s=size, norm="ortho")
    return torch.einsum("kc,bkhw->bchw", colors, planes).sigmoid()


def mean_magnitude(photographs):
    """Average the magnitudes of photographs and all directions, (n,3,h,w) -> (3,h,w//2+1).

    Averaging over directions removes the cross that the borders of a photograph cause. The mean is
    0, so images with these magnitudes are gray on average. The width is even.
    """
    check_images(photographs)
    h, w = photographs.shape[2:]
    magnitude = to_spectrum(photographs).abs().mean(0).flatten(1)           # (3,n)
    ring = (frequencies(h, w) * max(h, w)).round().long()
    ring = ring.flatten().to(magnitude.device)                              # of each frequency
    total = magnitude.new_zeros(3, ring.max() + 1).index_add(1, ring, magnitude)
    mean = total / ring.bincount().clamp(min=1)                             # (3,rings)
    mean[:, 0] = 0                                                          # gray on average
    return mean[:, ring].view(3, h, -1)
