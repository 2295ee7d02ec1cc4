"""Parametrisations: modules whose forward() is the image, (1,3,h,w) in [0, 1]. To synthesise is to descend their parameters."""

import torch
from torch import nn

from helpers.images import check_images


class PixelImage(nn.Module):
    """The plainest one: each pixel is a parameter. Steps may leave [0, 1]; `project` brings the pixels back after each."""

    def __init__(self, start):
        """Starts from an image (b,3,h,w) in [0, 1], which is copied."""
        super().__init__()
        check_images(start)
        self.pixels = nn.Parameter(start.detach().clone())

    @classmethod
    def noise(cls, height, width, *, sigma=0.1, mean=0.5, generator=None, device=None):
        """Grey with Gaussian noise of standard deviation `sigma` around `mean`, one image of height x width pixels."""
        if height < 1 or width < 1:
            raise ValueError(f"Got {height} x {width} pixels; expected at least 1 x 1.")
        noise = torch.randn(1, 3, height, width, generator=generator, device=device if generator is None else generator.device)
        return cls((mean + sigma * noise).clamp(0, 1).to(device))

    def forward(self):
        return self.pixels

    @torch.no_grad()
    def project(self):
        # After the step, not in forward: a clamp there would give saturated pixels no gradient ever again.
        self.pixels.clamp_(0, 1)
