import captum.robust
import pytest
import torch
import torch.nn.functional as F

from helpers.adversarial import minimal_adversarial, pgd, random_in_ball


def predicted(net, x):
    return net(x).argmax(1)


@pytest.fixture
def linear():
    """A network with the logits w.x and 0, its w, and gray images that it assigns to class 0."""
    w = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    w = w - w.mean() + 0.02

    class Linear(torch.nn.Module):
        def forward(self, x):
            score = (x * w).sum((1, 2, 3))
            return torch.stack([score, torch.zeros_like(score)], 1)

    return Linear(), w, torch.full((4, 3, 8, 8), 0.5)


@pytest.mark.filterwarnings("ignore:Input Tensor")
def test_pgd_and_fgsm_are_captums(random_net, images):
    labels = torch.tensor([0, 1, 2])
    loss = lambda x: F.cross_entropy(random_net(x), labels, reduction="none")
    cross_entropy = torch.nn.CrossEntropyLoss(reduction="none")
    fgsm, theirs = [kind(random_net, cross_entropy, lower_bound=0, upper_bound=1)
                    for kind in (captum.robust.FGSM, captum.robust.PGD)]
    fgsm.zero_thresh = theirs.fgsm.zero_thresh = 0      # or it ignores gradients below 1e-6
    x = images.clone().requires_grad_()
    expected = fgsm.perturb(x, epsilon=4 / 255, target=labels)
    found = pgd(loss, images, epsilon=4 / 255, norm="linf", steps=1, step_size=4 / 255)
    torch.testing.assert_close(found, expected)
    expected = theirs.perturb(x, radius=0.03, step_size=0.01, step_num=5, target=labels)
    found = pgd(loss, images, epsilon=0.03, norm="linf", steps=5, step_size=0.01)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("norm, p, epsilon", [("l2", 2, 0.5), ("linf", torch.inf, 8 / 255)])
def test_pgd_raises_the_score_within_epsilon(random_net, images, norm, p, epsilon):
    score = lambda x: random_net(x)[:, 1]
    ends = [pgd(score, images, epsilon=epsilon, norm=norm, steps=4, restarts=n) for n in (0, 2, 2)]
    scores = torch.stack([score(x) for x in (images, *ends)])
    assert (scores[1] > scores[0]).all() and (scores[2] >= scores[1]).all()
    assert torch.equal(ends[1], ends[2])        # restarts repeat by their seed
    for y in ends:
        assert 0 <= y.min() and y.max() <= 1
        assert ((y - images).flatten(1).norm(p=p, dim=1) <= epsilon + 1e-5).all()


@pytest.mark.parametrize("norm, p", [("l2", 2), ("linf", torch.inf)])
def test_restarts_are_uniform_inside_the_ball(norm, p):
    """The fraction of a ball's volume within radius r is r^d, so norm^d is uniform in [0, 1]."""
    points = random_in_ball((4000, 1, 1, 3), norm, torch.Generator().manual_seed(0)).flatten(1)
    assert (points.mean(0).abs() < 0.03).all()
    volumes = points.norm(p=p, dim=1) ** 3
    quarters = volumes.quantile(torch.tensor([0.25, 0.5, 0.75, 1.0]))
    assert torch.allclose(quarters, torch.tensor([0.25, 0.5, 0.75, 1.0]), atol=0.03)


def test_a_restart_finds_the_higher_of_two_maxima():
    """From x the ascent ends at the lower maximum on the right."""
    def score(x):
        a = x[:, 0, 0, 0] - 0.5
        return torch.where(a > -0.05, a, -3 * (a + 0.05) - 0.05)

    x = torch.full((1, 3, 1, 1), 0.5)
    without, found = [pgd(score, x, epsilon=0.2, norm="linf", restarts=n) for n in (0, 8)]
    assert without[0, 0, 0, 0].item() == pytest.approx(0.7)
    assert found[0, 0, 0, 0].item() == pytest.approx(0.3)


def test_the_distance_to_a_plane_by_hand(linear):
    """w.x falls by |w| per unit of length, so the distance is the score over |w|, up to a step."""
    net, w, x = linear
    expected = (net(x)[0, 0] / w.norm()).item()
    found = minimal_adversarial(net, x, torch.zeros(4).long(), step_size=0.01, steps=200)
    distances = (found - x).flatten(1).norm(dim=1)
    assert (predicted(net, found) == 1).all()
    assert expected <= distances.min() and distances.max() <= expected + 0.0101
    few = minimal_adversarial(net, x, torch.zeros(4).long(), step_size=1e-3, steps=2)
    assert not predicted(net, few).any()
    distances = (few - x).flatten(1).norm(dim=1)
    torch.testing.assert_close(distances, torch.full((4,), 2e-3), rtol=1e-2, atol=0)


def test_each_image_stops_by_itself(random_net, images):
    labels = predicted(random_net, images)
    together = minimal_adversarial(random_net, images, labels, step_size=0.3, steps=15)
    assert (predicted(random_net, together) != labels).any()
    for k in range(3):
        alone = minimal_adversarial(random_net, images[k:k + 1], labels[k:k + 1], step_size=0.3,
                                    steps=15)
        torch.testing.assert_close(alone[0], together[k], rtol=1e-3, atol=1e-3)


def test_an_image_that_is_misclassified_stays(random_net, images):
    order = random_net(images).argsort(dim=1, descending=True)
    assert torch.equal(minimal_adversarial(random_net, images, order[:, 3], steps=2), images)


def test_wrong_inputs_and_purity(random_net, images, unchanged):
    score = lambda x: random_net(x)[:, 0]
    with unchanged(random_net, images), torch.no_grad():
        minimal_adversarial(random_net, images, [0, 1, 2], steps=2)
        pgd(score, images, epsilon=0.1, steps=2, restarts=1)
        with pytest.raises(KeyError, match="l1"):
            pgd(score, images, epsilon=1.0, norm="l1")
        with pytest.raises(ValueError, match="score"):
            pgd(random_net, images, epsilon=1.0)
        with pytest.raises(ValueError, match="expected"):
            minimal_adversarial(random_net, 255 * images, [0, 1, 2])
