import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch import nn

from helpers.activations import activations
from helpers.features import (
    Probe,
    extract_features,
    linear_probe,
    nearest_neighbors,
    pca,
    pool_features,
)


def points(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


# ---- Features ----

def test_pooling_by_hand():
    a = torch.arange(64.0).view(1, 1, 8, 8)
    assert pool_features(a).shape == (1, 16)
    assert pool_features(a)[0, 0] == (0 + 1 + 8 + 9) / 4
    assert torch.equal(pool_features(a[..., :2, :3]), a[..., :2, :3].flatten(1))


def test_features_are_pooled_activations(random_net, images):
    found = extract_features(random_net, images, ["conv1", "fc7"], batch=2)
    assert list(found) == ["conv1", "fc7"]
    for name, features in found.items():
        expected = pool_features(activations(random_net, images, name))
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(extract_features(random_net, images, name, batch=2), features)


def test_layers_without_features_are_refused(random_net, images):
    class Permute(nn.Module):       # to (b,h,w,c), as in Swin
        def forward(self, x):
            return x.permute(0, 2, 3, 1)

    net = nn.Sequential(nn.Conv2d(3, 32, 4, 4), Permute(), nn.Flatten(1, 2))
    for layer in ("1", "2"):
        with pytest.raises(ValueError, match=layer):
            extract_features(net, images, layer)
    with pytest.raises(KeyError, match="relu3"):
        extract_features(random_net, images, "relu33")
    with pytest.raises(ValueError, match="pixels"):
        extract_features(random_net, images * 255, "relu3")


# ---- Nearest neighbors ----

@pytest.mark.parametrize("offset", [0, 100, 1e4])
def test_neighbors_equal_scikit_learn_far_from_the_origin_too(offset):
    gallery = points(500, 64) + offset
    queries = points(300, 64, 1) + offset
    theirs = NearestNeighbors(n_neighbors=5, algorithm="kd_tree").fit(gallery.double())
    distances, indices = theirs.kneighbors(queries.double())
    found = nearest_neighbors(queries, gallery, 5)
    assert found.indices.tolist() == indices.tolist()
    torch.testing.assert_close(found.distances, torch.from_numpy(distances).float())


def test_neighbors_by_hand(images):
    gallery = torch.tensor([[0.0, 0], [3, 4], [0, 1]])
    found = nearest_neighbors(gallery[:1], gallery, 3)
    assert found.indices.tolist() == [[0, 2, 1]]
    assert found.distances.tolist() == [[0, 1, 5]]
    assert nearest_neighbors(images.half(), images.half(), 1).indices.tolist() == [[0], [1], [2]]
    with pytest.raises(RuntimeError):
        nearest_neighbors(points(2, 3), points(2, 4), 1)


# ---- PCA ----

@pytest.mark.parametrize("n, d", [(50, 8), (20, 100)])
def test_pca_equals_scikit_learn(n, d):
    x = points(n, d) * torch.linspace(3, 1, d) + 5
    theirs = PCA(5, svd_solver="full").fit_transform(x.double().numpy())
    torch.testing.assert_close(pca(x, 5).double(), torch.from_numpy(theirs), rtol=1e-3, atol=1e-3)


# ---- Linear probes ----

def problem(n, d, classes=3):
    labels = torch.arange(n) % classes
    return points(n, d) + labels[:, None] * torch.linspace(0, 1, d), labels


@pytest.mark.parametrize("n, d", [(60, 5), (20, 80)])
def test_a_probe_equals_scikit_learn(n, d):
    x, labels = problem(n, d)
    weight, bias = linear_probe(x, labels, ridge=0.1)
    z = StandardScaler().fit_transform(x.double().numpy())
    theirs = RidgeClassifier(alpha=0.1 * n).fit(z, labels.numpy())
    expected = torch.from_numpy(theirs.decision_function(z))        # for targets -1 and 1
    found = 2 * (x @ weight + bias) - 1
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)


def test_a_constant_feature_has_no_weight():
    x, labels = problem(30, 4)
    weight, bias = linear_probe(torch.cat([x, torch.full((30, 1), 1234.567)], 1), labels)
    torch.testing.assert_close(weight[:4], linear_probe(x, labels)[0], rtol=1e-3, atol=1e-4)
    assert weight[4].abs().max() < 1e-6


def test_a_probe_separates_dark_from_bright_and_can_be_differentiated(random_net):
    images = 0.2 * torch.rand(12, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(12) % 2
    images[labels == 1] += 0.7
    probe = Probe(random_net, images[:8], labels[:8], "relu2")
    assert probe.accuracy(images[8:], labels[8:]) == 1
    assert probe.accuracy(images[8:], 1 - labels[8:]) == 0
    x = images.requires_grad_()
    gradient, = torch.autograd.grad(probe(x)[:, 1].sum(), x)
    assert gradient.abs().amax((1, 2, 3)).min() > 0


def test_nothing_is_changed(random_net, images, unchanged):
    labels = torch.tensor([0, 1, 1])
    with unchanged(random_net, images, labels):
        Probe(random_net, images, labels, "relu3").accuracy(images, labels)
        nearest_neighbors(images, images, 2)
        pca(images, 2)
