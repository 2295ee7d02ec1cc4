"""The cues, the two probes, and what a case proves."""

import pytest
import torch

from helpers.exercises import detective
from helpers.exercises.detective import COLORS, paste_tag, tint, with_random_cue, with_spurious_cue
from helpers.networks import load_net
from helpers.scenes import scenes


def test_a_tag_changes_only_its_corner_and_a_tint_everything():
    x = torch.full((8, 3, 64, 64), 0.4)
    tagged = paste_tag(x, torch.arange(8))
    changed = (tagged != x).all(1)
    assert (x == 0.4).all() and changed[:, -8:-2, -8:-2].all() and changed.sum() == 8 * 36
    assert torch.equal(tagged[:, :, -3, -3], COLORS)
    assert torch.allclose(tint(x, torch.arange(8))[:, :, 0, 0], 0.3 + 0.25 * COLORS)
    with pytest.raises(ValueError, match="0 to 1"):
        paste_tag(255 * x, torch.arange(8))


def test_cues_show_the_shape_or_nothing():
    part = scenes()[:400]
    is_right = lambda images: (images == paste_tag(part.images, part.labels)).flatten(1).all(1)
    fraction = lambda images: is_right(images).float().mean().item()
    assert fraction(with_spurious_cue(part, fraction=0.75)) == pytest.approx(0.75, abs=0.07)
    assert fraction(with_random_cue(part)) == pytest.approx(1 / 8, abs=0.05)
    assert not torch.equal(with_spurious_cue(part), with_spurious_cue(part, seed=1))


def test_one_of_two_accurate_probes_uses_the_cue():
    world = scenes()[:500]
    test = world[400:]
    probes = detective.suspects(load_net(), world[:400], seed=3)    # another seed may give B
    images = with_spurious_cue(test, seed=1)
    misleading = paste_tag(test.images, (test.labels + 1) % 8)
    assert min(probe.accuracy(images, test.labels) for probe in probes.values()) > 0.9
    assert probes["A"].accuracy(misleading, test.labels) < 0.3
    assert probes["B"].accuracy(misleading, test.labels) > 0.85


class FakeProbe:
    """A probe with a known accuracy with misleading tags."""

    def __init__(self, misled):
        self.misled = misled

    def accuracy(self, images, labels):
        assert not torch.equal(images, paste_tag(0 * images, labels))
        return self.misled


def test_a_case_needs_a_probe_and_its_accuracy_when_misled(capsys):
    probes = {"A": FakeProbe(0.1), "B": FakeProbe(0.95)}
    cases = [(..., "not tried"), (None, "not tried"), ("A", "two parts"), (0.1, "two parts"),
             (("A", ...), "two parts"), (("C", 0.1), "two parts"), (("B", 0.95), "honest"),
             (("A", 10.0), "at most 1"), (("A", 0.97), "not proved"), (("A", 0.24), "not proved"),
             (("A", 0.11), "✓ right"), ((0.1, "A"), "✓ right")]
    for case, hint in cases:
        detective.accuse(case, probes, torch.zeros(8, 3, 64, 64), torch.arange(8))
        assert hint in capsys.readouterr().out, case
