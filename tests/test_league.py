"""The league of heat maps: its rivals and its arithmetic by hand, one small game, and the figures that are stored."""

import json

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.features import codes
from helpers.nets import DATA, load_net
from helpers.recipes.league import MEASURES, judged, main, maps_of, own, summary, table, with_readout
from helpers.rivals import untrained
from helpers.world.scenes import SHAPES, render_scenes


def test_each_image_is_asked_for_its_own_class():
    scores = torch.arange(12.0).view(4, 3)
    k = torch.tensor([2, 0])
    assert own(lambda x: x, k)(scores[:2]).tolist() == [2, 3]
    assert own(lambda x: x, k)(scores).tolist() == [2, 3, 8, 9]      # two copies of a batch of two, as occlusion asks


def test_differences_are_paired_and_low_deletion_is_good():
    generator = torch.Generator().manual_seed(0)
    random = torch.rand(len(MEASURES), 50, generator=generator)
    better = random + 0.1 * torch.tensor(list(MEASURES.values()))[:, None]
    found = summary({"random": random, "centre": better, "saliency, untrained": random, "good": better})
    for measure, row in found["good"].items():
        assert row["better than random"] == pytest.approx([0.1] * 3, abs=1e-5), measure
        assert row["better than centre"] == [0, 0, 0]
    assert found["random"]["deletion"]["better than centre"][1] < 0
    assert "+.+" in table(found).splitlines()[-1] and ".-." in table(found).splitlines()[1]


def test_a_small_game():
    net, scenes = load_net("coursenet"), render_scenes(range(3), seed=5)
    maps = maps_of(net, untrained("coursenet"), "coursenet", scenes.images, scenes.labels + 64, torch.Generator().manual_seed(0))
    assert all(m.shape == (3, 64, 64) and m.isfinite().all() for m in maps.values())
    results = judged(net, "coursenet", scenes, scenes.labels + 64)
    assert results.keys() == {*maps, "the object itself"}
    assert all(rows.shape == (4, 3) and rows.min() >= 0 and rows.max() <= 1 for rows in results.values())


def test_a_readout_is_logistic_regression_of_the_pooled_features():
    net, scenes = load_net("efficientnet-lite0"), render_scenes(range(48), seed=5)
    read = with_readout(net, scenes)
    assert read.classes == list(SHAPES) and read(scenes.images).shape == (48, 8)
    assert (read(scenes.images).argmax(1) == scenes.labels).float().mean() > 0.95       # those that it was fitted to
    z = codes(net, scenes.images, "avgpool")["avgpool"].numpy()
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)).fit(z, scenes.labels.numpy())
    expected = torch.from_numpy(theirs.predict_proba(z)).double()
    torch.testing.assert_close(read(scenes.images).softmax(1).double(), expected, rtol=1e-3, atol=1e-4)


def test_the_stored_figures_are_whole():
    stored = json.loads((DATA / "league.json").read_text())
    assert stored["command"].startswith("python -m helpers.recipes.league") and set(stored["networks"]) == {
        "coursenet", "coursenet-robust", "efficientnet-lite0"}
    for played in stored["networks"].values():
        assert played["scenes"] >= 100 and played["named right"] > 0.9
        for row in played["methods"].values():
            assert row.keys() == MEASURES.keys()
            assert all(0 <= v["mean"] <= 1 and v["better than random"][1] <= v["better than random"][0] <= v["better than random"][2]
                       for v in row.values())


def test_a_part_is_not_stored_as_the_whole(capsys):
    with pytest.raises(SystemExit):
        main(["--networks", "coursenet", "--write"])
    assert "leave --networks out" in capsys.readouterr().err
