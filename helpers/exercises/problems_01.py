"""Checks of the half-hour problems of 01_activations. Each makes its own pictures from `seed`: an answer can be tried on fresh ones."""

import torch

from helpers.exercises.fresh import dice, fresh_scenes
from helpers.exercises.verdict import Verdict, called, told, unlike, verdict, wrong
from helpers.features import codes, pca
from helpers.significance import holm as corrected


@told
def receptive_field(mine, *, seed=0):
    """mine(layers): size, stride and offset of the field, for layers of (window, stride, padding, dilation), first to last."""
    g = dice(seed)
    draw = lambda *choices: choices[int(torch.randint(len(choices), (), generator=g))]
    layers = [(7, 2, 3, 1), (3, 1, 2, 2)] + [(draw(3, 5), draw(1, 2), draw(0, 1, 3), draw(2, 3)) for _ in range(3)]
    undilated = [(k, s, p, 1) for k, s, p, _ in layers]
    too_wide = [(k * d, s, p, 1) for k, s, p, d in layers]
    return verdict(mine, (layers,), field(layers), [
        (field(undilated), "dilation is missing: a window of k pixels with d - 1 pixels left out between any two spans d (k - 1) + 1"),
        (field(too_wide), "a dilated window spans d (k - 1) + 1 pixels, not d k: nothing is left out behind its last pixel"),
        ((*field(layers)[:2], 0), "the offset is missing: padding moves the first unit's field out of the picture, to the left"),
        ((*field(layers)[:2], -sum(p for _, _, p, _ in layers)), "padding of a later layer is counted in that layer's pixels: "
                                                                 "each is as wide as the product of the strides before it"),
        ((*field(layers)[:2], -field(layers)[2]), "the sign of the offset: padding begins the field *before* pixel 0"),
        ((*field([(k, 1, p, d) for k, _, p, d in layers]),), "strides are missing"),
        (field(layers)[:2], "two of the three: the offset is missing, where the field of the first unit begins"),
    ])


def field(layers):
    size, stride, offset = 1, 1, 0
    for k, s, p, d in layers:
        size, offset, stride = size + d * (k - 1) * stride, offset - p * stride, stride * s
    return size, stride, offset


@told
def tsne_map(mine, net, *, seed=0):
    """mine(features, perplexity): t-SNE from the distances to the map, (n,d) -> (n,2). Judged by trustworthiness; Venna 2001."""
    from sklearn.manifold import TSNE, trustworthiness
    fresh = fresh_scenes(48, seed)
    features = codes(net, fresh.images.to(next(net.parameters()).device), ["relu7"])["relu7"].cpu()
    features = pca(features, 30)(features)
    got, fault = called(mine, features, 15)
    if fault or (fault := unlike(got, features[:, :2])):
        return fault
    if got.shape != (len(features), 2):
        return wrong(f"the shape is {tuple(got.shape)}, expected {(len(features), 2)}: a point for each picture")
    y, flat = got.detach().cpu().double(), pca(features, 2)(features)
    trust = lambda points: trustworthiness(features.numpy(), points.numpy(), n_neighbors=7)
    chance = trust(torch.randn(len(y), 2, generator=dice(seed)))
    theirs = trust(torch.from_numpy(TSNE(perplexity=15, random_state=0).fit_transform(features.numpy())))
    table = f"yours {trust(y):.3f}; scikit-learn's {theirs:.3f}, PCA {trust(flat):.3f}, chance {chance:.3f}"
    if y.std() < 1e-9:
        return wrong("all points lie at one place: does the start have any width, and does the gradient push as well as pull?")
    if trust(y) < (chance + trust(flat)) / 2:
        return wrong(f"the map is hardly better than points by chance: {table}. Does the loss fall? The gradient must be taken off")
    if trust(y) <= trust(flat) + 0.3 * (theirs - trust(flat)):
        return wrong(f"the map is hardly better than PCA's plane: {table}. More steps, larger ones, and four times P in the first of them")
    return Verdict(1.0, f"✓ right: trustworthiness {table}")


@told
def holm(mine, *, seed=0):
    """mine(p, level): which differences hold at once by Holm's correction, (n,) -> (n,) bool."""
    p = torch.rand(40, generator=dice(seed), dtype=torch.float64) * 0.2 + 0.02
    p[:10] = torch.tensor([1e-6, 1e-5, 2e-4, 5e-4, 0.0011, 0.00128, 0.0015, 0.00151, 0.0017, 0.003], dtype=torch.float64)
    p = p[torch.randperm(len(p), generator=dice(seed))]
    order = p.argsort()
    alone = p[order] * torch.arange(len(p), 0, -1) < 0.05            # each against its own level, whatever came before
    shares = p[order] * len(p) / torch.arange(1, len(p) + 1) < 0.05
    last = lambda passed: torch.arange(len(p)) <= passed.nonzero().max()
    back = lambda sorted_answer: sorted_answer[order.argsort()]
    return verdict(mine, (p, 0.05), corrected(p) < 0.05, [
        (p < 0.05, "nothing is corrected: of forty such questions two come out by chance alone"),
        (p < 0.05 / len(p), "that is Bonferroni's correction: it asks the same of all. Holm asks less, once the smallest have passed"),
        (back(alone), "it must stop at the first that fails: none may hold that comes after one that does not"),
        (back(last(alone)), "that goes up from the largest (Hochberg); Holm goes down from the smallest and stops at the first that fails"),
        (back(last(shares)), "that is Benjamini and Hochberg's: it bounds the *share* of false findings, not the chance of any"),
        (alone.cumprod(0).bool(), "these are in the order of the p-values; give them back in the order in which they came"),
        (corrected(p) >= 0.05, "these are those that do not hold"),
    ])
