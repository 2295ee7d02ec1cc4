"""Feature inversion: which image has these features? Mahendran & Vedaldi 2015."""

import torch

from helpers.activations import activations
from helpers.images import check_images
from helpers.losses import relative_error, total_variation
from helpers.optimization import descend
from helpers.parametrization import PixelImage


def invert(net, x, layer, *, image=None, tv_weight=3e-4, steps=60,
           optimizer=lambda p: torch.optim.Adam(p, lr=0.05), seed=0):
    """Invert the features of x (1,3,h,w) at a layer: find an image that has them -> Steps.

    Minimizes ||features - target||^2 / ||target||^2 + tv_weight TV, with beta 2, by Adam from gray
    noise, or from another `image`, which may hold a batch, by another `optimizer`; see `descend`.
    """
    check_images(x)
    with torch.no_grad():
        target = activations(net, x, layer)
    if image is None:
        generator = torch.Generator().manual_seed(seed)
        image = PixelImage.noise(*x.shape[2:], batch=len(x), generator=generator, device=x.device)

    def loss(y):
        error = relative_error(activations(net, y, layer) - target, target)
        return (error + tv_weight * total_variation(y)).sum()

    return descend(image, loss, steps=steps, optimizer=optimizer)


@torch.no_grad()
def relative_feature_error(net, found, x, layer):
    """Compute ||features - target||^2 / ||target||^2 of images (b,3,h,w) to x (1,3,h,w): (b,)."""
    target = activations(net, x, layer)
    return relative_error(activations(net, found, layer) - target, target)
