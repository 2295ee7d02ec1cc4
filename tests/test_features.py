import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from helpers.activations import activations
from helpers.features import Probe, codes, fit_probe, linear_probe, nearest_neighbors, pca, pooled


def points(n, d, seed=0, dtype=torch.float32):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).to(dtype)


def brute_force(queries, gallery, k):
    q, g = queries.double().flatten(1), gallery.double().flatten(1)
    squares = torch.stack([(row - g).square().sum(1) for row in q])
    order = squares.argsort(dim=1, stable=True)[:, :k]
    return squares.gather(1, order).sqrt(), order


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("q, n, d, k", [(1, 1, 1, 1), (5, 40, 3, 5), (30, 30, 256, 7), (3, 500, 64, 500), (40, 200, 2000, 5)])
def test_neighbours_rank_as_a_brute_force(q, n, d, k, dtype):
    queries, gallery = points(q, d, 1, dtype), points(n, d, 2, dtype)
    distances, indices = brute_force(queries, gallery, k)
    found = nearest_neighbors(queries, gallery, k)
    assert torch.equal(found.indices, indices)
    torch.testing.assert_close(found.distances.double(), distances, rtol=1e-5, atol=0)


@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4])
def test_rounding_does_not_change_the_order(offset):
    """Far from the origin, and with rows that differ by a rounding, single precision alone would rank wrongly."""
    gallery = points(60, 50) * 0.01 + offset
    gallery = torch.cat([gallery, gallery + 1e-3 * points(60, 50, 3)])
    found = nearest_neighbors(gallery, gallery, 6)
    assert torch.equal(found.indices, brute_force(gallery, gallery, 6)[1])


def test_of_equals_the_first_comes_first():
    gallery = points(4, 8).repeat(3, 1)
    found = nearest_neighbors(gallery[:4], gallery, 3)
    assert found.indices.tolist() == [[k, k + 4, k + 8] for k in range(4)]
    assert (found.distances == 0).all()


def test_neighbours_of_images(images):
    assert nearest_neighbors(images, images, 1).indices[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "queries, gallery, k, error, says",
    [
        (points(2, 3), points(4, 3), 5, ValueError, "expected 1 to 4, the number of pictures"),
        (points(2, 3), points(4, 3), 0, ValueError, "k=0"),
        (points(2, 3), points(0, 3), 1, ValueError, "gallery: .*at least one picture"),
        (points(2, 3), points(4, 2), 1, ValueError, "3 features .* the gallery 2"),
        (points(2, 3), points(4, 3).double(), 1, ValueError, "expected the same"),
        (points(2, 3).long(), points(4, 3), 1, TypeError, r"Try x.float\(\)"),
        (points(2, 3)[0], points(4, 3), 1, ValueError, r"Try x\[None\]"),
        (points(2, 3) / 0, points(4, 3), 1, ValueError, "infinite or not a number"),
    ],
)
def test_neighbours_refuse(queries, gallery, k, error, says):
    with pytest.raises(error, match=says):
        nearest_neighbors(queries, gallery, k)


@pytest.mark.parametrize("n, d, k", [(50, 8, 3), (20, 100, 5), (30, 30, 30)])
def test_pca_is_that_of_scikit_learn(n, d, k):
    x = points(n, d) * torch.linspace(3, 1, d) + 5
    ours, theirs = pca(x, k), PCA(k).fit(x.double().numpy())
    keep = min(k, n - 1)        # the last direction of n points has no variance
    torch.testing.assert_close(ours.variances.double(), torch.from_numpy(theirs.explained_variance_), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.shares.double(), torch.from_numpy(theirs.explained_variance_ratio_), rtol=1e-3, atol=1e-4)
    same = (ours.components[:keep].double() * torch.from_numpy(theirs.components_[:keep])).sum(1)
    torch.testing.assert_close(same.abs(), torch.ones_like(same), rtol=1e-3, atol=1e-3)


def test_pca_of_points_on_a_line():
    found = pca(torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), 2)
    torch.testing.assert_close(found.components[0], torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(found.variances, torch.tensor([25.0, 0.0]))
    torch.testing.assert_close(found.shares, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(found(torch.tensor([[3.0, 4.0], [6.0, 8.0]]))[:, 0], torch.tensor([0.0, 5.0]))


def test_all_components_give_the_points_back():
    x = points(20, 6) + 3
    found = pca(x, 6)
    torch.testing.assert_close(found.restore(found(x)), x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.components @ found.components.T, torch.eye(6), rtol=1e-4, atol=1e-4)


def test_pca_of_one_point_many_times():
    found = pca(torch.ones(5, 3), 2)
    assert (found.variances < 1e-10).all() and found(torch.ones(2, 3)).abs().max() < 1e-5
    flat = points(9, 2) @ points(2, 6)      # nothing varies in four of its directions, and rounding must not make less than that
    assert (pca(flat, 6).variances >= 0).all() and (pca(flat.T, 6).shares >= 0).all()


@pytest.mark.parametrize("n, d, k", [(1, 5, 1), (5, 3, 4), (5, 3, 0), (2, 9, 3)])
def test_pca_refuses(n, d, k):
    with pytest.raises(ValueError, match=f"k={k} components of {n} rows"):
        pca(points(n, d), k)


def test_pooled_means_by_hand():
    a = torch.arange(64.0).view(1, 1, 8, 8)
    assert pooled(a).shape == (1, 16) and pooled(a)[0, 0] == (0 + 1 + 8 + 9) / 4
    assert torch.equal(pooled(a[..., :2, :3]), a[..., :2, :3].flatten(1))
    assert torch.equal(pooled(torch.ones(2, 7)), torch.ones(2, 7))


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_codes_are_the_pooled_layers_whatever_the_batch(random_net, images, batch):
    found = codes(random_net, images, ["conv1", "fc7"], batch=batch)
    for name, code in found.items():
        torch.testing.assert_close(code, pooled(activations(random_net, images, name)[name]), rtol=1e-4, atol=1e-5)
    assert list(codes(random_net, images, "relu5")) == ["relu5"]


def test_nothing_is_changed(random_net, images, unchanged):
    with unchanged(random_net, images):
        codes(random_net, images, ["relu3"])
        nearest_neighbors(images, images, 2)
        pca(images, 2)(images)
        with pytest.raises(KeyError, match="relu3"):
            codes(random_net, images, ["relu33"])
        with pytest.raises(ValueError):
            nearest_neighbors(images, images, 9)


def agrees(queries, gallery, k):
    distances, indices = brute_force(queries, gallery, k)
    found = nearest_neighbors(queries, gallery, k)
    assert torch.equal(found.indices, indices)
    torch.testing.assert_close(found.distances.double(), distances, rtol=1e-5, atol=0)


@pytest.mark.parametrize("q, n, d, k", [(900, 5000, 4, 3), (7, 90, 7000, 40)])
def test_blocks_of_queries_and_of_distances(q, n, d, k):
    agrees(points(q, d, 1), points(n, d, 2), k)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("offset", [1, 100, 1e4])
@pytest.mark.parametrize("d", [3, 64, 3072])
def test_offsets_with_distances(seed, offset, d):
    gallery = points(60, d, seed) + offset
    agrees(points(8, d, seed + 100) + offset, torch.cat([gallery, gallery[::2]]), 9)


@pytest.mark.parametrize("d", [2, 100, 10000])
@pytest.mark.parametrize("k", [1, 3, 40])
def test_near_ties_one_rounding_apart(d, k):
    base = points(1, d).abs() + 1
    gallery = base.repeat(40, 1)
    g = torch.Generator().manual_seed(5)
    for i in range(40):
        j = torch.randint(d, (1,), generator=g)
        gallery[i, j] = torch.nextafter(gallery[i, j], torch.tensor(9.0))
    agrees(base + 0.5, gallery, k)
    agrees(base, gallery, k)


def test_all_equidistant_takes_the_first():
    assert nearest_neighbors(torch.zeros(1, 50), torch.eye(50), 7).indices.tolist() == [list(range(7))]
    assert nearest_neighbors(torch.zeros(1, 50), torch.ones(30, 50), 30).indices.tolist() == [list(range(30))]


def test_duplicates_in_a_gallery_of_images(images):
    gallery = torch.cat([images, images])
    found = nearest_neighbors(images, gallery, 2)
    assert found.indices.tolist() == [[0, 3], [1, 4], [2, 5]] and not found.distances.any()


def test_strided_and_requiring_gradients():
    a = points(30, 20).T.requires_grad_()
    found = nearest_neighbors(a, a, 3)
    assert not found.distances.requires_grad
    agrees(a.detach(), a.detach(), 3)


@pytest.mark.parametrize("n, d, k", [(50, 8, 3), (50, 8, 8), (20, 100, 5), (20, 100, 19), (2, 5, 1), (9, 1, 1)])
def test_pca_signs(n, d, k):
    x = points(n, d, dtype=torch.float64) * torch.linspace(3, 1, d, dtype=torch.float64) + 5
    ours, theirs = pca(x, k), PCA(k, svd_solver="full").fit(x.numpy())
    torch.testing.assert_close(ours.components, torch.from_numpy(theirs.components_))
    torch.testing.assert_close(ours.mean, torch.from_numpy(theirs.mean_))
    torch.testing.assert_close(ours.variances, torch.from_numpy(theirs.explained_variance_))
    torch.testing.assert_close(ours.shares, torch.from_numpy(theirs.explained_variance_ratio_))
    torch.testing.assert_close(ours(x), torch.from_numpy(theirs.transform(x.numpy())))


def test_constant_data_restores():
    x = torch.full((5, 3), 0.1)
    found = pca(x, 3)
    assert all(t.isfinite().all() for t in (found.components, found.variances, found.shares))
    torch.testing.assert_close(found.restore(found(x)), x)
    assert found.shares.sum() <= 1


def test_codes_one_pass_equals_layer_by_layer_to_the_bit(random_net, images):
    names = ["conv1", "pool2", "relu5", "fc6", "fc8"]
    together = codes(random_net, images, names)
    assert list(together) == names
    assert [tuple(c.shape) for c in together.values()] == [(3, 512), (3, 1024), (3, 3072), (3, 512), (3, 10)]
    for name in names:
        assert torch.equal(together[name], codes(random_net, images, name)[name])
        assert torch.equal(together[name], pooled(activations(random_net, images, name)[name]))
        assert not together[name].requires_grad


def test_codes_unknown_layer_and_bad_images(random_net, images):
    with pytest.raises(KeyError, match="no layer 'relu33'. Did you mean 'relu3'"):
        codes(random_net, images, ["relu33"])
    with pytest.raises(ValueError, match="expected \\[0, 1\\]"):
        codes(random_net, images * 2, "relu3")
    with pytest.raises(TypeError, match="expected images as a float tensor"):
        codes(random_net, images.byte(), "relu3")


def test_codes_names_from_a_generator(random_net, images):
    assert list(codes(random_net, images, (n for n in ["conv1", "fc7"]), batch=2)) == ["conv1", "fc7"]


@pytest.mark.parametrize("work", [lambda x: nearest_neighbors(x, x, 3), lambda x: pca(x, 1)])
def test_features_too_large_to_be_squared(work):
    with pytest.raises(ValueError, match="too large to be squared"):
        work(points(9, 4) * 1e20)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1, 20])
def test_half_precision_ranking(dtype, scale):
    q, g = (points(3, 512, 1) * scale).to(dtype), (points(40, 512, 2) * scale).to(dtype)
    assert torch.equal(nearest_neighbors(q, g, 5).indices, brute_force(q, g, 5)[1])


def test_pca_of_other_width_says_so():
    with pytest.raises(ValueError, match="rows of 5 features; expected 4, as these components have"):
        pca(points(9, 4), 2)(points(3, 5))


# ---- probes ----

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


def test_a_probe_changes_nothing(random_net, images, unchanged):
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
    torch.testing.assert_close(linear_probe(x, labels.bool()), linear_probe(x, labels))


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
