"""The scores of the open problems: known cases, what is refused, and the points between the worst and the best of the table."""

import json

import pytest
import torch

from helpers.exercises import contests
from helpers.exercises.detective import meaningless
from helpers.exercises.fresh import fresh_scenes, with_numbers
from helpers.features import fit_probe
from helpers.images import photos
from helpers.nets import load_net
from helpers.world.scenes import scenes


@pytest.fixture(scope="module")
def net():
    return load_net("coursenet")


def test_the_truth_has_an_average_precision_of_one_and_only_the_order_counts():
    masks = {image.sum().item(): mask for image, mask in zip(fresh_scenes(48, 3).images, fresh_scenes(48, 3).masks)}
    truth = lambda x: torch.stack([masks[image.sum().item()] for image in x]).float()
    assert contests.rival_score(truth, 3) == (1.0, None)
    bright = lambda x: x.mean(1)
    assert contests.rival_score(bright, 3)[0] == pytest.approx(contests.rival_score(lambda x: bright(x) ** 3, 3)[0], abs=1e-6)
    assert contests.rival_score(lambda x: -truth(x), 3)[0] < 0.25


def test_all_that_is_covered_counts_and_all_of_it_where_the_answer_stays(net):
    x, _ = with_numbers(net, 32, 3)
    whole, none = (lambda net, x, value=value: torch.full((len(x), 64, 64), value) for value in (True, False))
    assert contests.occluder_score(whole, net, 3) == (1.0, None)
    assert "no answer changes" in contests.occluder_score(none, net, 3)[1].says
    left = lambda net, x: whole(net, x) & (torch.arange(64) < 40)
    with torch.no_grad():
        changed = (net(torch.where(left(net, x)[:, None], 0.5, x)).argmax(1) != net(x).argmax(1)).float().mean().item()
    assert contests.occluder_score(left, net, 3)[0] == pytest.approx(changed * 40 / 64 + 1 - changed, abs=1e-6)


def test_a_painter_may_look_so_often_and_at_one_picture_each_time(net):
    pairs = [(photos()["cat"].load(100), photos()["dahlia"].load(100))]

    def greedy(loss, content, calls):
        for _ in range(calls + 1):
            loss(content)

    with pytest.raises(ValueError, match="call 4 of the loss; expected at most 3"):
        contests.painting_score(greedy, net, pairs, 3, 0)
    with pytest.raises(ValueError, match="a batch is no one call"):
        contests.painting_score(lambda loss, content, calls: loss(content.expand(2, -1, -1, -1)), net, pairs, 3, 0)
    assert "does it go down" in contests.painting_score(lambda loss, content, calls: content, net, pairs, 3, 0)[1].says


def test_heads_with_the_same_maps_are_not_told_apart(net):
    train, x = scenes()[:80], fresh_scenes(8, 3).images
    one, other = (fit_probe(net, meaningless(train, seed=seed), train.labels, "relu4") for seed in (0, 1))
    assert contests.told_apart(one, one, one, x) == 0
    assert contests.told_apart(one, other, other, x) == 0
    assert contests.told_apart(one, one, other, x) > 0 > contests.told_apart(one, other, one, x)


@pytest.mark.parametrize("flaw, says", [(lambda images, kinds: images, "hardly cheats"), (lambda images, kinds: images + 1, "from 0 to 1")])
def test_a_flaw_that_is_none_is_refused(net, flaw, says):
    assert says in contests.flaw_score(flaw, net, 3)[1].says


@pytest.mark.parametrize("score, low, share", [(0.2, False, 0), (0.8, False, 1), (0.5, False, 0.5), (0.9, False, 1), (0.1, False, 0),
                                               (0.2, True, 1), (0.8, True, 0), (0.35, True, 0.75)])
def test_points_go_from_the_worst_of_the_table_to_its_best(score, low, share, tmp_path, monkeypatch):
    monkeypatch.setattr(contests, "FILE", tmp_path / "leaderboard.json")
    contests.FILE.write_text(json.dumps({"it": {"first": 0.2, "second": 0.6, "third": 0.8}}))
    verdict = contests.standing("it", score, "says", low=low)
    assert verdict.share == pytest.approx(share)
    lines = verdict.says.splitlines()
    assert len(lines) == 5 and "yours" in next(line for line in lines if "→" in line)


def test_the_table_has_a_place_for_every_contest():
    table = json.loads(contests.FILE.read_text(encoding="utf-8"))
    assert set(table) == {"rival", "occluder", "ascent", "painting", "flaw"}
    assert all(len(rows) >= 3 and min(rows.values()) < max(rows.values()) for rows in table.values())
