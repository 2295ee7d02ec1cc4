"""Metrics of heat maps: one number per image, (b,).

The maps of several methods may come in one tensor, (methods,b,h,w); each metric then gives
(methods,b).
"""

from copy import deepcopy

import numpy as np
import torch
from scipy import stats

from helpers.activations import find_layer
from helpers.attribution import evaluate, expand_baseline
from helpers.images import check_images
from helpers.transforms import gaussian_blur


def pointing_game(maps, masks):
    """Play the pointing game: is the map's maximum on the object? maps and masks (b,h,w) -> (b,).

    1 for a hit, 0 for a miss, the fraction of hits if several maxima are equal. Zhang 2016, who
    also count a maximum within 15 pixels of the object as a hit.
    """
    maxima = maps == maps.amax((-2, -1), keepdim=True)
    return (maxima & masks).sum((-2, -1)) / maxima.sum((-2, -1))


@torch.no_grad()
def perturbation_curve(score, start, end, maps, *, steps=16):
    """Compute the score while pixels of `start` become those of `end`, largest map values first.

    start and end (b,3,h,w), maps (b,h,w) -> (b,steps+1), in equal steps from no pixel to all.
    """
    if maps.ndim == 4:
        curves = [perturbation_curve(score, start, end, m, steps=steps) for m in maps]
        return torch.stack(curves)
    check_images(start)
    check_images(end)
    ranks = rank_pixels(maps)[:, None]                                  # (b,1,h,w)
    counts = torch.linspace(0, ranks[0].numel(), steps + 1).round().tolist()
    scores = [evaluate(score, torch.where(ranks < n, end, start)) for n in counts]
    return torch.stack(scores, 1)


def rank_pixels(maps):
    """Rank the pixels of maps, the largest 0, (b,h,w) -> (b,h,w).

    Equal values are ranked in a random order, the same for all maps, so that a constant map scores
    like noise.
    """
    values = maps.flatten(1)                                            # (b,h*w)
    generator = torch.Generator().manual_seed(0)
    shuffle = torch.randperm(values.shape[1], generator=generator).to(maps.device)
    order = values[:, shuffle].argsort(dim=1, descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks[:, shuffle] = order.argsort(1)        # the inverse of the order, each back in its place
    return ranks.view_as(maps)


def auc(curve):
    """Compute the area under curves over their length, (...,n) -> (...): their mean height."""
    return torch.trapezoid(curve, dim=-1) / (curve.shape[-1] - 1)


def deletion(score, x, maps, *, steps=16, baseline=0.5):
    """Compute deletion, the AUC of the score while pixels turn gray: low is good, (b,).

    x (b,3,h,w), maps (b,h,w). Give a probability as the score. `baseline` is a gray from 0 to 1, a
    color (3,1,1), or an image. Petsiuk 2018, "RISE".
    """
    return auc(perturbation_curve(score, x, expand_baseline(baseline, x), maps, steps=steps))


def insertion(score, x, maps, *, steps=16, sigma=5.0):
    """Compute insertion, the AUC of the score while a blurred x gets its pixels back: high is good.

    x (b,3,h,w), maps (b,h,w) -> (b,). `sigma` is the blur in pixels. Petsiuk 2018, "RISE".
    """
    blurred = gaussian_blur(x, sigma).clamp(0, 1)
    return auc(perturbation_curve(score, blurred, x, maps, steps=steps))


def iou(a, b):
    """Compute the intersection over union of masks (b,h,w) bool -> (b,); 1 if both are empty."""
    intersection = (a & b).sum((-2, -1))
    union = (a | b).sum((-2, -1))
    return torch.where(union > 0, intersection / union, 1.0)


def rank_correlation(a, b):
    """Compute Spearman's rank correlation of the pixels of two maps (b,h,w) -> (b,).

    It is nan for a constant map.
    """
    pixels = [maps.detach().flatten(-2).float().cpu().numpy() for maps in (a, b)]
    ranks = [torch.from_numpy(stats.rankdata(values, axis=-1)) for values in pixels]
    u, v = [r - r.mean(-1, keepdim=True) for r in ranks]
    return (u * v).sum(-1) / (u.norm(dim=-1) * v.norm(dim=-1))


def permute_layers(net, names, *, seed=0):
    """Copy a network and permute the weights within each parameter of these layers.

    Parameter randomization test: an explanation of what was learned must change with the weights.
    Adebayo 2018 draw new weights; permuted ones keep their distribution.
    """
    copy = deepcopy(net)
    generator = torch.Generator().manual_seed(seed)
    for name in [names] if isinstance(names, str) else names:
        for p in find_layer(copy, name).parameters():
            order = torch.randperm(p.numel(), generator=generator).to(p.device)
            p.data = p.data.flatten()[order].view_as(p)
    return copy


def bootstrap_ci(values, *, resamples=2000):
    """Compute the 95% bootstrap confidence interval of a mean, (...,n) -> low and high (...).

    The percentile interval (Efron 1979). All rows are resampled alike; to compare two methods, give
    the differences of their values per image.
    """
    sample = values.detach().float().cpu().numpy()
    found = stats.bootstrap([sample], np.mean, axis=-1, method="percentile",
                            n_resamples=resamples, rng=np.random.default_rng(0))
    low, high = found.confidence_interval
    return torch.as_tensor(low), torch.as_tensor(high)


def wilson_ci(hits):
    """Compute the mean of hits from 0 to 1 and its 95% Wilson interval, (...,n) -> three of (...).

    Unlike the bootstrap's, it does not collapse to a point if all are hits. Wilson 1927.
    """
    n = hits.shape[-1]
    mean = hits.float().mean(-1)
    z2 = 1.96 ** 2
    center = (mean + z2 / (2 * n)) / (1 + z2 / n)
    reach = (z2 * mean * (1 - mean) / n + z2 ** 2 / (4 * n ** 2)).sqrt() / (1 + z2 / n)
    return mean, center - reach, center + reach
