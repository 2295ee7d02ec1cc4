"""Feature inversion: what picture has this code? Mahendran & Vedaldi 2015."""

import torch

from helpers.activations import activations
from helpers.errors import check_positive
from helpers.images import check_images
from helpers.losses import relative, total_variation
from helpers.optimize import descend
from helpers.param import PixelImage


def invert(net, x, layer, *, image=None, tv_weight=3e-4, steps=60, optimizer=None, seed=0):
    """Looks for a picture with the code that a layer has for x (1,3,h,w) -> generator of Step, as `descend`.

    Minimises |code - target|^2 / |target|^2 + tv_weight V, with V the total variation (beta 2), from grey noise of x's size
    (drawn by `seed`) by Adam, or from another `image` module (which may hold a batch) and by another `optimizer`. How near it came
    is told by `code_error`.
    """
    check_images(x), check_positive(tv_weight, "tv_weight", zero=True)
    if len(x) != 1:
        raise ValueError(f"Got {len(x)} images; expected one. Try x[:1].")
    with torch.no_grad():
        target = activations(net, x, layer)[layer]
    if image is None:
        image = PixelImage.noise(*x.shape[2:], generator=torch.Generator().manual_seed(seed), device=x.device)

    def loss(y):
        return (relative(activations(net, y, layer)[layer] - target, target) + tv_weight * total_variation(y)).sum()

    return descend(image, loss, steps=steps, optimizer=optimizer or (lambda p: torch.optim.Adam(p, lr=0.05)))


@torch.no_grad()
def code_error(net, found, x, layer):
    """How far the codes of found (b,3,h,w) are from that of x (1,3,h,w), relative: |code - target| / |target| -> (b,)."""
    check_images(found), check_images(x)
    if len(x) != 1:
        raise ValueError(f"Got {len(x)} images to compare with; expected one. Try x[:1].")
    codes, target = (activations(net, y, layer)[layer] for y in (found, x))
    return relative(codes - target, target).sqrt()
