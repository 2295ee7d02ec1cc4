"""Pictures as points: which are nearest to one another, along which directions they differ most, and what can be read off them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from helpers.activations import activations, name_list
from helpers.errors import check_count, check_k, check_positive, describe
from helpers.images import check_floats, check_images, in_double

GRID = 4    # places to which a map is averaged in each direction, so that every layer has a code of a manageable length


def pooled(a):
    """A layer's output as one row for each image: maps (b,c,h,w) are averaged to at most 4 x 4 places -> (b,d)."""
    check_floats(a, "a layer's output", least=2)
    return (F.adaptive_avg_pool2d(a, (min(GRID, a.shape[2]), min(GRID, a.shape[3]))) if a.ndim == 4 else a).flatten(1)


@torch.no_grad()
def codes(net, images, names, *, batch=32):
    """What layers say of images, in one pass, (n,3,h,w) -> dict name -> (n,d); maps are averaged to 4 x 4 places.

    A map moved by a pixel is another row of numbers; averaged, it hardly changes, and takes a hundredth of the memory.
    """
    check_images(images)
    check_count(batch, "images at a time")
    names = name_list(names)
    parts = [{name: pooled(a) for name, a in activations(net, x, names).items()} for x in images.split(int(batch))]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def rows(x, name):
    """One row of finite numbers for each picture, (n, ...) -> (n, d), in single precision or better."""
    if not torch.is_tensor(x) or not x.is_floating_point():
        raise TypeError(f"{name}: got {describe(x)}; expected features as a float tensor (n, ...). Try x.float().")
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"{name}: got {describe(x)}; expected features (n, ...) of at least one picture. Try x[None] for a single one.")
    x = x.detach().flatten(1)
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    if not x.norm(dim=1).isfinite().all():      # one fast pass: a row with such a number has such a norm
        raise ValueError(f"{name}: some features are infinite or not a number, or too large to be squared; expected finite ones.")
    return x


# ---- Neighbours ----

@dataclass(frozen=True, eq=False)
class Neighbors:
    """For each query its neighbours, nearest first: distances (q,k) and indices (q,k) into the gallery."""

    distances: torch.Tensor
    indices: torch.Tensor


@torch.no_grad()
def nearest_neighbors(queries, gallery, k=5):
    """The k nearest of the gallery by L2, queries (q, ...) and gallery (n, ...) -> Neighbors.

    One matrix product ranks them: |q - g|^2 = |q|^2 - 2 q.g + |g|^2, where |q|^2 is the same for all of the gallery. Where
    rounding could have changed the order, float64 decides (on the CPU, if the device has none); of equals, the first in the
    gallery comes first.
    Raises ValueError for an empty gallery, rows of unequal length, or more neighbours than pictures.
    """
    Q, G = rows(queries, "queries"), rows(gallery, "gallery")
    if Q.shape[1] != G.shape[1] or Q.dtype != G.dtype:
        raise ValueError(f"Queries have {Q.shape[1]} features in {Q.dtype}, the gallery {G.shape[1]} in {G.dtype}; expected the same.")
    check_k(k, len(G), "pictures in the gallery")
    k, half, found = int(k), G.norm(dim=1).square() / 2, []
    for part in Q.split(max(1, 2 ** 22 // len(G))):         # 16 MB of distances at a time
        nearness = torch.addmm(-half, part, G.T)            # q.g - |g|^2 / 2: the larger, the nearer
        best, indices = nearness.topk(min(k + 1, len(G)), dim=1)
        slack = rounding(part, half)
        for i in (best.diff(dim=1) >= -slack[:, None]).any(1).nonzero()[:, 0].tolist():
            rivals = (nearness[i] >= best[i, k - 1] - slack[i]).nonzero()[:, 0]
            exact = (in_double(part[i]) - in_double(G[rivals])).square().sum(1)
            indices[i, :k] = rivals[exact.argsort(stable=True)[:k].to(rivals.device)]
        found.append(indices[:, :k])
    indices, at_once = torch.cat(found), max(1, 2 ** 18 // (k * G.shape[1]))
    # The distances themselves come from differences: the product would spoil short ones.
    distances = [(q[:, None] - G[near]).norm(dim=2) for q, near in zip(Q.split(at_once), indices.split(at_once))]
    return Neighbors(torch.cat(distances), indices)


def rounding(q, half):
    """How far apart two of a row's nearnesses must be to be told apart for certain, (q,d) and (n,) -> (q,).

    A product of d terms errs by about sqrt(d) roundings of its largest possible size (Higham & Mary 2019). We allow twice that
    for each of the two that are compared; the errors that we measured were a fifth of it.
    """
    roundings = 2 * (q.shape[1] ** 0.5 + 2) * torch.finfo(q.dtype).eps
    return roundings * (q.norm(dim=1) * (2 * half.max()).sqrt() + half.max())


# ---- PCA ----

@dataclass(frozen=True, eq=False)
class PCA:
    """Directions of largest variance: mean (d,), components (k,d), variances (k,), shares (k,) of the whole variance."""

    mean: torch.Tensor
    components: torch.Tensor
    variances: torch.Tensor
    shares: torch.Tensor

    def __call__(self, x):
        """Coordinates along the components, (n, ...) -> (n,k)."""
        x = rows(x, "x").to(self.mean.dtype)
        if x.shape[1] != len(self.mean):
            raise ValueError(f"Got rows of {x.shape[1]} features; expected {len(self.mean)}, as these components have.")
        return (x - self.mean) @ self.components.T

    def restore(self, coordinates):
        """The points that have these coordinates and lie in the plane of the components, (n,k) -> (n,d)."""
        return coordinates @ self.components + self.mean


@torch.no_grad()
def pca(x, k=2):
    """Principal components of rows, (n, ...) -> PCA with k components; pca(x, 2)(x) are the coordinates (n,2).

    Pearson 1901. Signs as in scikit-learn: the largest weight of each component is positive. Computed from products in double
    precision, so directions with less than 1e-15 of the largest variance are noise. Raises ValueError for fewer
    than two rows, or more components than rows or features.
    """
    x = rows(x, "x")
    if len(x) < 2 or not 1 <= k <= min(x.shape) or k != int(k):
        raise ValueError(f"Got k={k} components of {len(x)} rows of {x.shape[1]} features; expected 1 to {min(x.shape)}, "
                         "of at least 2 rows.")
    k, mean, (n, d) = int(k), x.mean(0), x.shape
    wide = in_double(x - mean)
    # The eigenvectors of d x d or of n x n products, whichever are fewer, are found sooner than an SVD. A product has half of
    # a number's digits to lose, so it is taken in double precision.
    squares, vectors = torch.linalg.eigh(wide.T @ wide if d <= n else wide @ wide.T)
    squares, vectors = squares.flip(0)[:k].clamp(min=0), vectors.flip(1)[:, :k]
    components = vectors.T if d <= n else torch.linalg.qr(wide.T @ vectors).Q.T     # (k,d), of length 1 even where nothing varies
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    shares = squares / wide.square().sum().clamp(min=1e-30)
    return PCA(mean, *(v.to(x) for v in (components * largest.sign(), squares / (n - 1), shares)))


# ---- Linear probes: what can be read off a layer by one linear map? Alain & Bengio 2016 ----

@torch.no_grad()
def linear_probe(features, labels, *, ridge=0.1):
    """Ridge regression to one number for each class, (n,d) and (n,) -> weights (d,classes) and biases (classes,).

    Minimises the mean over images of ||z W + b - one_hot||^2, plus `ridge` ||W||^2, where z are the features with mean 0
    and variance 1; W and b are then written for the features as they came. Hoerl & Kennard 1970; as scikit-learn's
    RidgeClassifier(alpha=ridge * n) does on standardised features. Raises ValueError for labels of one class.
    """
    features = rows(features, "features")
    check_training_labels(labels, len(features))
    check_positive(ridge, "ridge")
    mean, std = features.mean(0), features.std(0, correction=0)
    # A feature that never changes, but for rounding, tells nothing: it is given no weight.
    std = torch.where(std > 10 * torch.finfo(std.dtype).eps * mean.abs(), std, torch.inf)
    Z, Y = (features - mean) / std, F.one_hot(labels.long()).to(features)
    n, d = Z.shape
    centred = Y - Y.mean(0)
    # The same solution twice: of d equations, or, where there are fewer images than features, of n.
    W = solve(Z.T @ Z, Z.T @ centred, n * ridge) if d <= n else Z.T @ solve(Z @ Z.T, centred, n * ridge)
    W = W / std[:, None]
    return W, Y.mean(0) - mean @ W


def solve(A, B, ridge):
    return torch.linalg.solve(A + ridge * torch.eye(len(A)).to(A), B)


def check_labels(labels, n):
    if not torch.is_tensor(labels) or labels.is_floating_point() or labels.shape != (n,) or (labels < 0).any():
        raise ValueError(f"Got {describe(labels)} as labels; expected whole numbers, one for each of {n} images and numbered from 0. "
                         "Try scenes.codes('material').")


def check_training_labels(labels, n):
    check_labels(labels, n)
    if len(labels.unique()) < 2:
        raise ValueError(f"Got labels {labels.unique().tolist()[:5]}; expected at least two classes, numbered from 0.")


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear readout of a layer, images (b,3,h,w) -> one number for each class (b,classes); differentiable."""

    net: nn.Module
    layer: str
    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, x):
        return pooled(activations(self.net, x, self.layer)[self.layer]).to(self.weight.dtype) @ self.weight + self.bias

    @torch.no_grad()
    def accuracy(self, images, labels, *, batch=32):
        """The share of images whose largest number is that of their label."""
        check_images(images), check_labels(labels, len(images)), check_count(batch, "images at a time")
        said = torch.cat([self(x).argmax(1) for x in images.split(int(batch))])
        return (said == labels).float().mean().item()


def fit_probe(net, images, labels, layer, *, ridge=0.1):
    """Reads an attribute off a layer, images (n,3,h,w) and labels (n,) -> Probe. The network is not trained.

    Measure it on other images than these. See `linear_probe` for how it is fitted, `pooled` for what it sees of a map.
    """
    check_images(images), check_training_labels(labels, len(images))
    return Probe(net, layer, *linear_probe(codes(net, images, layer)[layer], labels, ridge=ridge))
