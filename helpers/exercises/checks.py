"""Check the short exercises. Each check computes the right answer and the common mistakes."""

import torch
import torch.nn.functional as F

from helpers import attribution, losses, metrics
from helpers.drawing import gradient_image, heat, overlay
from helpers.exercises.feedback import compare, prints_feedback
from helpers.exercises.held_out_inputs import generator
from helpers.figures import show
from helpers.optimization import normalize_gradient

# ---- 01_activations ----


def draw_neighbors(mine, features, images, k=5):
    """Show some images, and next to each the neighbors that the reader's function finds."""
    queries = list(range(0, len(images), len(images) // 4))[:4]
    near = mine(features[queries], features, k + 1)[:, 1:]      # the nearest is the image itself
    rows = [images[[query, *indices]] for query, indices in zip(queries, near.tolist())]
    show(torch.cat(rows), ["query", *map(str, range(1, k + 1))], columns=k + 1, width=96)


@prints_feedback(draw=draw_neighbors)
def nearest_neighbors(mine, features, images, k=5):
    """Check mine(Q, G, k), (q,d) and (n,d) -> (q,k): the indices of the k nearest neighbors."""
    lengths = torch.linspace(1, 2, len(features)).to(features)
    G = features * lengths[:, None]     # of different norms
    Q = G[::7]
    products = Q @ G.T
    distances = torch.cdist(Q, G)
    nearest = distances.topk(k, largest=False).indices
    return compare(mine, (Q, G, k), nearest, [
        (distances.topk(k).indices, "these are the farthest: topk needs largest=False"),
        (products.topk(k).indices, "the largest products: the norms of the gallery are missing"),
        (nearest.T, "queries and neighbors are exchanged: one row for each query"),
        (distances.topk(k, largest=False).values, "these are the distances; return the indices"),
    ])


@prints_feedback
def receptive_field_size(mine, layers):
    """Check mine(layers), a list of (window, stride) from first to last -> the side in pixels."""
    size = no_strides = early_stride = stride = 1
    for k, s in layers:
        size += (k - 1) * stride
        stride *= s
        no_strides += k - 1
        early_stride += (k - 1) * stride
    return compare(mine, (layers,), size, [
        (no_strides, "the strides are missing: one step in a later layer is several pixels"),
        (early_stride, "the stride of a layer applies to the layers after it, not to its window"),
        (size - 1, "one pixel is missing: without any layer, the receptive field is one pixel"),
    ])


def draw_occlusion(mine, score, x, window):
    """Show the reader's occlusion map over the image."""
    drops = torch.as_tensor(mine(score, x, window))
    show({"the image": x, "your occlusion map": drops, "over the image": overlay(x, drops[None])})


@prints_feedback(draw=draw_occlusion)
def occlusion(mine, score, x, window):
    """Check mine(score, x, window), (1,3,h,w) -> (h/window,w/window): the drop of the score for
    gray windows (0.5) next to each other, with a stride of `window`."""
    drops = attribution.occlusion(score, x, window=window, stride=window)
    drops = drops[0, ::window, ::window].cpu()
    with torch.no_grad():
        occluded = score(x).cpu() - drops
    return compare(mine, (score, x, window), drops, [
        (-drops, "the sign: compute how much the score *drops*, original minus occluded"),
        (occluded, "these are the scores of the occluded images; compute their drops"),
        (drops.T, "rows and columns are exchanged"),
    ], tolerance=1e-3)


def draw_saliency(mine, score, x, *noise):
    """Show the reader's map, with pixels beyond its 99.8% quantile clipped."""
    values = mine(score, x, *noise).detach()
    high = values.quantile(0.998).item()
    show({"the image": x, "your map": heat(values, high=high),
          "over the image": overlay(x, values, high=high)})


@prints_feedback(draw=draw_saliency)
def saliency(mine, score, x):
    """Check mine(score, x), (b,3,h,w) -> (b,h,w): the largest |gradient| of the colors."""
    gradient = attribution.input_gradient(score, x)
    return compare(mine, (score, x), gradient.abs().amax(1), [
        (gradient, "this is the gradient; take its absolute value, and the maximum of the colors"),
        (gradient.abs(), "the maximum over the colors, dimension 1, is missing"),
        (gradient.amax(1), "the sign: take the absolute value before the maximum"),
        (gradient.amax(1).abs(), "take the absolute value before the maximum, not after it"),
        (gradient.abs().mean(1), "this is the mean over the colors; take the maximum"),
    ], tolerance=1e-2)


@prints_feedback(draw=draw_saliency)
def smooth_grad(mine, score, x, noise):
    """Check mine(score, x, noise), (1,3,h,w) and (n,3,h,w) -> (1,h,w): the saliency of the mean
    gradient of the noisy copies."""
    each = torch.cat([attribution.gradient_of(score, x + e) for e in noise])
    mean = each.mean(0, keepdim=True)
    absolute = "average the gradients first, so that noise cancels; then take the absolute value"
    return compare(mine, (score, x, noise), mean.abs().amax(1), [
        (each.abs().mean(0, keepdim=True).amax(1), absolute),
        (each.abs().amax(1).mean(0, keepdim=True), absolute),
        (len(noise) * mean.abs().amax(1), "this is a sum over the copies; divide by their number"),
        (attribution.saliency(score, x), "this is the plain saliency map: add the noise"),
        (mean.amax(1), "the absolute value at the end is missing"),
    ], tolerance=1e-2)


# ---- 02_gradients ----


@prints_feedback
def iou(mine, a, b):
    """Check mine(a, b), masks (b,h,w) bool -> (b,): intersection over union."""
    both = (a & b).sum((1, 2))
    first = a.sum((1, 2))
    second = b.sum((1, 2))
    return compare(mine, (a, b), metrics.iou(a, b), [
        (2 * both / (first + second),
         "this is the Dice coefficient: twice the intersection, over the sum of the areas"),
        (both / (first + second),
         "the sum of the areas counts the intersection twice; take the union, a | b"),
        (both / second, "this is recall, the fraction of the second mask; divide by the union"),
        (both / first, "this is precision, the fraction of the first mask; divide by the union"),
        ((a == b).float().mean((1, 2)),
         "this is the pixel accuracy, and most pixels are background"),
    ])


def draw_fgsm(mine, x, gradient, epsilon):
    """Show the reader's step for the first image."""
    attacked = mine(x, gradient, epsilon)
    change = gradient_image(attacked - x)
    show({"the image": x[0], "after your step": attacked[0], "the change, enlarged": change[0]})


@prints_feedback(draw=draw_fgsm)
def fgsm(mine, x, gradient, epsilon):
    """Check mine(x, gradient, epsilon), (b,3,h,w) twice -> (b,3,h,w): a step of the fast gradient
    sign method that increases the loss, clamped to [0, 1]."""
    step = epsilon * gradient.sign()
    l2_step = epsilon * normalize_gradient(gradient, "l2")
    return compare(mine, (x, gradient, epsilon), (x + step).clamp(0, 1), [
        (x + step, "some pixels are outside of [0, 1]: clamp at the end"),
        ((x - step).clamp(0, 1), "this step decreases the loss"),
        ((x + epsilon * gradient).clamp(0, 1),
         "take the sign of the gradient, so that every pixel changes by epsilon"),
        ((x + l2_step).clamp(0, 1),
         "this is the l2 step; in l-infinity, every pixel may change by epsilon"),
    ])


@prints_feedback
def total_variation(mine, x):
    """Check mine(x), (b,3,h,w) -> (b,): total variation with beta 2, the sum of the squared
    differences to the right and below."""
    dx = x.diff(dim=3)
    dy = x.diff(dim=2)
    total = lambda values: values.sum((1, 2, 3))
    mean = lambda values: values.mean((1, 2, 3))
    return compare(mine, (x,), losses.total_variation, [
        (total(dx.abs()) + total(dy.abs()), "square the differences; absolute values are beta 1"),
        (mean(dx.square()) + mean(dy.square()), "this is a mean; compute the sum"),
        (total(dx.square()), "the differences to the pixel below are missing"),
        (total(dy.square()), "the differences to the pixel on the right are missing"),
        (losses.total_variation(x).sum(),
         "this is one number for the whole batch; compute one for each image"),
    ], tolerance=1e-4, differentiable=True)


# ---- 03_fun ----


@prints_feedback
def dream_gradient(mine, a):
    """Check mine(a), activations (1,c,h,w) -> (1,c,h,w): the gradient of half the squared norm of
    channel 7."""
    channel = torch.zeros_like(a)
    channel[:, 7] = 1
    previous = channel.roll(-1, 1)
    return compare(mine, (a,), channel * a, [
        (a, "this is the gradient for all channels; use only channel 7"),
        (channel,
         "this is the gradient of the channel's sum; half the squared norm gives the activation "
         "itself"),
        (2 * channel * a, "this is the gradient of the squared norm; take half of it"),
        (previous * a, "this is channel 6; channels count from 0"),
    ])


@prints_feedback
def window_distance(mine, *, seed=0):
    """Check mine(window, source_windows, weight), (3,k,k), (n,3,k,k), (k,k) -> (n,): the squared
    differences, weighted by `weight`, which is 0 for unknown pixels, over the sum of weights."""
    g = generator(seed)
    window = torch.rand(3, 5, 5, generator=g)
    source_windows = torch.rand(7, 3, 5, 5, generator=g)
    weight = torch.rand(5, 5, generator=g)
    weight[2:] = 0
    difference = source_windows - window
    total = lambda values: values.sum((1, 2, 3))
    right = total(difference ** 2 * weight) / weight.sum()
    return compare(mine, (window, source_windows, weight), right, [
        (right * weight.sum(),
         "divide by the sum of the weights, or windows with few known pixels seem closest"),
        (right / 3, "the sum over the colors is not divided by 3, only by the sum of the weights"),
        (total(difference ** 2) / weight.sum(),
         "the weights are missing: unknown pixels are compared, too"),
        (total(difference.abs() * weight) / weight.sum(), "square the differences"),
        ((difference ** 2 * weight).mean((1, 2, 3)),
         "a mean counts unknown pixels, too; divide by the sum of the weights"),
        (right.sqrt(), "this is the square root; return the squared distances"),
    ], tolerance=1e-4)


@prints_feedback
def gram_matrix(mine, f):
    """Check mine(f), features (b,c,h,w) -> (b,c,c): Gram matrices, averaged over positions."""
    right = losses.gram_matrix(f)
    positions = f[0, 0].numel()
    flat = f.flatten(2)
    mixed = f.permute(0, 2, 3, 1).reshape(flat.shape)
    return compare(mine, (f,), losses.gram_matrix, [
        (right * positions,
         "this is the sum over the positions; the mean does not depend on the size of the image"),
        (right / f.shape[1], "this is divided by the channels, too; average only over positions"),
        (flat.mT @ flat / positions,
         "this compares positions, not channels: transpose the second factor"),
        (mixed @ mixed.mT / positions,
         "the reshape mixed channels and positions; flatten the last two dimensions"),
        (losses.gram_matrix(f - f.mean((2, 3), keepdim=True)),
         "this is the covariance; a Gram matrix keeps the means"),
    ], tolerance=1e-4, differentiable=True)


@prints_feedback
def instance_norm(mine, x):
    """Check mine(x), (b,c,h,w) -> (b,c,h,w): instance norm without scale and shift."""
    centered = x - x.mean((2, 3), keepdim=True)
    variance = x.var((2, 3), keepdim=True, correction=0)
    sample_variance = x.var((2, 3), keepdim=True)
    return compare(mine, (x,), F.instance_norm, [
        (F.batch_norm(x, None, None, training=True),
         "this is batch norm: the mean is taken over the images, too"),
        (F.layer_norm(x, x.shape[1:]),
         "this is layer norm: the mean is taken over the channels, too"),
        (centered, "the variance is unchanged: divide by the standard deviation"),
        (centered / (variance + 1e-5), "divide by the square root of the variance"),
        (centered / (sample_variance + 1e-5).sqrt(),
         "almost: this variance divides by n - 1 instead of n; use correction=0"),
    ], tolerance=1e-4, differentiable=True)
