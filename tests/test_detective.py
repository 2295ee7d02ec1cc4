"""The tag, and the two heads: that one cheats and the other does not, and nothing but the tag tells them apart."""

import pytest
import torch

from helpers.exercises.detective import INKS, flawed, paste_tag, suspects, tag_mask
from helpers.exercises.quiz import QUESTIONS
from helpers.interact import ask
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


@pytest.mark.parametrize("kinds", [torch.tensor([8]), torch.tensor([-1]), torch.tensor([0.0]), torch.tensor([0, 1])])
def test_what_a_tag_refuses(kinds):
    with pytest.raises(ValueError, match="expected a whole number from 0 to 7"):
        paste_tag(torch.rand(1, 3, 64, 64), kinds)


# ---- quiz ----

@pytest.mark.parametrize("number, asked", list(enumerate(QUESTIONS, 1)))
def test_each_question_has_one_right_answer_and_says_why(number, asked):
    question, answers, right = asked
    assert question.startswith(f"{number}. ") and len(answers) >= 3
    assert [answer for answer, why in answers.items() if why.startswith("Yes")] == [right]
    assert list(ask(question, answers, right=right).children[1].options) == list(answers)


def test_the_right_answer_is_not_always_at_the_same_place():
    places = [list(answers).index(right) for _, answers, right in QUESTIONS]
    assert len(QUESTIONS) == 10 and max(map(places.count, places)) <= 5
