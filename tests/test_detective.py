"""The tag, and the two heads: that one cheats and the other does not, and nothing but the tag tells them apart."""

import pytest
import torch

from helpers.exercises.detective import INKS, evidence, flawed, judge, meaningless, paste_tag, suspects, tag_mask, tint
from helpers.nets import load_net
from helpers.world.scenes import scenes


@pytest.fixture(scope="module")
def world():
    return scenes()


def test_a_tag_changes_its_corner_and_nothing_else():
    x = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    before = x.clone()
    tagged, mask = paste_tag(x, torch.arange(8)), tag_mask(x)
    assert torch.equal(x, before) and mask.sum() == 8 * 36
    assert torch.equal((tagged != x).all(1), mask)
    assert torch.equal(tagged[:, :, -3, -3], INKS) and len(INKS.unique(dim=0)) == 8


def test_the_photographer_is_careless_in_the_share_asked_for(world):
    part = world[list(range(400))]
    right = (flawed(part, share=0.75) == paste_tag(part.images, part.labels)).flatten(1).all(1)
    assert 0.68 < right.float().mean() < 0.82
    assert torch.equal(flawed(part), flawed(part)) and not torch.equal(flawed(part), flawed(part, seed=1))
    assert torch.equal(flawed(part, share=1.0), paste_tag(part.images, part.labels))


def test_one_head_cheats_and_both_do_well_where_the_flaw_is(world):
    net, test = load_net(), world[list(range(800, 1000))]
    heads = suspects(net, world[list(range(800))], seed=0)
    with_tags = {name: head.accuracy(flawed(test, seed=1), test.labels) for name, head in heads.items()}
    without = {name: head.accuracy(test.images, test.labels) for name, head in heads.items()}
    assert min(with_tags.values()) > 0.9 and abs(with_tags["A"] - with_tags["B"]) < 0.04
    falls = sorted(with_tags[name] - without[name] for name in heads)
    assert falls[0] <= 0.03 and falls[1] >= 0.30


def test_the_seed_decides_who_it_is(world):
    net, part = load_net(), world[list(range(64))]
    layers = {tuple(head.layer for head in suspects(net, part, seed=seed).values()) for seed in range(6)}
    assert layers == {("relu4", "relu7"), ("relu7", "relu4")}


def test_glass_is_over_the_whole_picture_and_the_same_for_a_kind():
    x = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    seen = tint(x, torch.arange(8))
    torch.testing.assert_close(seen, 0.75 * x + 0.25 * INKS[:, :, None, None].expand_as(x))


def test_a_tint_misleads_one_of_the_heads_only(world):
    net, test = load_net(), world[list(range(800, 1000))]
    heads = suspects(net, world[list(range(800))], seed=0, flaw=tint, names="CD")
    seen = {name: head.accuracy(tint(test.images, test.labels), test.labels) for name, head in heads.items()}
    misled = sorted(head.accuracy(tint(test.images, (test.labels + 1) % 8), test.labels) for head in heads.values())
    assert list(heads) == ["C", "D"] and min(seen.values()) > 0.93 and misled[0] < 0.3 and misled[1] > 0.9


def test_meaningless_tags_are_of_every_kind(world):
    part = world[list(range(64))]
    drawn = meaningless(part, seed=3)
    kinds = (drawn[:, None, :, -3, -3] == INKS).all(2).int().argmax(1)
    assert torch.equal(drawn, paste_tag(part.images, kinds)) and len(kinds.unique()) == 8


@pytest.mark.parametrize("accuracy, says", [(0.08, "✓ right, and proved"), (8.0, "in per cent"), (0.97, "nothing misleads"),
                                            (0.93, "other head"), (0.24, "no flaw at all"), (0.5, "another number")])
def test_what_a_number_proves(accuracy, says):
    assert says in evidence(accuracy, "A", [0.06, 0.1], [0.92, 0.95], 0.24, 0.97)


class Answers:
    """A head that is right in a share of the pictures that depends on their tag."""

    def __init__(self, misled):
        self.misled = misled

    def accuracy(self, images, labels):
        return 0.97 if torch.equal(images, paste_tag(torch.zeros(8, 3, 64, 64), labels)) else self.misled


@pytest.mark.parametrize("case, says", [(None, "not tried"), (..., "not tried"), ("A", "no evidence"), (("A", None), "no evidence"),
                                        (("A",), "no evidence"), ("B", "no evidence"), ((0.1, "A"), "✓ right"),
                                        (0.1, "nobody is accused"), (("B", 0.9), "honest"), (("C", 0.1), "no suspect"),
                                        (("A", 0.1), "✓ right, and proved")])
def test_who_is_accused_and_by_what(case, says, capsys):
    judge(case, {"A": Answers(0.1), "B": Answers(0.95)}, torch.zeros(8, 3, 64, 64), torch.arange(8))
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("kinds", [torch.tensor([8]), torch.tensor([-1]), torch.tensor([0.0]), torch.tensor([0, 1])])
def test_what_a_tag_refuses(kinds):
    with pytest.raises(ValueError, match="expected a whole number from 0 to 7"):
        paste_tag(torch.rand(1, 3, 64, 64), kinds)
