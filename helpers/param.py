"""Parametrisations: modules whose forward() is the image, (1,3,h,w) in [0, 1]. To synthesise is to descend their parameters."""

import math

import torch
from torch import nn

from helpers.images import check_floats, check_images, pair, wide

# Brightness, and two differences of colours at right angles to it: nearly the principal axes of the colours of photographs
# (Ohta 1980). The last row says about how large each is in the coloured photographs of `photos()`: a picture in which colour
# differences are as large as those of brightness looks gaudy.
OPPONENT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]]) / torch.tensor([[3.0], [2.0], [6.0]]).sqrt()
SPREAD = torch.tensor([1.0, 0.47, 0.17])


@torch.inference_mode(False)        # or no gradient could ever reach it
def parameter(x):
    """A copy to be descended."""
    return nn.Parameter(x.detach().clone())


class PixelImage(nn.Module):
    """The plainest one: each pixel is a parameter. Steps may leave [0, 1]; `project` brings the pixels back after each."""

    def __init__(self, start):
        """Starts from an image (b,3,h,w) in [0, 1], which is copied."""
        super().__init__()
        check_images(start)
        self.pixels = parameter(start)

    @classmethod
    def noise(cls, height, width, *, batch=1, sigma=0.1, mean=0.5, generator=None, device=None):
        """Grey with Gaussian noise of standard deviation `sigma` around `mean`: one image of height x width, or `batch` of them."""
        height, width = pair((height, width))
        noise = torch.randn(batch, 3, height, width, generator=generator, device=device if generator is None else generator.device)
        return cls((mean + sigma * noise).clamp(0, 1).to(device))

    def forward(self):
        return self.pixels

    @torch.no_grad()
    def project(self):
        # After the step, not in forward: a clamp there would give saturated pixels no gradient ever again.
        self.pixels.clamp_(0, 1)


class FourierImage(nn.Module):
    """The parameters are waves, not pixels; low frequencies and brightness come first. Olah 2017, "Feature visualization".

    In `spectrum` each frequency f is divided by its size before it is drawn, image = sigmoid(irfft2(spectrum / f)), so that
    a step moves all of them about as they occur in photographs. Pixels stay within (0, 1) without being clamped.
    """

    @torch.inference_mode(False)        # or no gradient could pass through what it keeps
    def __init__(self, start):
        """Starts from an image (b,3,h,w) in [0, 1]; black and white are moved to 1% and 99%."""
        super().__init__()
        check_images(start)
        start = wide(start)         # there is no Fourier transform in half precision
        b, _, h, w = start.shape
        frequency = frequencies(h, w).clamp(min=1 / max(h, w))
        self.register_buffer("scale", (SPREAD[:, None, None] / frequency / max(h, w) ** 0.5).to(start))
        self.register_buffer("colours", OPPONENT.to(start))
        self.size = (h, w)
        waves = waves_of(start) / self.scale
        self.spectrum = parameter(torch.view_as_real(waves).contiguous())

    @classmethod
    @torch.inference_mode(False)
    def noise(cls, height, width, *, batch=1, sigma=0.01, generator=None, device=None):
        """Nearly grey: a spectrum of Gaussian noise of standard deviation `sigma`; one image, or `batch` of them."""
        height, width = pair((height, width))
        device = device if generator is None or device is not None else generator.device
        image = cls(torch.full((batch, 3, height, width), 0.5, device=device))
        noise = torch.randn(image.spectrum.shape, generator=generator, device=None if generator is None else generator.device)
        image.spectrum.data = sigma * noise.to(image.spectrum)
        return image

    def forward(self):
        waves = torch.view_as_complex(self.spectrum) * self.scale
        return image_of(waves, self.colours, self.size)


class MacoImage(nn.Module):
    """Only the phases of the waves are parameters; how strong each wave is stays fixed, as in photographs. Fel 2023, "MACO".

    The picture can then be neither speckle nor flat: whatever its phases, it has a photograph's share of slow and fast waves.
    """

    @torch.inference_mode(False)
    def __init__(self, magnitude, phase):
        """Magnitudes (3,h,w//2+1) as `mean_magnitude` gives them, and phases in radians, (b,3,h,w//2+1)."""
        super().__init__()
        check_floats(magnitude, "magnitudes", finite=True), check_floats(phase, "phases", finite=True)
        magnitude, phase = wide(magnitude), phase.to(wide(magnitude))
        if magnitude.ndim != 3 or magnitude.shape != phase.shape[1:] or len(magnitude) != 3:
            raise ValueError(f"Got magnitudes {tuple(magnitude.shape)} and phases {tuple(phase.shape)}; expected (3, h, w // 2 + 1) "
                             "and (b, 3, h, w // 2 + 1). Try MacoImage.noise(mean_magnitude(photographs)).")
        self.register_buffer("magnitude", magnitude.detach().clone())
        self.register_buffer("colours", OPPONENT.to(magnitude))
        self.phase = parameter(phase)

    @classmethod
    def noise(cls, magnitude, *, batch=1, generator=None):
        """Phases drawn by chance, so that no wave knows of another: clouds of a photograph's colours."""
        turns = torch.rand(batch, *magnitude.shape, generator=generator, device=None if generator is None else generator.device)
        return cls(magnitude, 2 * math.pi * turns.to(magnitude))

    def forward(self):
        width = 2 * (self.magnitude.shape[2] - 1)
        return image_of(torch.polar(self.magnitude.expand_as(self.phase), self.phase), self.colours, (self.magnitude.shape[1], width))


def frequencies(height, width):
    """How often each wave of `torch.fft.rfft2` swings in a pixel, (h,w//2+1): 0 for the mean, 0.5 for the fastest along a side."""
    return (torch.fft.fftfreq(height)[:, None] ** 2 + torch.fft.rfftfreq(width) ** 2).sqrt()


def waves_of(images):
    """The waves of each opponent colour, (b,3,h,w) in [0, 1] -> complex (b,3,h,w//2+1); black and white are moved to 1% and 99%."""
    planes = torch.einsum("kc,bchw->bkhw", OPPONENT.to(wide(images)), wide(images.detach()).clamp(0.01, 0.99).logit())
    return torch.fft.rfft2(planes, norm="ortho")


def image_of(waves, colours, size):
    """The picture of these waves, complex (b,3,h,w//2+1) -> (b,3,h,w) within (0, 1): what `waves_of` takes apart."""
    planes = torch.fft.irfft2(waves, s=size, norm="ortho")
    return torch.einsum("kc,bkhw->bchw", colours, planes).sigmoid()      # the inverse of these axes is their transpose


def mean_magnitude(photographs):
    """How strong waves of each frequency are in photographs: (n,3,h,w) in [0, 1], of an even width -> (3,h,w//2+1).

    The mean over the photographs and over all directions: the edges of a photograph, which do not meet, would make crosses. The
    mean colour is left out, so that pictures with these magnitudes are grey on average.
    """
    check_images(photographs)
    h, w = photographs.shape[2:]
    if w % 2:
        raise ValueError(f"Got photographs {w} pixels wide; expected an even number. Try resize(photographs, 224).")
    strength = waves_of(photographs).abs().mean(0).flatten(1)
    ring = (frequencies(h, w) * max(h, w)).round().long().flatten().to(strength.device)     # 0 is the mean colour
    total, times = (v.new_zeros(3, int(ring.max()) + 1).index_add(1, ring, v) for v in (strength, torch.ones_like(strength)))
    total[:, 0] = 0
    return (total / times.clamp(min=1))[:, ring].view(3, h, -1)
