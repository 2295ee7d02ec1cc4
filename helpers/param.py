"""Parametrisations: modules whose forward() is the image, (1,3,h,w) in [0, 1]. To synthesise is to descend their parameters."""

import torch
from torch import nn

from helpers.images import check_images, pair

# Brightness, and two differences of colours at right angles to it: nearly the principal axes of the colours of photographs
# (Ohta 1980). The last row says how large each is, measured on the photographs of `photos()`: a picture in which colour
# differences are as large as those of brightness looks gaudy.
OPPONENT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]]) / torch.tensor([[3.0], [2.0], [6.0]]).sqrt()
SPREAD = torch.tensor([1.0, 0.47, 0.17])


class PixelImage(nn.Module):
    """The plainest one: each pixel is a parameter. Steps may leave [0, 1]; `project` brings the pixels back after each."""

    def __init__(self, start):
        """Starts from an image (b,3,h,w) in [0, 1], which is copied."""
        super().__init__()
        check_images(start)
        self.pixels = nn.Parameter(start.detach().clone())

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

    def __init__(self, start):
        """Starts from an image (b,3,h,w) in [0, 1]; black and white are moved to 1% and 99%."""
        super().__init__()
        check_images(start)
        b, _, h, w = start.shape
        frequency = (torch.fft.fftfreq(h)[:, None] ** 2 + torch.fft.rfftfreq(w) ** 2).sqrt().clamp(min=1 / max(h, w))
        self.register_buffer("scale", (SPREAD[:, None, None] / frequency / max(h, w) ** 0.5).to(start))
        self.register_buffer("colours", OPPONENT.to(start))
        self.size = (h, w)
        planes = torch.einsum("kc,bchw->bkhw", self.colours, start.detach().clamp(0.01, 0.99).logit())
        waves = torch.fft.rfft2(planes, norm="ortho") / self.scale
        self.spectrum = nn.Parameter(torch.view_as_real(waves).contiguous())

    @classmethod
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
        planes = torch.fft.irfft2(waves, s=self.size, norm="ortho")
        return torch.einsum("kc,bkhw->bchw", self.colours, planes).sigmoid()      # the inverse of these axes is their transpose
