"""Two detective stories: linear probes with the same accuracy, one of which uses a spurious cue.

Such a probe is called a Clever Hans, after the horse that read the answers in its master's face
(Lapuschkin 2019).
"""

import torch

from helpers.exercises.feedback import NOT_TRIED, Feedback, prints_feedback, require
from helpers.features import Probe
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
    return images.lerp(COLORS.to(images)[kinds][:, :, None, None], OPACITY)


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
    # An honest probe needs a later layer to be as accurate as one that reads the cue.
    cheat = Probe(net, with_spurious_cue(scenes, cue=cue), scenes.labels, "relu4")
    honest = Probe(net, with_random_cue(scenes, seed=seed, cue=cue), scenes.labels, "relu7")
    cheat_first = torch.rand((), generator=torch.Generator().manual_seed(seed)) < 0.5
    probes = (cheat, honest) if cheat_first else (honest, cheat)
    return dict(zip(names, probes, strict=True))


@prints_feedback
def accuse(case, probes, images, labels, cue=paste_tag):
    """Check a case: (name of the probe that uses the cue, its accuracy when misled).

    `images` have no cues. Any misleading cues will do: the accuracy counts if some shift of the
    kinds gives it, up to two percentage points.
    """
    if case is None or case is Ellipsis:
        return NOT_TRIED
    accused, accuracy = read_case(case, probes)
    misled = {name: misled_accuracies(probe, images, labels, cue) for name, probe in probes.items()}
    lowest = {name: min(accuracies) for name, accuracies in misled.items()}
    require(accused == min(lowest, key=lowest.get),
            "that one is honest. Mislead it, and see how often it is still right")
    require(lowest[accused] - 0.02 <= accuracy <= max(misled[accused]) + 0.02,
            f"the right probe, but not proved: {accuracy:.3g} is not its accuracy (at most 1) with "
            "misleading cues. Give every image the cue of another shape, and compute it again")
    other = min(lowest[name] for name in probes if name != accused)
    return Feedback(1.0, f"✓ right, and proved: misled, {accused} has an accuracy of "
                         f"{accuracy:.0%}, the other probe at least {other:.0%}")


def read_case(case, probes):
    """Return the name and the accuracy of a case, which may be in either order."""
    try:
        first, second = case
        name, accuracy = (first, second) if first in probes else (second, first)
        accuracy = float(accuracy)
    except (TypeError, ValueError):
        name = None
    require(name in probes, f"a case has two parts: the name of a probe, {' or '.join(probes)}, in "
                            "quotes, and, as evidence, its accuracy with misleading cues")
    return name, accuracy


def misled_accuracies(probe, images, labels, cue):
    """Compute the accuracies with the cues of other kinds, for each shift of the kinds."""
    shifts = range(1, len(COLORS))
    return [probe.accuracy(cue(images, (labels + k) % len(COLORS)), labels) for k in shifts]
