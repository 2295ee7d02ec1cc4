import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from helpers.features import codes
from helpers.probes import Probe, fit_probe, linear_probe


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


def exact(n, d, classes=3, dtype=torch.float64):
    g = torch.Generator().manual_seed(n + d)
    labels = torch.arange(n) % classes
    return torch.randn(n, d, generator=g).to(dtype) + labels[:, None] * torch.rand(d, generator=g), labels


@pytest.mark.parametrize("n, d", [(60, 5), (20, 80), (30, 29), (30, 30), (30, 31)])
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("ridge", [0.01, 0.1, 1.0])
def test_weights_are_scikit_learns(n, d, classes, ridge):
    x, labels = exact(n, d, classes)
    W, b = linear_probe(x, labels, ridge=ridge)
    scaler = StandardScaler().fit(x.numpy())
    theirs = RidgeClassifier(alpha=ridge * n).fit(scaler.transform(x.numpy()), labels.numpy())
    ours = W if classes > 2 else W[:, 1:]
    coef = torch.from_numpy(theirs.coef_).reshape(-1, d).T
    torch.testing.assert_close(2 * ours * torch.from_numpy(scaler.scale_)[:, None], coef)
    decided = torch.from_numpy(theirs.decision_function(scaler.transform(x.numpy()))).reshape(n, -1)
    got = 2 * (x @ W + b) - 1
    torch.testing.assert_close(got if classes > 2 else got[:, 1:], decided)
    torch.testing.assert_close((x @ W + b).sum(1), torch.ones(n, dtype=x.dtype))


def test_random_labels_are_read_at_chance_level():
    g = torch.Generator().manual_seed(0)
    x, labels = torch.randn(1000, 20, generator=g), torch.randint(4, (1000,), generator=g)
    W, b = linear_probe(x[:500], labels[:500])
    right = ((x[500:] @ W + b).argmax(1) == labels[500:]).float().mean()
    assert abs(right - 0.25) < 4 * (0.25 * 0.75 / 500) ** 0.5


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_accuracy_by_hand(random_net, images, batch):
    probe = Probe(random_net, "fc8", torch.zeros(10, 2), torch.tensor([0.0, 1.0]))       # always says 1
    assert probe.accuracy(images, torch.tensor([1, 0, 1]), batch=batch) == pytest.approx(2 / 3)


def test_a_fully_connected_layer_and_unknown_layer(random_net, images):
    assert fit_probe(random_net, images, torch.tensor([0, 2, 1]), "fc7")(images).shape == (3, 3)
    with pytest.raises(KeyError, match="Did you mean 'fc7'"):
        fit_probe(random_net, images, torch.tensor([0, 2, 1]), "fc77")


def test_gradient_by_finite_differences(random_net, images):
    x, net = images[:1].double(), random_net.double()
    try:
        probe = fit_probe(net, images.double(), torch.tensor([0, 1, 1]), "relu3")
        x = x.requires_grad_()
        gradient, = torch.autograd.grad(probe(x)[:, 1].sum(), x)
        with torch.no_grad():
            direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
            measured = (probe(x + 1e-7 * direction) - probe(x - 1e-7 * direction))[0, 1] / 2e-7
        torch.testing.assert_close(measured, (gradient * direction).sum(), rtol=1e-4, atol=1e-8)
    finally:
        net.float()


def test_a_constant_feature_changes_nothing():
    x, labels = exact(30, 4, dtype=torch.float32)
    W, b = linear_probe(x, labels)
    W2, b2 = linear_probe(torch.cat([x, torch.full((30, 1), 1234.567)], 1), labels)
    torch.testing.assert_close(W2[:4], W, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.cat([x, torch.full((30, 1), 1234.567)], 1) @ W2 + b2, x @ W + b, rtol=1e-3, atol=1e-3)


def test_small_features_are_standardised_too():
    x, labels = exact(30, 4)
    (W, b), (W2, b2) = linear_probe(x, labels), linear_probe(x * 1e-8, labels)
    torch.testing.assert_close(x * 1e-8 @ W2 + b2, x @ W + b)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_any_whole_number_type(dtype):
    x, labels = exact(30, 4)
    torch.testing.assert_close(linear_probe(x, labels.to(dtype))[0], linear_probe(x, labels)[0])


def test_bool_labels():
    x, labels = exact(30, 4, 2)
    try:
        linear_probe(x, labels.bool())
    except ValueError:
        pass


def test_no_images():
    with pytest.raises(ValueError):
        linear_probe(torch.zeros(0, 3), torch.zeros(0).long())


def test_nan_features():
    x, labels = exact(30, 4)
    x[0, 0] = torch.nan
    with pytest.raises(ValueError):
        linear_probe(x, labels)


@pytest.mark.parametrize("labels", [torch.tensor([1]), torch.tensor([[1], [0], [1]])])
def test_accuracy_checks_its_labels(random_net, images, labels):
    with pytest.raises(ValueError):
        Probe(random_net, "fc8", torch.zeros(10, 2), torch.tensor([0.0, 1.0])).accuracy(images, labels)
