"""One check for each short exercise. Each knows the right answer and the usual wrong ones, and says which it met."""

import torch
import torch.nn.functional as F

from helpers.activations import activations
from helpers.attribution import input_gradient
from helpers.evaluation import mask_iou
from helpers.exercises.verdict import told, verdict
from helpers.features import nearest_neighbors
from helpers.losses import gram_matrix, total_variation
from helpers.nets import class_index
from helpers.optimize import steepest


@told
def probability(mine, net, x, name):
    """mine(net, x, name): the probability of a class by its name, (b,3,h,w) -> (b,)."""
    with torch.no_grad():
        scores, k = net(x), class_index(net, name)
        return verdict(mine, (net, x, name), scores.softmax(1)[:, k], [
            (scores[:, k], "these are the scores; the probability also depends on the scores of the other classes"),
            (scores.sigmoid()[:, k], "a sigmoid treats each class alone; here the classes share a total of 1"),
            (scores.softmax(0)[:, k], "the sum runs over the images; it must run over the classes, dim=1"),
            (100 * scores.softmax(1)[:, k], "these are per cent; a probability is at most 1"),
        ])


@told
def most_colourful(mine, weight):
    """mine(weight): the number of the filter with the largest share of colour, (channels,3,k,k) -> int."""
    grey = weight.mean(1, keepdim=True)
    colour = (weight - grey).square().sum((1, 2, 3))
    share = colour / weight.square().sum((1, 2, 3))
    return verdict(mine, (weight,), share.argmax(), [
        (colour.argmax(), "that filter has the most colour in all; divide by the filter's own energy to get the share"),
        (share.argmin(), "that is the greyest filter"),
        (weight.square().sum((1, 2, 3)).argmax(), "that is the filter with the largest weights, whatever their colour"),
    ])


@told
def sparsity(mine, net, x, layer):
    """mine(net, x, layer): the share of exact zeros among a layer's activations, (b,3,h,w) -> a number."""
    acts = activations(net, x, layer)[layer]
    return verdict(mine, (net, x, layer), (acts == 0).double().mean(), [
        ((acts > 0).double().mean(), "that is the share of units that fire; asked for is the share of zeros"),
        ((acts == 0).sum(), "that is a count; divide by the number of activations"),
        (100 * (acts == 0).double().mean(), "these are per cent; a share is at most 1"),
    ])


@told
def signed_saliency(mine, score, x):
    """mine(score, x): the mean over the colours of the gradient, signs kept, (b,3,h,w) -> (b,h,w)."""
    g = input_gradient(score, x)
    return verdict(mine, (score, x), g.mean(1), [
        (g.abs().amax(1), "this is `saliency` itself: the max of absolute values; asked for is the mean, signs kept"),
        (g.abs().mean(1), "the signs are gone: take the mean of the gradient, not of its absolute value"),
        (g.sum(1), "this is the sum over the colours; the mean is a third of it"),
        (g.mean((2, 3)), "the mean runs over the pixels; it must run over the colours, dim=1"),
    ])


@told
def shared_neighbors(mine, features, labels):
    """mine(features, labels): the share of each picture's five neighbours, itself left out, with its label; the mean over all."""
    indices = nearest_neighbors(features, features, 6).indices
    same = (labels[indices] == labels[:, None]).double()
    return verdict(mine, (features, labels), same[:, 1:].mean(), [
        (same.mean(), "each picture is its own nearest neighbour: ask for six and leave the first out"),
        (same[:, :5].mean(), "each picture is its own nearest neighbour: ask for six and leave the first out"),
        (same[:, 1:].sum(1).mean(), "that is how many of the five; divide by five"),
        (100 * same[:, 1:].mean(), "these are per cent; a share is at most 1"),
    ])


@told
def tsne_loop(mine, P, y, steps=10, rate=20.0):
    """mine(P, y, steps, rate): gradient descent on t-SNE's loss, 4 P in place of P in the first half, (n,n) and (n,2) -> (n,2)."""
    def moved(sign, *factors):          # one factor for each half
        points = y.double()
        for step in range(steps):
            near = 1 / (1 + torch.cdist(points, points).square())
            near.fill_diagonal_(0)
            pull = (factors[2 * step // steps] * P.double() - near / near.sum()) * near
            points = points - sign * rate * 4 * (pull.sum(1, keepdim=True) * points - pull @ points)
        return points

    return verdict(mine, (P, y, steps, rate), moved(1, 4, 1), [
        (moved(1, 1, 1), "early exaggeration is missing: give 4 * P to the gradient in the first half of the steps"),
        (moved(1, 4, 4), "the exaggeration must end: P itself in the second half of the steps"),
        (moved(1, 1, 4), "the exaggeration comes first, not last"),
        (moved(-1, 4, 1), "that climbs: the gradient must be taken off"),
        (y, "nothing has moved: return the moved points"),
    ])


@told
def field_size(mine, windows):
    """mine(windows): the side of the receptive field after layers of (window, stride), first to last -> pixels."""
    size, stride, plain, late = 1, 1, 1, 1
    for k, s in windows:
        size, plain, stride = size + (k - 1) * stride, plain + k - 1, stride * s
        late += (k - 1) * stride
    return verdict(mine, (windows,), size, [
        (plain, "strides are missing: a step of a later layer is several pixels"),
        (late, "the stride of a layer spreads the layers after it, not its own window"),
        (size - 1, "one pixel short: without any layer, a pixel sees itself"),
    ])


@told
def occlusion_map(mine, score, x, window):
    """mine(score, x, window): the fall of the score for windows side by side (stride = window), grey 0.5 -> (h/window, w/window)."""
    with torch.no_grad():
        n = x.shape[2] // window
        falls = torch.empty(n, x.shape[3] // window)
        for i in range(n):
            for j in range(falls.shape[1]):
                covered = x.clone()
                covered[..., i * window:(i + 1) * window, j * window:(j + 1) * window] = 0.5
                falls[i, j] = score(x) - score(covered)
        return verdict(mine, (score, x, window), falls, [
            (-falls, "the sign: asked is by how much the score *falls*, so whole minus covered"),
            (score(x).cpu() - falls, "these are the covered scores; asked is the fall"),
            (falls.T, "rows and columns are exchanged"),
        ], tolerance=1e-3)


@told
def mass(mine, maps, masks):
    """mine(maps, masks): the share of each map's positive values on its object, (b,h,w), (b,h,w) -> (b,)."""
    positive = maps.clamp(min=0)
    return verdict(mine, (maps, masks), (positive * masks).sum((1, 2)) / positive.sum((1, 2)), [
        ((maps * masks).sum((1, 2)) / maps.sum((1, 2)), "negative values count too here; take the positive ones only, clamp(min=0)"),
        ((maps.abs() * masks).sum((1, 2)) / maps.abs().sum((1, 2)), "an absolute value makes a harm into a help; use clamp(min=0)"),
        (masks.float().mean((1, 2)), "that is the object's share of the image, whatever the map"),
    ])


@told
def iou(mine, a, b):
    """mine(a, b): intersection over union of masks, (b,h,w) of True and False twice -> (b,)."""
    both, one, two = (a & b).sum((1, 2)), a.sum((1, 2)), b.sum((1, 2))
    return verdict(mine, (a, b), mask_iou(a, b), [
        (2 * both / (one + two), "this is the Dice coefficient: twice the intersection over the sum of both areas"),
        (both / (one + two), "the sum of both areas counts the intersection twice; take the union, a | b"),
        (both / two, "this is the share of the second mask that was found; divide by the union"),
        (both / one, "this is the share of the first mask that is right; divide by the union"),
        ((a == b).float().mean((1, 2)), "this is the share of pixels that agree; most of them are ground"),
    ])


@told
def fgsm(mine, gradient, x, epsilon):
    """mine(x, gradient, epsilon): one step of the fast gradient sign method that raises the loss, within [0, 1]."""
    right = (x + epsilon * gradient.sign()).clamp(0, 1)
    return verdict(mine, (x, gradient, epsilon), right, [
        (x + epsilon * gradient.sign(), "some pixels left [0, 1]: clamp at the end"),
        ((x - epsilon * gradient.sign()).clamp(0, 1), "that step lowers the loss"),
        ((x + epsilon * gradient).clamp(0, 1), "take the sign of the gradient: every pixel uses its whole budget"),
        ((x + epsilon * steepest(gradient, "l2")).clamp(0, 1), "that is the l2 step; in l-infinity each pixel has its own budget"),
    ])


@told
def variation(mine, x):
    """mine(x): total variation with beta = 2, the sum of squared differences to the right and below, (b,3,h,w) -> (b,)."""
    across, down = x.diff(dim=3), x.diff(dim=2)
    return verdict(mine, (x,), total_variation, [
        (across.abs().sum((1, 2, 3)) + down.abs().sum((1, 2, 3)), "square the differences; absolute values are beta = 1, nearly"),
        (across.square().mean((1, 2, 3)) + down.square().mean((1, 2, 3)), "that is a mean; asked for is the sum"),
        (across.square().sum((1, 2, 3)), "the differences to the pixel below are missing"),
        (down.square().sum((1, 2, 3)), "the differences to the pixel on the right are missing"),
        (total_variation(x).sum(), "that is one number for the whole batch; keep one for each image"),
    ], tolerance=1e-4, differentiable=True)


@told
def dream_gradient(mine, a):
    """mine(a): the gradient of half the squared norm of channel 7 by the activations, (1,c,h,w) -> (1,c,h,w)."""
    right = torch.zeros_like(a)
    right[:, 7] = a[:, 7]
    ones, previous = torch.zeros_like(a), torch.zeros_like(a)
    ones[:, 7], previous[:, 6] = 1, a[:, 6]
    return verdict(mine, (a,), right, [
        (a, "that lets all channels dream; only channel 7 should"),
        (ones, "that is the gradient of the channel's sum; the half squared norm hands down the activation itself"),
        (2 * right, "that is the gradient of the squared norm; half of it was asked for"),
        (previous, "that is channel 6; they count from 0"),
    ])


@told
def gram(mine, f):
    """mine(f): Gram matrices, the mean over the places, (b,c,h,w) -> (b,c,c)."""
    g, places = gram_matrix(f), f[0, 0].numel()
    flat, mixed = f.flatten(2), f.permute(0, 2, 3, 1).reshape(len(f), f.shape[1], -1)
    return verdict(mine, (f,), gram_matrix, [
        (g * places, "that is the sum over the places; the mean does not grow with the picture"),
        (g / f.shape[1], "that is divided by the channels too; only the places are averaged"),
        (flat.transpose(1, 2) @ flat / places, "that compares places, not channels: the transpose goes on the right"),
        (mixed @ mixed.transpose(1, 2) / places, "the reshape mixed channels and places; flatten the last two dimensions"),
        (gram_matrix(f - f.mean((2, 3), keepdim=True)), "that is the covariance; a Gram matrix keeps the means"),
    ], tolerance=1e-4, differentiable=True)


@told
def instance_norm(mine, x):
    """mine(x): instance norm without scale and shift, (b,c,h,w) -> (b,c,h,w)."""
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    return verdict(mine, (x,), F.instance_norm, [
        ((x - mean) / (variance + 1e-5).sqrt(), "that is batch norm: the mean was taken over the images too"),
        (F.layer_norm(x, x.shape[1:]), "that is layer norm: the mean was taken over the channels too"),
        (x - x.mean((2, 3), keepdim=True), "the variance is still what it was: divide by its root"),
        ((x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, correction=0) + 1e-5), "divide by the root of the variance"),
        ((x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt(),
         "nearly: that variance divides by one less than the number of places; correction=0"),
    ], tolerance=1e-4, differentiable=True)


@told
def window_distance(mine, *, seed=0):
    """mine(window, windows, weight): weighted squared differences over the known pixels, (3,k,k), (n,3,k,k), (k,k) -> (n,)."""
    g = torch.Generator().manual_seed(seed)
    t, s, weight = torch.rand(3, 5, 5, generator=g), torch.rand(7, 3, 5, 5, generator=g), torch.rand(5, 5, generator=g)
    weight[2:] = 0
    squares = (s - t) ** 2
    right = (squares * weight).sum((1, 2, 3)) / weight.sum()
    return verdict(mine, (t, s, weight), right, [
        (right * weight.sum(), "divide by the sum of the weights, or windows with few known pixels seem the best"),
        (right / 3, "the sum over the colours is not divided by 3: only by the weights"),
        (squares.sum((1, 2, 3)) / weight.sum(), "the weights are missing: unknown pixels were compared too"),
        (((s - t).abs() * weight).sum((1, 2, 3)) / weight.sum(), "square the differences"),
        ((squares * weight).mean((1, 2, 3)), "a mean counts the unknown pixels too: divide by the sum of the weights"),
        (right.sqrt(), "that is the root; the squares are compared"),
    ], tolerance=1e-4)
