"""Pictures as points: which are nearest to one another, and along which directions do they differ most."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from helpers.activations import activations
from helpers.images import check_images

GRID = 4    # places to which a map is averaged in each direction, so that every layer has a code of a manageable length


def pooled(a):
    """A layer's output as one row for each image: maps (b,c,h,w) are averaged to at most 4 x 4 places -> (b,d)."""
    return (F.adaptive_avg_pool2d(a, (min(GRID, a.shape[2]), min(GRID, a.shape[3]))) if a.ndim == 4 else a).flatten(1)


@torch.no_grad()
def codes(net, images, names, *, batch=32):
    """What layers say of images, in one pass, (n,3,h,w) -> dict name -> (n,d); maps are averaged to 4 x 4 places.

    A map moved by a pixel is another row of numbers; averaged, it hardly changes, and takes a hundredth of the memory.
    """
    check_images(images)
    names = names if isinstance(names, str) else list(names)
    parts = [{name: pooled(a) for name, a in activations(net, x, names).items()} for x in images.split(batch)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def rows(x, name):
    """One row of finite numbers for each picture, (n, ...) -> (n, d), in single precision or better."""
    if not torch.is_tensor(x) or not x.is_floating_point():
        got = f"a {x.dtype} tensor" if torch.is_tensor(x) else f"an object of type {type(x).__name__}"
        raise TypeError(f"{name}: got {got}; expected features as a float tensor (n, ...). Try x.float().")
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"{name}: got a tensor of shape {tuple(x.shape)}; expected features (n, ...) of at least one picture. "
                         "Try x[None] for a single one.")
    x = x.detach().flatten(1)
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    if not x.norm(dim=1).isfinite().all():      # one fast pass: a row with such a number has such a norm
        raise ValueError(f"{name}: some features are infinite or not a number, or too large to be squared.")
    return x


@dataclass(frozen=True, eq=False)
class Neighbors:
    """For each query its neighbours, nearest first: distances (q,k) and indices (q,k) into the gallery."""

    distances: torch.Tensor
    indices: torch.Tensor


@torch.no_grad()
def nearest_neighbors(queries, gallery, k=5):
    """The k nearest of the gallery by L2, queries (q, ...) and gallery (n, ...) -> Neighbors.

    One matrix product ranks them: |q - g|^2 = |q|^2 - 2 q.g + |g|^2, where |q|^2 is the same for all of the gallery. Where
    rounding could have changed the order, float64 decides; of equals, the first in the gallery comes first.
    Raises ValueError for an empty gallery, rows of unequal length, or more neighbours than pictures.
    """
    q, g = rows(queries, "queries"), rows(gallery, "gallery")
    if q.shape[1] != g.shape[1] or q.dtype != g.dtype:
        raise ValueError(f"Queries have {q.shape[1]} features in {q.dtype}, the gallery {g.shape[1]} in {g.dtype}; expected the same.")
    if not 1 <= k <= len(g):
        raise ValueError(f"Got k={k}; expected 1 to {len(g)}, the number of pictures in the gallery.")
    half = g.norm(dim=1).square() / 2
    # A product of n terms errs by about sqrt(n) roundings of its largest possible size (Higham & Mary 2019). We allow twice
    # that for each of the two that are compared; the errors that we measured were a fifth of it.
    roundings = 2 * (g.shape[1] ** 0.5 + 2) * torch.finfo(g.dtype).eps
    distances, indices = [], []
    for part in q.split(max(1, 2 ** 22 // len(g))):         # 16 MB at a time
        nearness = torch.addmm(-half, part, g.T)            # q.g - |g|^2 / 2: the larger, the nearer
        best, found = nearness.topk(min(k + 1, len(g)), dim=1)
        slack = roundings * (part.norm(dim=1) * (2 * half.max()).sqrt() + half.max())
        undecided = (best[:, :-1] - best[:, 1:] <= slack[:, None]).any(1)
        for i in undecided.nonzero()[:, 0].tolist():
            rivals = (nearness[i] >= best[i, k - 1] - slack[i]).nonzero()[:, 0]
            exact = (part[i].double() - g[rivals].double()).square().sum(1)
            found[i, :k] = rivals[exact.argsort(stable=True)[:k]]
        indices.append(found[:, :k])
        rows_at_once = max(1, 2 ** 18 // (k * g.shape[1]))  # distances from differences: the product would spoil short ones
        distances += [(a[:, None] - g[b]).norm(dim=2) for a, b in zip(part.split(rows_at_once), indices[-1].split(rows_at_once),
                                                                      strict=True)]
    return Neighbors(torch.cat(distances), torch.cat(indices))


@dataclass(frozen=True, eq=False)
class PCA:
    """Directions of largest variance: mean (d,), components (k,d), variances (k,), shares (k,) of the whole variance."""

    mean: torch.Tensor
    components: torch.Tensor
    variances: torch.Tensor
    shares: torch.Tensor

    def __call__(self, x):
        """Coordinates along the components, (n, ...) -> (n,k)."""
        x = rows(x, "x")
        if x.shape[1] != len(self.mean):
            raise ValueError(f"Got rows of {x.shape[1]} features; these components were found in {len(self.mean)} features.")
        return (x - self.mean) @ self.components.T

    def restore(self, coordinates):
        """The points that have these coordinates and lie in the plane of the components, (n,k) -> (n,d)."""
        return coordinates @ self.components + self.mean


@torch.no_grad()
def pca(x, k=2):
    """Principal components of rows, (n, ...) -> PCA with k components; pca(x, 2)(x) are the coordinates (n,2).

    Pearson 1901. Signs as in scikit-learn: the largest weight of each component is positive. Raises ValueError for fewer
    than two rows, or more components than rows or features.
    """
    x = rows(x, "x")
    if len(x) < 2 or not 1 <= k <= min(x.shape):
        raise ValueError(f"Got k={k} components of {len(x)} rows of {x.shape[1]} features; expected 1 to {min(x.shape)}, "
                         "of at least 2 rows.")
    mean = x.mean(0)
    _, S, Vt = torch.linalg.svd(x - mean, full_matrices=False)
    largest = Vt.gather(1, Vt.abs().argmax(1, keepdim=True))
    variances = S.square() / (len(x) - 1)
    return PCA(mean, (Vt * largest.sign())[:k], variances[:k], (variances / variances.sum().clamp(min=1e-30))[:k])
