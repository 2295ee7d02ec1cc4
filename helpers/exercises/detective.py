"""Two detective stories: linear probes with the same accuracy, one of which uses a spurious cue.

Such a probe is called a Clever Hans, after the horse that read the answers in its master's face
(Lapuschkin 2019).
"""

import torch

from helpers.features import fit_probe
from helpers.images import check_images

SIDE = 6            # of the tag, in pixels of 64
MARGIN = 2
OPACITY = 0.25      # of the tint
COLORS = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0],
                       [1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]]).float()


def paste_tag(images, kinds):
    """Paste a small tag into the lower right corner, with a color for each kind.

    (b,3,h,w) and (b,) from 0 to 7 -> (b,3,h,w).
    """
    check_images(images)
    tagged = images.clone()
    corner = slice(-SIDE - MARGIN, -MARGIN)
    tagged[:, :, corner, corner] = COLORS.to(images)[kinds][:, :, None, None]
    return tagged


def tint(images, kinds):
    """Tint whole images, with a color for each kind, (b,3,h,w) and (b,) -> (b,3,h,w)."""
    check_images(images)
    return (1 - OPACITY) * images + OPACITY * COLORS.to(images)[kinds][:, :, None, None]


def with_spurious_cue(scenes, *, fraction=0.97, seed=0, cue=paste_tag):
    """Add a cue, `paste_tag` or `tint`, that shows the shape of a fraction of the scenes.

    Scenes -> images (n,3,64,64). The other scenes get the cue of another shape.
    """
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randint(1, len(COLORS), (len(scenes),), generator=generator)
    others = (scenes.labels + shift) % len(COLORS)
    is_right = torch.rand(len(scenes), generator=generator) < fraction
    return cue(scenes.images, torch.where(is_right, scenes.labels, others))


def with_random_cue(scenes, *, seed=0, cue=paste_tag):
    """Add a random cue, which says nothing about the scene, Scenes -> images (n,3,64,64)."""
    generator = torch.Generator().manual_seed(seed)
    return cue(scenes.images, torch.randint(len(COLORS), (len(scenes),), generator=generator))


def suspects(net, scenes, *, seed, cue=paste_tag, names="AB"):
    """Train two linear probes for the shape of scenes -> dict name -> Probe.

    One sees cues that show the shape, the other random cues; `seed` decides which is which. The
    network is the same and stays as it is.
    """
    cheat = fit_probe(net, with_spurious_cue(scenes, cue=cue), scenes.labels, "relu4")
    honest = fit_probe(net, with_random_cue(scenes, seed=seed, cue=cue), scenes.labels, "relu7")
    cheat_first = torch.rand((), generator=torch.Generator().manual_seed(seed)) < 0.5
    probes = (cheat, honest) if cheat_first else (honest, cheat)
    return dict(zip(names, probes, strict=True))


def accuse(case, probes, images, labels, cue=paste_tag):
    """Print what a case proves: (name of the probe that uses the cue, its accuracy when misled).

    `images` have no cues. Any misleading cues will do: the accuracy counts if some shift of the
    kinds gives it, up to two percentage points.
    """
    print(review(case, probes, images, labels, cue))


def review(case, probes, images, labels, cue):
    """Return the feedback on a case; see `accuse`."""
    parts = case if isinstance(case, (tuple, list)) else [case]
    parts = [part for part in parts if part is not None and part is not Ellipsis]
    names = [part for part in parts if isinstance(part, str)]
    accuracies = [float(part) for part in parts if not isinstance(part, str)]
    if not parts:
        return "○ not tried yet"
    if not names:
        return "✗ evidence, but nobody is accused: give its name, in quotes, and the accuracy"
    name = names[0]
    if name not in probes:
        return f"✗ {name!r} is not a suspect; they are {', '.join(probes)}"
    if not accuracies:
        return "✗ an accusation, but no evidence: how accurate is that probe with misleading cues?"
    accuracy = lambda probe, shift: probe.accuracy(cue(images, (labels + shift) % 8), labels)
    misled = {}
    for known, probe in probes.items():
        misled[known] = [accuracy(probe, shift) for shift in range(1, 8)]
    if name != min(misled, key=lambda known: min(misled[known])):
        return "✗ that one is honest. Mislead it, and see how often it is still right"
    others = [value for other in probes if other != name for value in misled[other]]
    plain = probes[name].accuracy(images, labels)
    return weigh(accuracies[0], name, misled[name], others, plain, accuracy(probes[name], 0))


def weigh(accuracy, name, misled, others, plain, helped):
    """Return what an accuracy proves against a probe.

    It is compared with the accuracies of this probe with misleading cues, of the others, and of
    this probe without cues and with cues that show the shape.
    """
    is_near = lambda values: min(values) - 0.02 <= accuracy <= max(values) + 0.02
    if is_near(misled):
        return (f"✓ right, and proved: misled, {name} has an accuracy of {accuracy:.0%}, the other "
                f"probe at least {min(others):.0%}")
    start = "✗ you may have the right probe, but the evidence is "
    if accuracy > 1:
        return start + "a percentage; an accuracy is at most 1"
    if is_near([helped]) or is_near(others):
        return start + "its accuracy where nothing misleads it, or that of the other probe"
    if is_near([plain]):
        return start + "its accuracy without any cue. Mislead it, on every image"
    return start + "not its accuracy with misleading cues: compute it again"
