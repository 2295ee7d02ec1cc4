"""Losses on images, to be added to others; each gives one number for each image, (b,)."""

import torch

from helpers.errors import check_count, check_positive, describe
from helpers.images import check_floats, check_images, full_precision


def total_variation(images, *, beta=2.0):
    """How much neighbouring pixels differ, (b,3,h,w) -> (b,): the sum over pixels and colours of (dx^2 + dy^2)^(beta/2).

    dx and dy are the differences to the next pixel on the right and below; the last column and row have none. With beta 2
    edges are dear, with beta 1 a wide slope costs as much as an edge. Mahendran & Vedaldi 2015.
    """
    check_images(images, within=False)
    check_positive(beta, "beta")
    squares = images.new_zeros(images.shape)
    across, down = images.diff(dim=3).square(), images.diff(dim=2).square()
    squares[..., :-1] += across
    squares[..., :-1, :] += down
    if beta < 2:        # its gradient is infinite where neighbours are equal: there it is made zero
        return (squares.clamp(min=1e-12) ** (beta / 2) * (squares > 0)).sum((1, 2, 3))
    return (squares ** (beta / 2)).sum((1, 2, 3))


def phase_variance(images, *, period=4):
    """How much a lattice of so many pixels stands out, (b,3,h,w) -> (b,): about 0 without one.

    The pixels are sorted by their place in the lattice, (row mod period, column mod period). Each of these period^2 sets covers all of
    the picture, so their mean colours should be alike: this is the variance of the means, averaged over colours. A lattice of the
    periods that divide `period` is seen too.
    """
    check_images(images, within=False), check_count(period, "pixels of period")
    h, w = (n // period * period for n in images.shape[2:])
    if 0 in (h, w):
        raise ValueError(f"Got pictures of {images.shape[2]} x {images.shape[3]} pixels; expected at least {period} a side.")
    sorted_by_place = images[..., :h, :w].unflatten(3, (-1, period)).unflatten(2, (-1, period))     # (b,3,h/p,p,w/p,p)
    return sorted_by_place.mean((2, 4)).var((2, 3), correction=0).mean(1)


def gram_matrix(features):
    """Which channels are on together, (b,c,h,w) -> (b,c,c), in float32: the mean of f f^T over the places, f the c values at one.

    Dividing by the number of places alone, a picture's matrix does not depend on its size. Gatys 2015 does not divide,
    but divides the loss.
    """
    check_floats(features, "features")
    if features.ndim != 4 or 0 in features.shape:
        raise ValueError(f"Got {describe(features)} as features; expected (b, channels, height, width), as a convolution "
                         "gives them. Try an earlier layer, or a larger picture.")
    f = features.float().movedim(1, 3).flatten(1, 2)        # (b,h w,c), in float32 even where the network runs in less: the sums are long
    return _Products.apply(f) / f.shape[1]


class _Products(torch.autograd.Function):
    """f^T f, (b,n,c) -> (b,c,c). With G from above its derivative is f (G + G^T): one product, where autograd would take two and add."""

    @staticmethod
    def forward(ctx, f):
        ctx.save_for_backward(f)
        with full_precision(f.device):
            return f.transpose(1, 2) @ f

    @staticmethod
    def backward(ctx, G):
        f, = ctx.saved_tensors
        return f @ (G + G.transpose(1, 2))


def relative(difference, target):
    """Squared length of each difference over that of its target, (b,...) and (1 or b,...) -> (b,)."""
    return difference.flatten(1).square().sum(1) / target.flatten(1).square().sum(1).clamp(min=1e-12)


def content_loss(features, target):
    """How far features are from those of the content, (b,c,h,w) -> (b,): 0 if equal, 1 if they are all zero.

    Relative to the target's squared length, so that one weight serves all layers and sizes; Gatys 2016 halves the sum instead.
    """
    check_floats(features, "features"), check_floats(target, "the target")
    if features.shape[1:] != target.shape[1:] or len(target) not in (1, len(features)):
        raise ValueError(f"Got features {tuple(features.shape)} and a target {tuple(target.shape)}; expected both of one size.")
    return relative(features.float() - target.float(), target.float())


def style_loss(features, grams):
    """How far Gram matrices are from those of the style, dicts layer -> (b,c,h,w) and layer -> (1 or b,c,c) -> (b,).

    The mean over the layers of `grams` of each one's squared distance, relative to the target's squared length: 0 for the style
    itself, whatever its size. Gatys 2015 weighs layers by their size instead. To mix styles, average their matrices.
    """
    if not grams:
        raise ValueError('Got no Gram matrix; expected one for each layer. Try {"relu1": gram_matrix(features)}.')
    missing = [layer for layer in grams if layer not in features]
    if missing:
        raise ValueError(f"Got Gram matrices of {list(grams)}, and no features of {missing}; expected both for each layer.")
    return torch.stack([content_loss(gram_matrix(features[layer]), target) for layer, target in grams.items()]).mean(0)
