"""Feature space: extract features, find nearest neighbors, fit PCA and linear probes."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from helpers.activations import activations
from helpers.images import check_images

GRID = 4        # maps are averaged to at most 4 x 4 positions


def pool_features(a):
    """Average maps (b,c,h,w) to at most 4 x 4 positions and flatten them, or vectors, to (b,d)."""
    if a.ndim == 4:
        a = F.adaptive_avg_pool2d(a, (min(GRID, a.shape[2]), min(GRID, a.shape[3])))
    return a.flatten(1)


@torch.no_grad()
def extract_features(net, images, layers, *, batch=32):
    """Extract the pooled features of layers, (n,3,h,w) -> (n,d): one name a tensor, several a dict.

    Pooled, features hardly depend on a shift by a pixel and take a hundredth of the memory. Raises
    ValueError for a layer with neither maps (b,c,h,w) nor vectors (b,d).
    """
    check_images(images)
    names = [layers] if isinstance(layers, str) else list(layers)
    found = {name: [] for name in names}
    for x in images.split(batch):
        for name, a in activations(net, x, names).items():
            found[name].append(pool_features(a))
    features = {name: torch.cat(parts) for name, parts in found.items()}
    return features[layers] if isinstance(layers, str) else features


class Neighbors(NamedTuple):
    """The nearest neighbors of each query, nearest first: distances and gallery indices, (q,k)."""

    distances: torch.Tensor
    indices: torch.Tensor


@torch.no_grad()
def nearest_neighbors(queries, gallery, k=5):
    """Find the k nearest neighbors of queries (q,...) in a gallery (n,...) by Euclidean distance.

    One matrix product ranks the gallery: |q - g|^2 = |q|^2 - 2 q.g + |g|^2. Its mean is subtracted
    first, since far from the origin the product would round away the differences.
    """
    G = gallery.flatten(1).float()
    mean = G.mean(0)
    G = G - mean
    Q = queries.flatten(1).float() - mean
    ranking = G.square().sum(1) - 2 * Q @ G.T                       # (q,n), without |q|^2
    indices = ranking.topk(k, largest=False).indices                # (q,k)
    distances = [(q - G[nearest]).norm(dim=1) for q, nearest in zip(Q, indices)]
    return Neighbors(torch.stack(distances), indices)


@torch.no_grad()
def pca(x, k=2):
    """Project features on their first k principal components, (n,...) -> (n,k) (Pearson 1901).

    With the mean subtracted, X = U S V^T, and the projection is X V. `k` is less than n and d.
    """
    X = x.flatten(1).float().cpu().numpy()
    model = PCA(k, svd_solver="arpack", random_state=0)
    return torch.tensor(model.fit_transform(X).copy()).to(x)


def linear_probe(features, labels, *, ridge=0.1):
    """Fit a linear probe to features (n,...) and labels (n,): weights (d,classes) and biases.

    Ridge regression minimizes the mean of ||z W + b - one_hot||^2 plus ridge ||W||^2, where z are
    standardized features; the result fits the original features. Alain & Bengio 2016.
    """
    X = features.detach().flatten(1).float().cpu().numpy()
    Y = F.one_hot(labels.long()).float().cpu().numpy()
    scaler = StandardScaler().fit(X)
    model = Ridge(alpha=ridge * len(X)).fit(scaler.transform(X), Y)
    weight = (model.coef_ / scaler.scale_).T                    # of features: z = (x - mean) / std
    bias = model.intercept_ - scaler.mean_ @ weight
    return torch.from_numpy(weight).to(features), torch.from_numpy(bias).to(features)


class Probe:
    """Fit a linear probe to a layer of a network, and use it: images (b,3,h,w) -> (b,classes).

    Images (n,3,h,w) and labels (n,) fit it; the network is not trained. It is differentiable.
    Measure its accuracy on other images.
    """

    def __init__(self, net, images, labels, layer):
        self.net = net
        self.layer = layer
        self.weight, self.bias = linear_probe(extract_features(net, images, layer), labels)

    def __call__(self, x):
        return pool_features(activations(self.net, x, self.layer)) @ self.weight + self.bias

    @torch.no_grad()
    def accuracy(self, images, labels):
        """Compute the accuracy on images (n,3,h,w) with labels (n,)."""
        check_images(images)
        predicted = torch.cat([self(x).argmax(1) for x in images.split(32)])
        return (predicted == labels).float().mean().item()
