import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from helpers.features import codes
from helpers.probes import fit_probe, linear_probe


def problem(n, d, classes=3):
    generator = torch.Generator().manual_seed(n + d)
    labels = torch.arange(n) % classes
    return torch.randn(n, d, generator=generator) + labels[:, None] * torch.rand(d, generator=generator), labels


@pytest.mark.parametrize("n, d", [(60, 5), (20, 80), (30, 30)])
@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_it_is_scikit_learns_ridge(n, d, ridge):
    x, labels = problem(n, d)
    W, b = linear_probe(x, labels, ridge=ridge)
    scaler = StandardScaler().fit(x.double().numpy())
    theirs = RidgeClassifier(alpha=ridge * n).fit(scaler.transform(x.double().numpy()), labels.numpy())
    decided = torch.from_numpy(theirs.decision_function(scaler.transform(x.double().numpy())))
    torch.testing.assert_close(2 * (x @ W + b).double() - 1, decided, rtol=1e-3, atol=1e-3)     # its targets are -1 and 1


def test_more_features_than_images_or_fewer_is_the_same_formula():
    """Features that are zero change nothing, but take the other way through the formula."""
    x, labels = problem(20, 8)
    (W, b), (W2, b2) = linear_probe(x, labels), linear_probe(torch.cat([x, torch.zeros(20, 40)], 1), labels)
    torch.testing.assert_close(W2[:8], W, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(b2, b, rtol=1e-3, atol=1e-4)
    assert W2[8:].abs().max() == 0


def test_what_can_be_separated_is(random_net):
    images = torch.rand(24, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.2
    labels = torch.arange(24) % 2
    images[labels == 1] += 0.7
    probe = fit_probe(random_net, images[:16], labels[:16], "relu2")
    assert probe.accuracy(images[16:], labels[16:]) == 1
    assert probe.accuracy(images[16:], 1 - labels[16:], batch=3) == 0


def test_a_probe_is_linear_in_the_codes_and_can_be_differentiated(random_net, images):
    probe = fit_probe(random_net, images, torch.tensor([0, 1, 1]), "relu4")
    torch.testing.assert_close(probe(images), codes(random_net, images, "relu4")["relu4"] @ probe.weight + probe.bias,
                               rtol=1e-4, atol=1e-4)
    x = images.clone().requires_grad_()
    gradient, = torch.autograd.grad(probe(x)[:, 1].sum(), x)
    assert gradient.abs().max() > 0


@pytest.mark.parametrize(
    "labels, says",
    [
        (torch.zeros(4).long(), "at least two classes"),
        (torch.tensor([0, 1, -1, 1]), "numbered from 0"),
        (torch.tensor([0, 1]), "one for each of 4 images"),
        (torch.rand(4), "whole numbers"),
        ([0, 1, 1, 0], "a list"),
    ],
)
def test_labels_that_say_nothing_are_refused(labels, says):
    with pytest.raises(ValueError, match=says):
        linear_probe(torch.rand(4, 3), labels)


@pytest.mark.parametrize("ridge", [0, -1.0, float("nan")])
def test_ridge_is_positive(ridge):
    with pytest.raises(ValueError, match="more than 0"):
        linear_probe(torch.rand(4, 3), torch.tensor([0, 1, 0, 1]), ridge=ridge)


def test_nothing_is_changed(random_net, images, unchanged):
    labels = torch.tensor([0, 1, 1])
    with unchanged(random_net, images):
        fit_probe(random_net, images, labels, "relu3").accuracy(images, labels)
        with pytest.raises(ValueError):
            fit_probe(random_net, images, torch.zeros(3).long(), "relu3")
        with pytest.raises(KeyError):
            fit_probe(random_net, images, labels, "relu9")
