"""The recipe of cue conflicts: its parts on a small scale, and the table that is stored."""

import json

import pytest
import torch

from helpers.images import photos, to_pil
from helpers.nets import DATA, OURS, load_net
from helpers.recipes import cue_conflict


def test_photographs_are_those_of_classes_that_all_know(tmp_path):
    for name in ("n01_pizza", "n02_lemon", "n03_no_such_thing", "n04_goose"):
        to_pil(photos()["cat"].load(64)).save(tmp_path / f"{name}.png")
    nets = {name: load_net(name) for name in OURS}
    names, x = cue_conflict.photographs(tmp_path, nets)
    assert names == ["pizza", "lemon", "goose"] and x.shape == (3, 3, 224, 224)
    with pytest.raises(SystemExit, match="expected at least 2"):
        cue_conflict.photographs(tmp_path / "nowhere", nets)


def test_an_answer_is_one_of_the_classes(images):
    net = load_net("coursenet")
    said = cue_conflict.answers(net, images, ["pizza", "goose"], 64)
    scores = net(images)[:, [net.classes.index("pizza"), net.classes.index("goose")]]
    assert torch.equal(said, scores.argmax(1))


def test_conflicts_have_two_classes_each(random_net, images):
    maker = {"layers": ["relu1"], "content_layer": "relu2", "sizes": (32,), "steps": (1,)}
    x, shape, texture = cue_conflict.conflicts(random_net, images, 2, maker, 3.0)
    assert x.shape == (6, 3, 32, 32) and shape.tolist() == [0, 0, 1, 1, 2, 2]
    assert (shape != texture).all() and len(set(zip(shape.tolist(), texture.tolist()))) == 6


def test_bias_by_hand():
    shape, texture = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 2, 0, 2])
    row = cue_conflict.bias(torch.tensor([0, 2, 1, 3]), shape, texture)     # shape, texture, shape, neither
    assert row["either"] == 0.75 and row["shape"] == pytest.approx(2 / 3) and row["low"] <= 2 / 3 <= row["high"]
    assert cue_conflict.bias(torch.tensor([3, 3, 3, 3]), shape, texture) == {"either": 0.0, "shape": None}


def test_the_rivals_know_what_they_should():
    """One looks at coarse brightness, and is moved by no colour; the other only at colours, and by no place."""
    x = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    coarse = torch.nn.functional.interpolate(x[..., :8, :8], 64, mode="nearest")
    tinted = 0.5 * coarse.mean(1, keepdim=True) + torch.tensor([0.3, 0.1, 0.0]).view(3, 1, 1)
    assert cue_conflict.nearest_pixels(tinted, coarse).tolist() == [0, 1, 2, 3, 4]
    shades = coarse * torch.linspace(0.2, 1, 5).view(-1, 1, 1, 1)
    moved = shades.flatten(2)[..., torch.randperm(64 * 64, generator=torch.Generator().manual_seed(1))].view_as(shades)
    assert cue_conflict.nearest_colours(moved, shades).tolist() == [0, 1, 2, 3, 4]


def test_the_stored_table():
    facts = json.loads((DATA / "cue_conflict.json").read_text())
    assert len(facts["classes"]) >= 15 and "cue_conflict" in facts["command"] and len(facts["bias"]) == 4
    for rows in facts["bias"].values():
        assert {*cue_conflict.SIDE} < rows.keys()
        for row in rows.values():
            assert row["low"] <= row["shape"] <= row["high"] and 0 < row["either"] <= 1
        # The rivals are what their names say.
        assert rows["8 x 8 grey pixels"]["shape"] > 0.9 and rows["colours alone"]["shape"] < 0.5


@pytest.mark.parametrize("textures", ["0", "3"])
def test_no_photograph_is_its_own_texture(tmp_path, textures):
    for name in ("n01_pizza", "n02_lemon", "n03_goose"):
        to_pil(photos()["cat"].load(64)).save(tmp_path / f"{name}.png")
    with pytest.raises(SystemExit, match="expected 1 to 2"):
        cue_conflict.main(["--photos", str(tmp_path), "--textures", textures])
