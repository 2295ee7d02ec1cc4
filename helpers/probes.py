"""Linear probes: what can be read off a layer by one linear map? Alain & Bengio 2016."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from helpers.activations import activations
from helpers.features import codes, pooled, rows


@torch.no_grad()
def linear_probe(features, labels, *, ridge=0.1):
    """Ridge regression to one number for each class, (n,d) and (n,) -> weights (d,classes) and biases (classes,).

    Minimises the mean over images of ||z W + b - one_hot||^2, plus `ridge` ||W||^2, where z are the features with mean 0
    and variance 1; W and b are then written for the features as they came. Hoerl & Kennard 1970; as scikit-learn's
    RidgeClassifier(alpha=ridge * n) does on standardised features. Raises ValueError for labels of one class.
    """
    check_training_labels(labels, len(features))
    if not 0 < ridge < float("inf"):
        raise ValueError(f"Got ridge={ridge}; expected a number of more than 0.")
    features = rows(features, "features")
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
    if not torch.is_tensor(labels) or labels.is_floating_point() or labels.shape != (n,):
        got = f"a {labels.dtype} tensor of shape {tuple(labels.shape)}" if torch.is_tensor(labels) else f"a {type(labels).__name__}"
        raise ValueError(f"Got {got} as labels; expected whole numbers, one for each of {n} images. Try scenes.codes('material').")


def check_training_labels(labels, n):
    check_labels(labels, n)
    if n == 0 or labels.min() < 0 or len(labels.unique()) < 2:
        raise ValueError(f"Got labels {labels.unique().tolist()[:5]}; a probe needs at least two classes, numbered from 0.")


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear readout of a layer, images (b,3,h,w) -> one number for each class (b,classes); differentiable."""

    net: nn.Module
    layer: str
    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, x):
        return pooled(activations(self.net, x, self.layer)[self.layer]) @ self.weight + self.bias

    @torch.no_grad()
    def accuracy(self, images, labels, *, batch=32):
        """The share of images whose largest number is that of their label."""
        check_labels(labels, len(images))
        said = torch.cat([self(x).argmax(1) for x in images.split(batch)])
        return (said == labels).float().mean().item()


def fit_probe(net, images, labels, layer, *, ridge=0.1):
    """Reads an attribute off a layer, images (n,3,h,w) and labels (n,) -> Probe. The network is not trained.

    Measure it on other images than these. See `linear_probe` for how it is fitted, `pooled` for what it sees of a map.
    """
    check_training_labels(labels, len(images))
    return Probe(net, layer, *linear_probe(codes(net, images, layer)[layer], labels, ridge=ridge))
