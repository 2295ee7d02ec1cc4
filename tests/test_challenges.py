"""The scores of the open exercises: cases by hand, what is refused, and the ranking."""

import json

import pytest
import torch

from helpers.exercises import challenges
from helpers.exercises.detective import with_random_cue
from helpers.exercises.feedback import NotRight
from helpers.exercises.held_out_inputs import held_out_scenes
from helpers.features import Probe
from helpers.networks import load_net
from helpers.photos import photos
from helpers.scenes import scenes


def test_an_occluder_counts_its_pixels_and_all_where_the_prediction_stays():
    net = load_net()
    everything = lambda net, x: torch.ones(len(x), 64, 64, dtype=torch.bool)
    assert challenges.occluder_score(everything, net, seed=3) == 1
    half = lambda net, x: everything(net, x) & (torch.arange(64) < 32)
    assert 0.5 <= challenges.occluder_score(half, net, seed=3) < 1
    with pytest.raises(NotRight, match="no prediction"):
        challenges.occluder_score(lambda net, x: ~everything(net, x), net, seed=3)


def test_style_transfer_may_call_the_loss_so_often_with_one_image():
    pairs = [(photos()["cat"].load(100), photos()["dahlia"].load(100))]
    score = lambda mine: challenges.style_transfer_score(mine, load_net(), pairs, calls=3)
    with pytest.raises(ValueError, match="call 4"):
        score(lambda loss, content, calls: [loss(content) for _ in range(calls + 1)])
    with pytest.raises(ValueError, match="batch"):
        score(lambda loss, content, calls: loss(content.expand(2, -1, -1, -1)))
    with pytest.raises(NotRight, match="decrease"):
        score(lambda loss, content, calls: content)


def test_a_probe_is_revealed_by_maps_that_differ_from_an_honest_one():
    net = load_net()
    train = scenes()[:40]
    x = held_out_scenes(1, 3).images
    first, second = [Probe(net, with_random_cue(train, seed=seed), train.labels, "relu4")
                     for seed in (0, 1)]
    assert challenges.revealed(second, first, first, x) > 0
    assert challenges.revealed(second, first, second, x) == 0


def test_a_patch_is_pasted_into_scenes_that_it_has_not_seen():
    net = load_net()
    patch, patched = challenges.patched_scenes(lambda *_: torch.zeros(3, 16, 16), net, 3)
    changed = (patched != held_out_scenes(64, 3).images).any(1)
    assert patched.shape == (64, 3, 64, 64) and patch.max() == 0
    assert (changed.sum((1, 2)) <= 256).all() and changed.any(2).any(1).all()
    with pytest.raises(NotRight, match="no scene"):
        challenges.adversarial_patch_score(lambda *_: torch.full((3, 16, 16), 0.5), net, seed=3)


def test_an_answer_is_ranked_among_earlier_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(challenges, "LEADERBOARD", tmp_path / "leaderboard.json")
    challenges.LEADERBOARD.write_text(json.dumps({"it": {"first": 0.2, "second": 0.6}}))
    for low_is_good, order in [(False, ["second", "yours", "first"]),
                               (True, ["first", "yours", "second"])]:
        found = challenges.ranking("it", 0.3, "message", low_is_good=low_is_good)
        assert [line.split()[-1] for line in found.message.splitlines()[1:]] == order


def test_the_leaderboard_has_all_challenges():
    table = json.loads(challenges.LEADERBOARD.read_text(encoding="utf-8"))
    assert len(table) == 5
    assert all(challenges.PRINTED in rows and len(rows) >= 3 for rows in table.values())
    assert all(getattr(challenges, name).feedback for name in table)
