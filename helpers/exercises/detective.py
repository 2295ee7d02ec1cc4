"""Two detective stories: heads on one network, equally good on pictures that share a flaw, of which one reads the flaw.

Such a network is called a Clever Hans, after the horse that read the answers off its master's face. Lapuschkin 2019.
"""

import torch

from helpers.features import fit_probe
from helpers.images import check_images

SIDE, MARGIN = 6, 2     # of the tag, in pixels of 64
GLASS = 0.25            # the glass's share of what is seen through it
INKS = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]]).float()


def check_kinds(kinds, n):
    if kinds.shape != (n,) or kinds.is_floating_point() or not ((0 <= kinds) & (kinds < len(INKS))).all():
        raise ValueError(f"Got kinds {kinds.tolist()[:5]} for {n} images; expected a whole number from 0 to 7 for each.")


def paste_tag(images, kinds):
    """Copies with a small tag in the lower right corner, a colour for each kind, (b,3,h,w) and (b,) from 0 to 7 -> (b,3,h,w)."""
    check_images(images), check_kinds(kinds, len(images))
    tagged = images.clone()
    tagged[:, :, -SIDE - MARGIN:-MARGIN, -SIDE - MARGIN:-MARGIN] = INKS.to(images)[kinds][:, :, None, None]
    return tagged


def tag_mask(images):
    """Where the tag is, (b,3,h,w) -> (b,h,w) bool."""
    mask = torch.zeros(len(images), *images.shape[2:], dtype=torch.bool, device=images.device)
    mask[:, -SIDE - MARGIN:-MARGIN, -SIDE - MARGIN:-MARGIN] = True
    return mask


def tint(images, kinds):
    """Copies seen through coloured glass, a colour for each kind, (b,3,h,w) and (b,) from 0 to 7 -> (b,3,h,w)."""
    check_images(images), check_kinds(kinds, len(images))
    return (1 - GLASS) * images + GLASS * INKS.to(images)[kinds][:, :, None, None]


def flawed(world, *, share=0.97, seed=0, flaw=paste_tag):
    """Scenes as a careless photographer leaves them, Scenes -> (n,3,64,64): tags that name the shape, in `share` of them rightly.

    `flaw` may be another than tags: `tint`.
    """
    generator = torch.Generator().manual_seed(seed)
    wrong = (world.labels + torch.randint(1, len(INKS), (len(world),), generator=generator)) % len(INKS)
    return flaw(world.images, torch.where(torch.rand(len(world), generator=generator) < share, world.labels, wrong))


def meaningless(world, *, seed=0, flaw=paste_tag):
    """The same scenes with tags, or another flaw, drawn by chance: they tell nothing, Scenes -> (n,3,64,64)."""
    return flaw(world.images, torch.randint(len(INKS), (len(world),), generator=torch.Generator().manual_seed(seed)))


def suspects(net, world, *, seed, flaw=paste_tag, names="AB"):
    """Two heads for the shape of scenes, trained on `world`, dict of the names -> Probe; `seed` decides which of them cheats.

    One read tags that name the shape, the other tags that mean nothing; the network is the same and stays as it is.
    """
    cheat = fit_probe(net, flawed(world, flaw=flaw), world.labels, "relu4")
    honest = fit_probe(net, meaningless(world, seed=seed, flaw=flaw), world.labels, "relu7")
    first = torch.rand((), generator=torch.Generator().manual_seed(seed)) < 0.5
    return dict(zip(names, (cheat, honest) if first else (honest, cheat), strict=True))


def judge(case, heads, plain, labels, flaw=paste_tag):
    """Prints what a case is worth: (the head that cheats, the accuracy that misleading tags leave it), on pictures without any.

    Judged by what the heads do. Any wrong tags will do, so any accuracy is taken that some shift of the kinds leaves, and two
    points more or less.
    """
    if case is None or case is Ellipsis:
        print("○ not tried yet")
        return
    parts = list(case) if isinstance(case, (tuple, list)) else [case]
    name = next((part for part in parts if isinstance(part, str)), None)
    accuracy = next((part for part in parts if not isinstance(part, str) and part not in (None, Ellipsis)), None)
    left = {known: [head.accuracy(flaw(plain, (labels + shift) % len(INKS)), labels) for shift in range(1, len(INKS))]
            for known, head in heads.items()}
    if name is None:
        print("✗ evidence, but nobody is accused: give the head's name, in quotation marks, and the accuracy")
    elif name not in heads:
        print(f"✗ {name!r} is no suspect; they are {', '.join(heads)}")
    elif accuracy is None:
        print("✗ an accusation, but no evidence: what accuracy do misleading pictures leave that head?")
    elif name != min(left, key=lambda known: min(left[known])):
        print("✗ that one is honest. Mislead it, and count what it still gets right")
    else:
        others = [value for known, values in left.items() if known != name for value in values]
        print(evidence(float(accuracy), name, left[name], others, heads[name].accuracy(plain, labels),
                       heads[name].accuracy(flaw(plain, labels), labels)))


def evidence(accuracy, name, misled, others, without, rightly):
    """What a number proves, in words: what misled the head leaves it is the proof; what else it is may be known, too."""
    near = lambda *values: min(values) - 0.02 <= accuracy <= max(values) + 0.02
    if near(*misled):
        return f"✓ right, and proved: misled, {name} gets {accuracy:.0%} right, and the other {min(others):.0%} or more"
    if accuracy > 1:
        return "✗ the head may be right; the evidence is in per cent, and an accuracy is a share, at most 1"
    if near(rightly) or near(*others):
        return "✗ the head may be right; the evidence is what it gets where nothing misleads, or what the other head gets"
    if near(without):
        return "✗ the head may be right; the evidence is what it gets where there is no flaw at all. Mislead it, on every picture"
    return "✗ the head may be right; the evidence is another number than misleading pictures give: count once more"
