"""The recipes behind the stored tables of 02_gradients: their parts by hand, small runs, and what is stored."""

import json

import pytest
import torch

from helpers.images import load_tiles
from helpers.nets import DATA, PHOTOGRAPHS, load_net
from helpers.param import FourierImage, PixelImage
from helpers.recipes import ascent, budgets, progression, relabelled, seeds
from helpers.world.scenes import SHAPES, scenes


def stored(name):
    return json.loads((DATA / f"{name}.json").read_text())


# ---- ascent ----

def test_between_pixels_and_waves_both_ends_are_the_images_themselves():
    """With all four properties it draws what FourierImage does; with none, what PixelImage does."""
    waves, ours = FourierImage.noise(64, 64, batch=2), ascent.Exchanged(2)
    factor = (waves.scale[0] / ours.falloff[0]).mean()
    waves.spectrum.data = ours.parameter.data / factor
    torch.testing.assert_close(ours(), waves(), rtol=1e-3, atol=1e-4)
    pixels = ascent.Exchanged(2, sigmoid=False, colours=False, waves=False, sigma=0.1)
    torch.testing.assert_close(pixels(), PixelImage(0.5 + pixels.parameter.detach().clamp(-0.5, 0.5))())


def test_each_exchange_changes_one_thing():
    rows = ascent.exchanges(torch.Generator())
    assert list(rows)[0].startswith("pixels") and len({len(row) for row in rows.values()}) == 1
    assert all(row[2] == rows["and 1/f"][2] for row in rows.values())       # the same step lengths are tried for all


def test_what_was_best_for_some_classes_is_asked_of_others(monkeypatch):
    """Strength 2 is best on the chosen classes and worst on the judged ones: the judged share is reported."""
    asked = []

    def drawn(net, other, classes, how, dice):
        asked.append(classes)
        chosen = classes == ascent.CHOSEN
        good = (how["s"] == 2) == chosen
        return {n: torch.tensor([good] * 3 + [False]) for n in ascent.LENGTHS}

    monkeypatch.setattr(ascent, "drawn", drawn)
    found = ascent.at_its_best(None, None, lambda s, lr: {"s": s}, (1, 2), (0.1,), torch.Generator())
    assert found["strength"] == 2 and found["chosen"] == 0.75 and found["judged"] == 0 and asked[-1] == ascent.JUDGED
    assert not set(ascent.CHOSEN) & set(ascent.JUDGED) and len(ascent.CHOSEN) == len(ascent.JUDGED) == 32


def test_stored_rows_of_ascent():
    facts, dice = stored("ascent"), torch.Generator()
    assert set(facts["exchanged"]) == set(ascent.exchanges(dice))
    assert set(ascent.regularisers(dice)) < set(facts["regularisers"])
    for row in (*facts["regularisers"].values(), *facts["exchanged"].values()):
        assert 0 <= row["judged"] <= 1 and row["steps"] in ascent.LENGTHS and (32 * row["judged"]) % 1 == pytest.approx(0)


# ---- budgets ----

def test_what_fell_to_a_smaller_budget_stays_fallen(random_net, monkeypatch):
    monkeypatch.setitem(budgets.BUDGETS, "l2", (0.01, 1.0, 3.0))
    x = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    k = random_net(x).argmax(1)
    right = budgets.survivors(random_net, x, k, "l2", "one step")
    assert right.shape == (3, 6) and (right.int().diff(dim=0) <= 0).all() and right[0].any()
    assert not budgets.survivors(random_net, x, (k + 1) % 10, "l2", "one step").any()      # nothing stands, nothing is attacked


@pytest.mark.parametrize("kind", ["at random", "one step", "best attack"])
@pytest.mark.parametrize("norm, epsilon", [("l2", 0.5), ("linf", 4 / 255)])
def test_attacks_stay_within_their_budget(random_net, images, kind, norm, epsilon):
    y = budgets.attacked(random_net, images, torch.tensor([0, 1, 2]), epsilon=epsilon, norm=norm, kind=kind,
                         generator=torch.Generator().manual_seed(0))
    far = (y - images).flatten(1)
    length = far.norm(dim=1) if norm == "l2" else far.abs().amax(1)
    assert (length <= epsilon + 1e-5).all() and (length > 0.3 * epsilon).all() and 0 <= y.min() and y.max() <= 1


def test_stored_budgets_fall_and_attacks_beat_chance():
    facts = stored("budgets")
    for f in facts["networks"].values():
        for norm, values in facts["budgets"].items():
            assert len(values) >= 6 and values == sorted(values)
            for kind in ("one step", "best attack"):
                rows = [f["unchanged"], *f[norm][kind]]
                assert rows == sorted(rows, reverse=True)
            assert all(best <= one + 1e-9 for best, one in zip(f[norm]["best attack"], f[norm]["one step"], strict=True))
            assert f[norm]["at random"][5] > f[norm]["best attack"][5] + 0.3       # at 1.5, and at 6 of 255


# ---- progression ----

def test_every_way_draws_one_picture_a_class(random_net):
    dice = torch.Generator()
    for name, how in progression.rows(dice).items():
        pictures = progression.draw(random_net, random_net.classes[:2], how, dice, steps=1)
        assert pictures.shape == (2, 3, 224, 224) and 0 <= pictures.min() and pictures.max() <= 1, name


def test_stored_rows_and_sheets_of_the_progression():
    facts = stored("progression")
    assert list(facts["rows"]) == list(progression.rows(torch.Generator()))
    assert len(load_tiles(DATA / "pictures/progression.webp", progression.TILE)) == 9 * 6
    assert len(load_tiles(DATA / "pictures/quiz.webp", progression.TILE)) == 2 * 12
    assert not set(facts["shown"]) & set(facts["asked"]) and len(set(facts["asked"])) == 12


# ---- relabelled ----

def test_new_labels_say_nothing_of_the_old_and_pictures_move_towards_them():
    world, net = scenes()[list(range(16))], load_net("coursenet")
    images = (world.images * 255).round().byte()
    goals = (world.labels + 3) % len(SHAPES)
    moved = relabelled.towards(net, images, goals + PHOTOGRAPHS, 1.0)
    before, after = ((net(v.float() / 255).argmax(1) == goals + PHOTOGRAPHS).float().mean() for v in (images, moved))
    assert before < 0.2 and after > 0.6
    far = (moved.float() - images.float()).flatten(1).norm(dim=1) / 255
    assert far.max() < 1.1 and relabelled.at_random(images, 1.0, torch.Generator()).shape == images.shape


def test_a_fresh_network_learns_what_it_is_taught():
    """Red or green pictures of noise: a few steps are enough, and the random state outside is left alone."""
    labels, state = torch.arange(40) % 2, torch.get_rng_state()
    images = torch.randint(0, 60, (40, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    images[torch.arange(40), labels] += 180
    net = relabelled.trained(images, labels, epochs=3, seed=0, batch=10)
    assert (net(images.float() / 255).argmax(1) == labels).float().mean() > 0.9 and torch.equal(torch.get_rng_state(), state)


def test_stored_sets_of_the_relabelled():
    sets = stored("relabelled")["sets"]
    assert set(sets) >= {"true labels", "not moved", "moved at random", "moved by coursenet", "moved by an untrained network"}
    assert all(0 <= share <= 1 for f in sets.values() for share in f.values() if share is not None)
    assert sets["moved by coursenet"]["readout of coursenet"] > sets["not moved"]["readout of coursenet"] + 0.5


# ---- seeds ----

def test_objects_stand_in_the_corners_asked_for():
    world = seeds.in_corners(6)
    for mask in world.masks:
        rows, columns = mask.nonzero().float().mean(0)
        assert abs(rows - 31.5) > 5 and abs(columns - 31.5) > 5


def test_stored_seeds_hold_all_rivals():
    facts = stored("seeds")
    nets = {name: load_net("coursenet", weights=None) for name in ("untrained", "coursenet", "robust")}
    world = scenes()[[0, 1]]
    assert list(facts["maps"]) == list(seeds.maps_of(nets, world.images, world.labels + PHOTOGRAPHS))
    for row in facts["maps"].values():
        for place in row.values():
            for f in place.values():
                gain, low, high = f["better than the middle"]
                assert 0 <= f["mean"] <= 1 and low <= gain <= high
