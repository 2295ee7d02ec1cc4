import pytest
import torch
import torch.nn.functional as F

from helpers.scenes import KINDS, SHAPES, render_scenes, scenes
from helpers.scenes.renderer import march
from helpers.scenes.signed_distance import DISTANCE, MATERIAL, RADIUS


@pytest.fixture(scope="module")
def shipped():
    return scenes()


def random_points(seed, span):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(4000, 3, generator=generator, dtype=torch.float64) - 0.5) * span


def test_distances_never_exceed_the_true_distance():
    """A function that changes by at most 1 per unit of length (1-Lipschitz) is safe to march by."""
    p = random_points(0, 3)
    q = random_points(1, 3)
    for distance in DISTANCE.values():
        assert ((distance(p) - distance(q)).abs() <= (p - q).norm(dim=1) + 1e-9).all()
        inside = p[distance(p) <= 0]
        assert len(inside) > 0 and (inside.norm(dim=1) < RADIUS).all()


def test_distance_from_a_cube_by_hand():
    p = torch.tensor([[1.62, 0, 0], [0, 0, 0], [0, -0.62, 0]])
    torch.testing.assert_close(DISTANCE["cube"](p), torch.tensor([1.0, -0.62, 0.0]))


def test_ray_meets_a_sphere_where_it_should():
    origin = torch.tensor([[0.0, 0, 5], [0.0, 2, 5]])
    direction = torch.tensor([[0.0, 0, -1], [0.0, 0, -1]])
    t, hit = march(DISTANCE["sphere"], origin, direction, torch.full((2,), 5 - RADIUS))
    assert hit.tolist() == [True, False]
    assert t[0].item() == pytest.approx(5 - 0.85, abs=1e-3)


def test_materials_are_fractions():
    for name, material in MATERIAL.items():
        fraction = material(random_points(0, 4).float())
        assert fraction.min() >= 0 and fraction.max() <= 1
        assert (fraction.std() > 0.1) == (name != "plain")


def test_a_scene_depends_on_seed_and_index_only():
    scene = render_scenes([5], seed=3, size=32)
    among = render_scenes(6, seed=3, size=32)
    assert torch.equal(scene.images[0], among.images[5])
    assert among.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert not torch.equal(scene.images, render_scenes([5], seed=4, size=32).images)


def test_a_fixed_attribute_leaves_the_others():
    plain = render_scenes([2], seed=1, size=32, material="plain")
    marble = render_scenes([2], seed=1, size=32, material="marble")
    outside = ~F.max_pool2d(plain.masks.float(), 3, 1, 1)[0].bool()     # without antialiased edges
    assert torch.equal(plain.masks, marble.masks)
    assert torch.equal(plain.images[0, :, outside], marble.images[0, :, outside])
    assert not torch.equal(plain.images, marble.images)


def test_light_comes_from_its_side():
    lit = render_scenes([0, 0], size=32, material="plain", light=["left", "right"], light_azimuth=0)
    middle = int(lit.masks[0].any(0).nonzero().float().mean())
    difference = ((lit.images[0] - lit.images[1]) * lit.masks[0]).sum(0)
    assert difference[:, :middle].sum() > 0 > difference[:, middle:].sum()


def test_unknown_attributes():
    with pytest.raises(KeyError, match="ground"):
        render_scenes(1, grund="grass")


def test_shipped_scenes_equal_the_renderer(shipped):
    some = shipped[[0, 77, 501]]
    again = render_scenes([0, 77, 501])
    assert (again.images - some.images).abs().mean() < 0.015        # lost in JPEG
    assert (again.masks != some.masks).float().mean() < 1e-3
    assert all(torch.equal(again.attributes[name], some.attributes[name]) for name in KINDS)


def test_selecting_scenes(shipped):
    assert shipped.images.shape == (1504, 3, 64, 64) and shipped.masks.dtype == torch.bool
    assert shipped.labels.bincount().tolist() == [188] * len(SHAPES)
    part = shipped[shipped.labels == 2]
    assert len(part) == 188 and part.attributes["shape"].unique().tolist() == [2]
    assert torch.equal(shipped[7].images, shipped.images[7:8])
    assert shipped.attributes["material"].unique().tolist() == [0, 1, 2, 3, 4, 5]
