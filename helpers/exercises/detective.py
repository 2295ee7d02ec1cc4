"""A detective story: two heads on one network, equally good on pictures that share a flaw, of which one reads the flaw.

Such a network is called a Clever Hans, after the horse that read the answers off its master's face. Lapuschkin 2019.
"""

import torch

from helpers.features import fit_probe
from helpers.images import check_images

SIDE, MARGIN = 6, 2     # of the tag, in pixels of 64
INKS = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]]).float()


def paste_tag(images, kinds):
    """Copies with a small tag in the lower right corner, a colour for each kind, (b,3,h,w) and (b,) from 0 to 7 -> (b,3,h,w)."""
    check_images(images)
    if kinds.shape != (len(images),) or kinds.is_floating_point() or not ((0 <= kinds) & (kinds < len(INKS))).all():
        raise ValueError(f"Got kinds {kinds.tolist()[:5]} for {len(images)} images; expected a whole number from 0 to 7 for each.")
    tagged = images.clone()
    tagged[:, :, -SIDE - MARGIN:-MARGIN, -SIDE - MARGIN:-MARGIN] = INKS.to(images)[kinds][:, :, None, None]
    return tagged


def tag_mask(images):
    """Where the tag is, (b,3,h,w) -> (b,h,w) bool."""
    mask = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool, device=images.device)
    mask[:, -SIDE - MARGIN:-MARGIN, -SIDE - MARGIN:-MARGIN] = True
    return mask


def flawed(world, *, share=0.97, seed=0):
    """Scenes as a careless photographer leaves them, Scenes -> (n,3,64,64): tags that name the shape, in `share` of them rightly."""
    generator = torch.Generator().manual_seed(seed)
    wrong = (world.labels + torch.randint(1, len(INKS), (len(world),), generator=generator)) % len(INKS)
    return paste_tag(world.images, torch.where(torch.rand(len(world), generator=generator) < share, world.labels, wrong))


def suspects(net, world, *, seed):
    """Two heads for the shape of scenes, trained on `world`, dict "A", "B" -> Probe; `seed` decides which of them cheats.

    One read tags that name the shape, the other tags that mean nothing; the network is the same and stays as it is.
    """
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(len(INKS), (len(world),), generator=generator)
    cheat = fit_probe(net, flawed(world), world.labels, "relu4")
    honest = fit_probe(net, paste_tag(world.images, kinds), world.labels, "relu7")
    first, second = (cheat, honest) if torch.rand((), generator=generator) < 0.5 else (honest, cheat)
    return {"A": first, "B": second}
