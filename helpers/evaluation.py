"""How good is a heat map? Each measure gives one number for each image, (b,): average them, or look for the worst.

Maps of several methods may come in one tensor, (methods,b,h,w); each measure then gives (methods,b).
"""

from copy import deepcopy

import numpy as np
import torch
import torch.nn.functional as F

from helpers.activations import find_layer, name_list
from helpers.attribution import covered, values
from helpers.errors import check_count, check_positive, describe
from helpers.images import check_images, numbers, wide
from helpers.transforms import gaussian_blur


def check_maps(maps, *, size=None):
    """Raises unless maps are (b,h,w) or (methods,b,h,w), finite, and of the size of the images they belong to."""
    if not torch.is_tensor(maps) or maps.is_complex() or maps.ndim not in (3, 4) or 0 in maps.shape:
        raise ValueError(f"Got {describe(maps)} as maps; expected (b, h, w), one map for each image, or (methods, b, h, w). "
                         "Try map[None] for one, maps.mean(1) for colours.")
    if not maps.isfinite().all():
        raise ValueError("Some values of the maps are infinite or not a number; expected finite ones.")
    if size is not None and maps.shape[-3:] != size:
        raise ValueError(f"Got maps {tuple(maps.shape)} for images {tuple(size)}; expected one of the same size for each. "
                         "Try torch.nn.functional.interpolate.")


def check_masks(masks, maps):
    """Raises unless masks (b,h,w) bool fit the maps, which are checked too, and each has a pixel."""
    check_maps(maps)
    if not torch.is_tensor(masks) or masks.dtype != torch.bool:
        raise TypeError(f"Got {describe(masks)} as masks; expected a tensor of bool. Try torch.as_tensor(masks) > 0.5.")
    if masks.shape != maps.shape[-3:]:
        raise ValueError(f"Got maps {tuple(maps.shape)} and masks {tuple(masks.shape)}; expected the same size. "
                         "Try torch.nn.functional.interpolate on the maps.")
    empty = (~masks.flatten(1).any(1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"The masks of images {empty[:5]} have no pixel: nothing can point at nothing.")


def pointing_game(maps, masks, *, tolerance=0):
    """Does the largest value lie on the object? maps (b,h,w), masks (b,h,w) bool -> from 0 to 1 for each image, (b,).

    1 if it does, 0 if not. Of several equal largest values, as occlusion's windows give them, the score is the share of them
    that lies on the object; so a map that is the same everywhere scores the object's share of the image. A hit also if the
    object is within `tolerance` pixels. Zhang 2016 (who allow 15, in pictures of some 500 pixels). Always report beside it
    what the centre and a random pixel score.
    """
    check_masks(masks, maps)
    check_positive(tolerance, "tolerance in pixels", zero=True)
    largest = maps == maps.amax((-2, -1), keepdim=True)
    reach = torch.arange(-int(tolerance), int(tolerance) + 1, device=maps.device)
    disc = (reach[:, None] ** 2 + reach ** 2 <= tolerance ** 2).float()
    near = F.conv2d(masks[:, None].float(), disc[None, None], padding=int(tolerance))[:, 0] > 0
    return (largest & near).sum((-2, -1)) / largest.sum((-2, -1))


def mass_inside(maps, masks):
    """The share of a map's positive values that lies on the object, (b,h,w) and (b,h,w) bool -> (b,) from 0 to 1.

    0 for a map without positive values. A map that is the same everywhere scores the object's share of the image.
    Relevance mass accuracy, Arras 2022.
    """
    check_masks(masks, maps)
    positive = maps.clamp(min=0).to(torch.promote_types(maps.dtype, torch.float32))
    largest = positive.amax((-2, -1), keepdim=True)
    shares = torch.where(largest > 0, positive / largest, 0)       # as they come, tiny gradients would add to 0
    inside, whole = (m.sum((-2, -1)) for m in (shares * masks, shares))
    return torch.where(whole > 0, inside / whole, 0).to(maps.dtype)


@torch.no_grad()
def replacement_curve(score, start, end, maps, *, steps=16):
    """The score while the pixels of `start` become those of `end`, those with the largest value of the map first.

    start and end (b,3,h,w), maps (b,h,w) -> (b,steps+1); in equal steps, from none to all. Equal values go in an order drawn
    by chance, one for all maps: a map that is the same everywhere then does what noise does. Maps of several methods share
    the first and the last score.
    """
    check_images(start), check_images(end)
    check_maps(maps, size=(len(start), *start.shape[2:]))
    if start.shape != end.shape:
        raise ValueError(f"Got images {tuple(start.shape)} to start from and {tuple(end.shape)} to end with; expected the same shape.")
    check_count(steps, "steps")
    drawn = torch.randperm(maps.shape[-2] * maps.shape[-1], generator=torch.Generator().manual_seed(0)).to(maps.device)
    order = drawn[maps.flatten(-2)[..., drawn].argsort(dim=-1, descending=True, stable=True)]
    ranks = order.argsort(-1).view(-1, 1, *maps.shape[-3:])
    counts = torch.linspace(0, maps.shape[-2] * maps.shape[-1], int(steps) + 1).round().long().tolist()[1:-1]
    first, last = values(score, start.clone()), values(score, end.clone())       # a score may work in place
    curves = [torch.stack([first, *(values(score, torch.where(rank < n, end, start)) for n in counts), last], 1)
              for rank in ranks.transpose(1, 2)]
    return torch.stack(curves).view(*maps.shape[:-2], int(steps) + 1)


def area(curve):
    """The mean height of curves, (...,n) -> (...): the area by trapezia, over the length."""
    return torch.trapezoid(curve, dim=-1) / (curve.shape[-1] - 1)


def deletion(score, x, maps, *, steps=16, baseline=0.5):
    """Area under the score while the pixels of x turn grey, the map's largest first, (b,3,h,w), (b,h,w) -> (b,). Low is good.

    Give the probability as the score. `baseline` may be another grey, a colour or an image, as for `occlusion`.
    Petsiuk 2018, "RISE".
    """
    check_images(x)
    return area(replacement_curve(score, x, covered(x, baseline), maps, steps=steps))


def insertion(score, x, maps, *, steps=16, sigma=5.0):
    """Area under the score while a blurred x gets its pixels back, the map's largest first, (b,3,h,w), (b,h,w) -> (b,). High is good.

    `sigma` is the blur in pixels. Give the probability as the score. Petsiuk 2018, "RISE".
    """
    return area(replacement_curve(score, gaussian_blur(x, sigma).clamp(0, 1), x, maps, steps=steps))


def mask_iou(a, b):
    """Intersection over union of two masks, (b,h,w) bool twice -> (b,) from 0 to 1; 1 where both are empty."""
    for mask in (a, b):
        if not torch.is_tensor(mask) or mask.dtype != torch.bool or mask.ndim != 3:
            raise TypeError(f"Got {describe(mask)}; expected masks (b, h, w) of bool. Try masks > 0.5, or mask[None] for one.")
    if a.shape != b.shape:
        raise ValueError(f"Got masks {tuple(a.shape)} and {tuple(b.shape)}; expected the same shape.")
    both, either = (a & b).sum((1, 2)), (a | b).sum((1, 2))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def rank_correlation(a, b):
    """Do two maps put the pixels in the same order? Spearman's rank correlation, (b,h,w) twice -> (b,) from -1 to 1.

    Of equal values each gets their mean rank. Not a number where a map is the same everywhere.
    """
    from scipy import stats  # not at the top: it takes over a second, and most of what is here does without
    check_maps(a), check_maps(b)
    if a.shape != b.shape:
        raise ValueError(f"Got maps {tuple(a.shape)} and {tuple(b.shape)}; expected the same shape.")
    pairs = zip(*(wide(m.detach()).flatten(-2).flatten(0, -2).cpu().numpy() for m in (a, b)), strict=True)
    found = [stats.spearmanr(one, two).statistic if one.std() and two.std() else float("nan") for one, two in pairs]
    return torch.tensor(found).view(a.shape[:-2])


def randomize_layers(net, names, *, seed=0):
    """A copy of the network in which the weights of these layers are shuffled: the same numbers, in other places.

    A map that explains what a network has learnt must change with it. Adebayo 2018, who draw new weights instead; shuffled
    ones keep the size of what comes out. Biases are shuffled among themselves. Raises KeyError for an unknown layer,
    ValueError for one without weights.
    """
    copy, generator = deepcopy(net), torch.Generator().manual_seed(seed)
    for name in name_list(names):
        parameters = list(find_layer(copy, name).parameters())
        if not parameters:
            raise ValueError(f"Layer {name!r} has no weights to shuffle. Try a convolution or a linear layer.")
        for p in parameters:
            order = torch.randperm(p.numel(), generator=generator).to(p.device)
            p.data = p.detach().flatten()[order].view_as(p).clone()
    return copy


def bootstrap(values, *, level=0.95, resamples=2000, seed=0):
    """How sure is a mean? values (..., n), one for each image -> low and high, (...) each: the interval that holds `level` of the
    means of n values drawn with replacement.

    All rows are drawn with the same images, so that methods are compared on equal terms. For "is A better than B?" give the
    differences A - B, and see whether the interval holds 0. Efron 1979, the percentile interval.
    """
    from scipy import stats
    values = numbers(values, "values").detach()
    values = wide(values) if values.is_floating_point() else values.float()
    if values.ndim == 0 or values.shape[-1] < 2 or not values.isfinite().all():
        raise ValueError(f"Got values of shape {tuple(values.shape)}; expected finite ones, (..., n), of at least 2 images.")
    if not 0 < level < 1 or resamples < 100:
        raise ValueError(f"Got level={level} and {resamples} resamples; expected a level between 0 and 1, and at least 100.")
    found = stats.bootstrap([values.cpu().numpy()], np.mean, axis=-1, confidence_level=level, n_resamples=int(resamples),
                            method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return torch.as_tensor(found.low), torch.as_tensor(found.high)
