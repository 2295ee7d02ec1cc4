import pytest
import torch
import torch.nn.functional as F

from helpers.adversarial import fool, perturb
from helpers.optimize import project_l2, project_linf, steepest


@pytest.fixture
def linear():
    """A network of two classes whose scores are w.x and 0, and pictures in the middle of [0, 1] that it calls 0."""
    w = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    w = w - w.mean() + 0.02

    class Linear(torch.nn.Module):
        classes = ["yes", "no"]

        def forward(self, x):
            s = (x * w).sum((1, 2, 3))
            return torch.stack([s, torch.zeros_like(s)], 1)

    return Linear(), w, torch.full((4, 3, 8, 8), 0.5)


def ball():
    g = torch.Generator().manual_seed(0)
    return torch.rand(5, 3, 6, 6, generator=g) * 3 - 1, torch.rand(5, 3, 6, 6, generator=g)


@pytest.mark.parametrize("project", [project_l2, project_linf])
@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 1.0, 50.0])
def test_a_projection_is_idempotent_and_keeps_both_bounds(project, epsilon):
    x, center = ball()
    y = project(x, center, epsilon)
    assert torch.equal(project(y, center, epsilon), y)
    assert 0 <= y.min() and y.max() <= 1
    far = (y - center).flatten(1)
    length = far.norm(dim=1) if project is project_l2 else far.abs().amax(1)
    assert (length <= epsilon * (1 + 1e-5) + 1e-7).all()


@pytest.mark.parametrize("project", [project_l2, project_linf])
def test_what_is_inside_stays(project):
    _, center = ball()
    y = (center + 1e-3 * torch.randn(center.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    torch.testing.assert_close(project(y, center, 1.0), y, rtol=0, atol=1e-7)


def test_projections_by_hand():
    center, x = torch.full((1, 3, 1, 1), 0.5), torch.tensor([0.8, 0.1, 0.5]).view(1, 3, 1, 1)       # 0.5 away
    assert project_l2(x, center, 0.25).flatten().tolist() == pytest.approx([0.65, 0.3, 0.5], abs=1e-5)
    assert project_linf(x, center, 0.25).flatten().tolist() == pytest.approx([0.75, 0.25, 0.5])


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_no_step_of_that_length_climbs_a_plane_higher(norm):
    g = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    best = (g * steepest(g, norm)).flatten(1).sum(1)
    torch.testing.assert_close(best, g.flatten(1).norm(dim=1) if norm == "l2" else g.abs().flatten(1).sum(1))       # the dual norm


def test_one_step_in_linf_is_fgsm(random_net, images):
    labels = torch.tensor([0, 1, 2])
    loss = lambda x: F.cross_entropy(random_net(x), labels, reduction="none")
    x = images.clone().requires_grad_()
    g, = torch.autograd.grad(loss(x).sum(), x)
    by_hand = (images + 4 / 255 * g.sign()).clamp(0, 1)
    torch.testing.assert_close(perturb(loss, images, epsilon=4 / 255, norm="linf", steps=1, step=4 / 255), by_hand)


@pytest.mark.parametrize("norm, epsilon", [("l2", 0.5), ("linf", 8 / 255)])
def test_it_climbs_and_stays_within_its_budget(random_net, images, norm, epsilon):
    score = lambda x: random_net(x)[:, 1]
    y = perturb(score, images, epsilon=epsilon, norm=norm)
    assert (score(y) > score(images)).all() and 0 <= y.min() and y.max() <= 1
    far = (y - images).flatten(1)
    assert ((far.norm(dim=1) if norm == "l2" else far.abs().amax(1)) <= epsilon + 1e-5).all()


@pytest.mark.parametrize("norm, epsilon", [("l2", 0.5), ("linf", 8 / 255)])
def test_restarts_keep_the_best_end_of_each_image(random_net, images, norm, epsilon):
    """Each image's end is the best of the climb from x itself and of those from places drawn by the seed, one by one."""
    score = lambda x: random_net(x)[:, 1]
    ends = [perturb(score, images, epsilon=epsilon, norm=norm, restarts=n, seed=3) for n in (0, 1, 4)]
    scores = torch.stack([score(y) for y in ends])
    assert (scores.diff(dim=0) >= 0).all()
    assert torch.equal(ends[0], perturb(score, images, epsilon=epsilon, norm=norm))
    assert torch.equal(ends[2], perturb(score, images, epsilon=epsilon, norm=norm, restarts=4, seed=3))
    far = (ends[2] - images).flatten(1)
    assert ((far.norm(dim=1) if norm == "l2" else far.abs().amax(1)) <= epsilon + 1e-5).all()


def test_a_restart_leaves_a_valley_between_two_hills():
    """From x, the way up leads to the lower hill on the right; only a start further left finds the higher one."""
    def score(x):
        a = x[:, 0, 0, 0] - 0.5
        return torch.where(a > -0.05, a, -3 * (a + 0.05) - 0.05)
    x = torch.full((1, 3, 1, 1), 0.5)
    alone, again = (perturb(score, x, epsilon=0.2, norm="linf", restarts=n) for n in (0, 8))
    assert alone[0, 0, 0, 0] == pytest.approx(0.7) and again[0, 0, 0, 0] == pytest.approx(0.3)


def test_on_a_linear_network_the_distance_is_that_to_the_plane(linear):
    """w.x falls by |w| for each unit of length, straight down: the way is the score over |w|, to a step."""
    net, w, x = linear
    expected = (net(x)[:, 0] / w.norm())[0].item()
    found = fool(net, x, torch.zeros(4).long(), step=0.01, steps=200)
    assert found.success.all() and 0 < expected < 1.5
    assert expected <= found.distances[0].item() <= expected + 0.0101
    assert found.steps.tolist() == [-(-expected // 0.01)] * 4
    assert (net(found.images).argmax(1) == 1).all()


def test_each_image_stops_by_itself_and_a_batch_is_a_loop(random_net, images):
    labels = random_net(images).argmax(1)
    together = fool(random_net, images, labels, step=0.3, steps=15)
    for n in range(3):
        alone = fool(random_net, images[n:n + 1], labels[n:n + 1], step=0.3, steps=15)
        assert alone.steps[0] == together.steps[n]
        torch.testing.assert_close(alone.images[0], together.images[n], rtol=1e-3, atol=1e-3)
    split = fool(random_net, images, labels, step=0.3, steps=15, batch=2)
    torch.testing.assert_close(split.distances, together.distances, rtol=1e-3, atol=1e-3)


def test_success_is_what_the_network_says(random_net, images):
    labels = random_net(images).argmax(1)
    found = fool(random_net, images, labels, step=0.3, steps=15)
    assert torch.equal(random_net(found.images).argmax(1) != labels, found.success) and found.success.any()
    targets = random_net(images).argsort(dim=1, descending=True)[:, 1]
    found = fool(random_net, images, labels, targets=targets, step=0.3, steps=25)
    assert torch.equal(random_net(found.images).argmax(1) == targets, found.success) and found.success.any()


def test_what_is_wrong_from_the_start_need_not_move(random_net, images):
    labels = (random_net(images).argmax(1) + 1) % 10
    found = fool(random_net, images, labels)
    assert found.success.all() and not found.distances.any() and not found.steps.any() and torch.equal(found.images, images)


def test_too_few_steps_are_no_success(linear):
    net, _, x = linear
    found = fool(net, x, torch.zeros(4).long(), step=1e-3, steps=2)
    assert not found.success.any() and found.steps.tolist() == [2] * 4
    torch.testing.assert_close(found.distances, torch.full((4,), 2e-3), rtol=1e-2, atol=0)


@pytest.mark.parametrize("how", [{"epsilon": 0}, {"epsilon": -1.0}, {"epsilon": 1.0, "steps": 0}, {"epsilon": 1.0, "step": 0.0},
                                 {"epsilon": float("nan")}, {"epsilon": 1.0, "steps": 1.5}])
def test_budgets_and_steps_are_positive(random_net, images, how):
    with pytest.raises(ValueError, match="Got"):
        perturb(lambda x: random_net(x)[:, 0], images, **how)


def test_what_is_refused(random_net, images):
    with pytest.raises(KeyError, match="There is no norm 'l1'.*l2"):
        perturb(lambda x: random_net(x)[:, 0], images, epsilon=1.0, norm="l1")
    for labels in (torch.tensor([0, 1]), torch.tensor([0.0, 1, 2]), torch.tensor([0, 1, 10]), torch.tensor([-1, 0, 1])):
        with pytest.raises(ValueError, match="expected"):
            fool(random_net, images, labels)
    for how in ({"step": 0.0}, {"steps": 0}, {"targets": torch.tensor([0, 1])}):
        with pytest.raises(ValueError, match="expected"):
            fool(random_net, images, torch.tensor([0, 1, 2]), **how)
    with pytest.raises(ValueError, match="expected the same shape"):
        project_l2(images, images[:1], 1.0)


def test_nothing_is_changed(random_net, images, unchanged):
    def fails(x):
        raise RuntimeError("no score")

    with unchanged(random_net, images):
        fool(random_net, images, torch.tensor([0, 1, 2]), steps=2)
        perturb(lambda x: random_net(x)[:, 0], images, epsilon=0.1, steps=2)
        project_l2(images, 1 - images, 0.1), project_linf(images, 1 - images, 0.1)
        with pytest.raises(RuntimeError, match="no score"):
            perturb(fails, images, epsilon=0.1)


def test_the_step_is_a_share_of_the_budget(random_net, images):
    score = lambda x: random_net(x)[:, 1]
    given = perturb(score, images, epsilon=0.4, steps=5, step=2.5 * 0.4 / 5)
    assert torch.equal(perturb(score, images, epsilon=0.4, steps=5), given)
