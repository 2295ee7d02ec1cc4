"""Losses on images and on features. Each gives one number per image, (b,)."""

import torch
import torch.nn.functional as F


def total_variation(images, *, beta=2.0):
    """Compute total variation, (b,3,h,w) -> (b,): the sum of (dx^2 + dy^2)^(beta/2).

    dx and dy are the differences to the next pixel on the right and below, 0 at the border. With
    beta 2, an edge costs more than a slope of the same height; with beta 1 they cost the same.
    Mahendran & Vedaldi 2015.
    """
    dx = F.pad(images.diff(dim=3), (0, 1))
    dy = F.pad(images.diff(dim=2), (0, 0, 0, 1))
    squares = dx ** 2 + dy ** 2
    differs = squares > 0
    squares = squares.where(differs, 1.0)       # at 0 a square root has an infinite derivative
    return (differs * squares ** (beta / 2)).sum((1, 2, 3))


def checkerboard_loss(images, *, period=4):
    """Measure a checkerboard artifact with this period in pixels, (b,3,h,w) -> (b,): 0 without one.

    Pixels are sorted by (row mod period, column mod period). The mean colors of these period^2 sets
    should be alike: the loss is their variance. It also sees the periods that divide `period`.
    """
    h, w = [n // period * period for n in images.shape[2:]]
    images = images[..., :h, :w]
    sets = images.unflatten(3, (-1, period)).unflatten(2, (-1, period))     # (b,3,h/p,p,w/p,p)
    return sets.mean((2, 4)).var((2, 3), correction=0).mean(1)


def gram_matrix(features):
    """Compute Gram matrices, (b,c,h,w) -> (b,c,c), in float32: which channels are active together.

    As the mean of outer products over positions, G does not depend on the size of the image; Gatys
    2015 divides the loss instead.
    """
    f = features.float().flatten(2)     # (b,c,n)
    n = f.shape[2]
    return f @ f.mT / n


def relative_error(difference, target):
    """Compute ||difference||^2 / ||target||^2, (b,...) and (1 or b,...) -> (b,)."""
    squares = difference.flatten(1).square().sum(1)
    return squares / target.flatten(1).square().sum(1).clamp(min=1e-12)


def content_loss(features, target):
    """Compute the content loss, (b,c,h,w) and (1 or b,c,h,w) -> (b,): 0 if equal, 1 for zeros.

    It is relative to the target, so one weight suits all layers; Gatys 2016 halves the sum instead.
    """
    target = target.float()
    return relative_error(features.float() - target, target)


def style_loss(features, grams):
    """Compute the style loss: the relative error of Gram matrices, averaged over layers, (b,).

    `features` is a dict layer -> (b,c,h,w), `grams` one of targets, layer -> (1 or b,c,c). To mix
    styles, average their matrices. Gatys 2015 weights layers by their size instead.
    """
    errors = []
    for layer, gram in grams.items():
        difference = gram_matrix(features[layer]) - gram
        errors.append(relative_error(difference, gram))
    return torch.stack(errors).mean(0)
