"""Check the short exercises. Each check computes the right answer and the common mistakes."""

from copy import deepcopy
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from helpers import attribution, losses, segmentation
from helpers.drawing import draw_trimap, gradient_image, heat, outline, overlay
from helpers.exercises.feedback import call, compare, prints_feedback, require
from helpers.exercises.held_out_inputs import generator
from helpers.figures import show
from helpers.images import resize
from helpers.networks import top_classes
from helpers.optimization import descend, last, normalize_gradient
from helpers.parametrization import PixelImage
from helpers.style import CONTENT, style_features, style_grams

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
def smooth_grad(mine, score, x, noise, batch=1, more_mistakes=()):
    """Check mine(score, x, noise), (1,3,h,w) and (n,3,h,w) -> (1,h,w): the saliency of the mean
    gradient of the noisy copies."""
    each = torch.cat([attribution.gradient_of(score, x + part) for part in noise.split(batch)])
    mean = each.mean(0, keepdim=True)
    absolute = "average the gradients first, so that noise cancels; then take the absolute value"
    return compare(mine, (score, x, noise), mean.abs().amax(1), [
        (each.abs().mean(0, keepdim=True).amax(1), absolute),
        (each.abs().amax(1).mean(0, keepdim=True), absolute),
        (len(noise) * mean.abs().amax(1), "this is a sum over the copies; divide by their number"),
        (attribution.saliency(score, x), "this is the plain saliency map: add the noise"),
        (mean.amax(1), "the absolute value at the end is missing"),
        *more_mistakes,
    ], tolerance=1e-2)


# ---- 02_gradients ----
# Some checks draw their own numbers; then `drawn` and `named` are the inputs for the picture.


def draw_cut(mine, m, x):
    """Show the reader's trimap over the image, and the mask that GrabCut makes of it."""
    mask = segmentation.grabcut(x, torch.as_tensor(mine(m)))
    show({"your trimap": draw_trimap(x, mine(m)), "the mask by GrabCut": outline(x, mask)})


@prints_feedback(draw=draw_cut)
def trimap(mine, m, x):
    """Check mine(m), a map (1,h,w) -> (1,h,w): 1 above its quantile 0.95, -1 up to 0.3, else 0."""
    right = segmentation.trimap(m)
    fraction = m / m.max()
    return compare(mine, (m,), right, [
        (-right, "the signs are exchanged: the foreground is 1, the background is -1"),
        (right.clamp(min=0), "the background, -1, is missing"),
        (2 * (right > 0) - 1, "between the two quantiles, a pixel is unknown, 0"),
        ((fraction > 0.95).int() - (fraction <= 0.3).int(), "take quantiles, not fractions"),
        (segmentation.trimap(m, foreground=0.7, background=0.05), "5% are 1, and 30% are -1"),
    ])


def draw_guided(mine, net, x):
    """Show images, the gradient of their largest logit, and the gradient by the reader's rule."""
    guided = deepcopy(net)
    for module in guided.modules():
        if isinstance(module, nn.ReLU):
            module.forward = mine.apply
    gradient = lambda f: gradient_image(attribution.input_gradient(lambda x: f(x).amax(1), x))
    rows = torch.stack([x.cpu(), gradient(net), gradient(guided)], 1)
    show(rows.flatten(0, 1), ["the image", "plain gradient", "by your rule"], columns=3, width=192)


@prints_feedback(draw=draw_guided)
def guided_relu(mine, *drawn):
    """Check mine.backward(ctx, R), (...) -> (...): R where both R and ctx's f are positive."""
    f, R = torch.randn(2, 6, 8, generator=generator(0))
    backward = lambda f, R: mine.backward(SimpleNamespace(saved_tensors=(f,)), R)
    positive = (f > 0) & (R > 0)
    return compare(backward, (f, R), positive * R, [
        ((f > 0) * R, "this is the plain rule; block negative values of R, too"),
        (R.clamp(min=0), "this is the deconvnet's rule; block R where f is negative, too"),
        ((f > 0) * R.clamp(max=0), "the sign: these are the negative values of R"),
        (positive, "this is where R passes: multiply R by it"),
    ])


def ascend(score, x, shifts, lr, l2, center=0.5, normalize=normalize_gradient, high=1):
    """Step up score - l2 ||x - center||^2, once for each shift, (b,3,h,w) -> (b,3,h,w)."""
    for down, right in shifts:
        gradient = attribution.gradient_of(score, x.roll((down, right), (2, 3)))
        gradient = gradient.roll((-down, -right), (2, 3)) - 2 * l2 * (x - center)
        x = (x + lr * normalize(gradient, "l2")).clamp(1 - high, high)
    return x


@prints_feedback(draw=lambda mine, *drawn: show(mine(*drawn), ["yours"] * len(drawn[1])))
def gradient_ascent(mine, *drawn):
    """Check mine(score, x, shifts, lr, l2), (b,3,h,w) -> (b,3,h,w): for each shift, a step of
    length lr up the score of the shifted image minus l2 ||x - 0.5||^2, within [0, 1]."""
    x, weights = torch.rand(2, 2, 3, 6, 7, generator=generator(0))
    score = lambda x: (weights * x.square()).sum((1, 2, 3))
    shifts, lr, l2 = [(1, 3), (-2, 1)], 2.0, 0.6
    steps = lambda *how, **options: ascend(score, x, shifts, *how, **options)
    return compare(mine, (score, x, shifts, lr, l2), steps(lr, l2), [
        (steps(-lr, l2), "this descends: add the gradient"),
        (steps(lr, l2, normalize=lambda g, _: g), "divide each gradient by its norm"),
        (steps(lr, l2, normalize=lambda g, _: g / g.norm()), "each image has a norm of its own"),
        (steps(lr, l2, normalize=lambda g, _: g.sign()), "divide by the norm: this is the sign"),
        (steps(lr, l2, high=torch.inf), "clamp to [0, 1] after each step"),
        (steps(lr, 0), "the penalty is missing"),
        (steps(lr, -l2), "the sign of the penalty: subtract it from the score"),
        (steps(lr, l2, center=0), "the penalty pulls to black; gray is 0.5"),
        (ascend(score, x, [(0, 0)] * 2, lr, l2), "the shifts are missing"),
    ], tolerance=1e-4)


def draw_attack(mine, net, x, c, lr):
    """Show an image, the reader's adversarial example, and the change, with predictions."""
    y = mine(net, x, c, lr)
    titles = [f"{name} {p:.0%}" for (name, p), in top_classes(net, torch.cat([x, y]), 1)]
    show([x, y, gradient_image(y - x)], [*titles, "the change, enlarged"])


@prints_feedback(draw=draw_attack)
def targeted_attack(mine, *drawn):
    """Check mine(net, x, c, lr), (1,3,h,w) -> (1,3,h,w): steps up log p of c until p > 0.9."""
    x, *weights = torch.rand(6, 1, 3, 6, 7, generator=generator(0))
    net = lambda x: torch.stack([(w * x).sum((1, 2, 3)) for w in weights], 1)
    c = net(x).argmin().item()
    log_p = lambda x: net(x).log_softmax(1)[:, c]
    steps = lambda n, lr=0.2, **how: ascend(log_p, x, [(0, 0)] * n, lr, 0, **how)

    def until(**how):
        for n in range(100):
            y = steps(n, **how)
            if log_p(y).exp() > 0.9:
                return y

    return compare(mine, (net, x, c, 0.2), until(), [
        (steps(100), "stop as soon as p > 0.9"),
        (steps(100, -0.2), "this makes class c less probable"),
        (until(normalize=lambda g, _: g), "divide each gradient by its norm"),
        (until(normalize=lambda g, _: g.sign()), "divide by the norm: this is the sign"),
        (until(high=torch.inf), "clamp to [0, 1] after each step"),
    ], tolerance=1e-4)


def draw_inversion(mine, features, x, weight):
    """Show the image that the reader's loss finds, from noise in 60 steps."""
    target = features(x).detach()
    image = PixelImage.noise(*x.shape[2:], device=x.device)
    loss = lambda y: mine(features(y), target, y, weight).sum()
    steps = descend(image, loss, steps=60, optimizer=lambda p: torch.optim.Adam(p, lr=0.05))
    show({"the image": x, "found by your loss": last(steps).image})


@prints_feedback(draw=draw_inversion)
def inversion_loss(mine, *drawn):
    """Check mine(a, target, y, weight), features (b,c,h,w) and (1,c,h,w), images (b,3,h,w) -> (b,):
    ||a - target||^2 / ||target||^2 + weight TV(y), with beta 2."""
    a, y, targets = torch.rand(3, 2, 3, 64, 64, generator=generator(0))
    target, weight = targets[:1], 1e-4
    total = lambda values: values.sum((1, 2, 3))
    right = lambda a, y: losses.content_loss(a, target) + weight * losses.total_variation(y)
    error = losses.content_loss(a, target)
    squares = error * total(target ** 2)
    dx, dy = y.diff(dim=3), y.diff(dim=2)
    tv = right(a, y) - error
    return compare(lambda a, y: mine(a, target, y, weight), (a, y), right, [
        (squares + tv, "divide the squared error by the squared norm of the target"),
        (squares / total(a ** 2) + tv, "divide by the squared norm of the target, not of a"),
        (error.sqrt() + tv, "the relative error is not squared"),
        (error, "the total variation is missing, or a mean; it is a sum"),
        (error + tv / weight, "the weight of the total variation is missing"),
        (error + weight * total(dx ** 2), "the differences to the pixel below are missing"),
        (error + weight * total(dy ** 2), "the differences to the pixel on the right are missing"),
        (error + weight * (total(dx.abs()) + total(dy.abs())), "square the differences of pixels"),
    ], tolerance=1e-4, differentiable=True)


@prints_feedback(draw=draw_saliency)
def batched_smooth_grad(mine, score, x, noise, batch):
    """Check mine(score, x, noise, batch) as SmoothGrad, with at most `batch` copies at once."""
    parts = noise[:batch + 2].split(batch)      # the last part is smaller
    full, rest = [attribution.gradient_of(score, x + part).mean(0, keepdim=True) for part in parts]

    def limited(x):
        require(1 < len(x) <= batch, f"copies at once: {len(x)}; split the noise by {batch}")
        return score(x)

    answer = lambda score, x, noise: mine(limited, x, noise, batch)
    return smooth_grad.feedback(answer, score, x, torch.cat(parts), batch, [
        (((full + rest) / 2).abs().amax(1), "the last part is smaller: divide the sum of all by n"),
        (full.abs().amax(1), "the last, smaller part is missing"),
    ])


# ---- 03_fun ----


def draw_dream(mine, function, image, *args, **named):
    """Show an image, and what the reader's function makes of it."""
    show({"the image": image, "your dream": mine(function, image, *args, **named)})


@prints_feedback(draw=draw_dream)
def octave(mine, *drawn, **named):
    """Check mine(energy, x, steps, step_size), (1,3,h,w) -> (1,3,h,w): up the energy, by steps with
    a root mean square of step_size, within [0, 1]."""
    x, weights = torch.rand(2, 1, 3, 6, 7, generator=generator(0))
    energy = lambda x: ((weights - 0.5) * (x + 1).square()).sum((1, 2, 3))
    rms = lambda g: g.square().mean().sqrt()
    steps = lambda size, high=1: ascend(
        energy, x, [(0, 0)] * 3, 0.1, 0, normalize=lambda g, _: g / size(g), high=high)
    return compare(mine, (energy, x, 3, 0.1), steps(rms), [
        (steps(lambda g: -rms(g)), "this descends: add the gradient"),
        (steps(torch.ones_like), "divide each gradient by its root mean square"),
        (steps(torch.norm), "this is the norm, the root of the sum; take the root of the mean"),
        (steps(lambda g: g.abs().mean()), "this is the mean of |gradient|: square, mean, root"),
        (steps(torch.abs), "divide by the root mean square: this is the sign"),
        (steps(rms, high=torch.inf), "clamp to [0, 1] after each step"),
    ], tolerance=1e-4)


@prints_feedback(draw=draw_dream)
def octaves(mine, *drawn, **named):
    """Check mine(octave, photo, sizes), (1,3,h,w) -> (1,3,h,w): at each size (h, w), an octave from
    the resized photo plus the detail so far, and return the last image."""
    photo = torch.rand(1, 3, 16, 20, generator=generator(0))
    sizes = [(2, 3), (4, 5), (16, 20)]
    added = torch.tensor([0.1, -0.1, 0.05]).view(3, 1, 1)   # any interpolation keeps a constant
    octave = lambda x: x + added
    final = lambda detail: octave((photo + detail).clamp(0, 1))
    right = final(2 * added)
    carried = photo
    for size in sizes:
        carried = octave(resize(carried, size))
    return compare(mine, (octave, photo, sizes), right, [
        (carried, "this carries the whole image, which blurs it; carry only the detail"),
        (final(0), "the detail of the smaller sizes is lost: add it to the small photo"),
        (final(added), "this is the detail of one octave; subtract the photo without any detail"),
        (final(3 * added), "the octave's image has the earlier detail already: replace it, no +="),
        (final(2 * added.clamp(min=0)), "resize clamps negative detail to 0; use F.interpolate"),
        (photo + 3 * added, "clamp the sum of photo and detail to [0, 1]"),
        (octave(resize(photo, sizes[1]) + added), "the last size is missing"),
        (octave(resize(photo, sizes[0])), "only the first size: `return` after the loop"),
        (right - photo, "this is the detail; return the image"),
    ], tolerance=1e-4)


@prints_feedback
def window_distance(mine):
    """Check mine(window, source_windows, weight), (3,k,k), (n,3,k,k), (k,k) -> (n,): the squared
    differences, weighted by `weight`, which is 0 for unknown pixels, over the sum of weights."""
    g = generator(0)
    window = torch.rand(3, 5, 5, generator=g)
    source_windows = torch.rand(7, 3, 5, 5, generator=g)
    weight = torch.rand(5, 5, generator=g)
    weight[2:] = 0
    difference = source_windows - window
    total = lambda values: values.sum((1, 2, 3))
    right = total(difference ** 2 * weight) / weight.sum()
    return compare(mine, (window, source_windows, weight), right, [
        (right * weight.sum(), "few known pixels seem closest: divide by the sum of the weights"),
        (right / 3, "the sum over colors is not divided by 3, only by the sum of the weights"),
        (total(difference ** 2) / weight.sum(), "the weights are missing: they hide the unknown"),
        (total(difference.abs() * weight) / weight.sum(), "square the differences"),
        ((difference ** 2 * weight).mean((1, 2, 3)), "a mean counts unknown pixels, too"),
        (right.sqrt(), "this is the square root; return the squared distances"),
    ], tolerance=1e-4)


@prints_feedback
def gram_matrix(mine, f):
    """Check mine(f), features (b,c,h,w) -> (b,c,c): Gram matrices, averaged over positions."""
    right = losses.gram_matrix(f)
    positions = f[0, 0].numel()
    flat = f.flatten(2)
    mixed = f.permute(0, 2, 3, 1).reshape(flat.shape)
    covariance = losses.gram_matrix(f - f.mean((2, 3), keepdim=True))
    return compare(mine, (f,), losses.gram_matrix, [
        (right * positions, "this is the sum over the positions, which grows with the image"),
        (right / f.shape[1], "this is divided by the channels, too; average only over positions"),
        (flat.mT @ flat / positions, "this compares positions, not channels: transpose the second"),
        (mixed @ mixed.mT / positions, "reshape mixed channels and positions: use f.flatten(2)"),
        (covariance, "this is the covariance; a Gram matrix keeps the means"),
    ], tolerance=1e-4, differentiable=True)


def layer_mistakes(errors, norms):
    """List mistakes and hints for a mean over layers of errors (layers,b), relative to `norms`."""
    return [
        ((errors * norms).mean(0), "divide by the squared norm of a target, or one layer decides"),
        (errors.sum(0), "this is the sum over the layers; take the mean"),
        (errors[-1], "this is the last layer alone; take the mean over all"),
        (errors.sqrt().mean(0), "this is a root: the relative error is squared"),
    ]


@prints_feedback
def style_loss(mine):
    """Check mine(features, grams), layer -> (b,c,h,w) and layer -> (1,c,c), -> (b,): the squared
    relative error of the Gram matrices, averaged over the layers."""
    maps, styles = torch.randn(2, 2, 3, 4, 5, 6, generator=generator(0))     # (layers,b,c,h,w)
    grams = {f"relu{k}": losses.gram_matrix(style[:1]) for k, style in enumerate(styles)}
    features = lambda maps: dict(zip(grams, maps))
    right = lambda maps: losses.style_loss(features(maps), grams)
    errors = [losses.style_loss(features(maps), {layer: grams[layer]}) for layer in grams]
    norms = torch.stack([gram.square().sum((1, 2)) for gram in grams.values()])
    squares = torch.stack(errors) * norms
    return compare(lambda maps: mine(features(maps), grams), (maps,), right, [
        *layer_mistakes(torch.stack(errors), norms),
        (squares.mean(0) / 16, "this is the mean of the squares; divide their sum by the target's"),
    ], tolerance=1e-4, differentiable=True)


def draw_transfer(mine, net, content, style, weight):
    """Show the image that the reader's loss finds, from the content in 40 steps."""
    grams = style_grams(net, style)
    target = style_features(net, content)[CONTENT].detach()

    def loss(x):
        features = style_features(net, x)
        return mine(features[CONTENT], target, features, grams, weight).sum()

    adam = lambda p: torch.optim.Adam(p, lr=0.03)
    steps = descend(PixelImage(content), loss, steps=40, optimizer=adam)
    show({"the content": content, "the style": style, "by your loss": last(steps).image})


@prints_feedback(draw=draw_transfer)
def transfer_loss(mine, *drawn, **named):
    """Check mine(a, target, features, grams, weight), (b,c,h,w), (1,c,h,w), and as in style_loss,
    -> (b,): content loss + weight * style loss."""
    a, f, target, style = torch.randn(4, 2, 3, 5, 6, generator=generator(0))
    target, grams, weight = target[:1], {"relu1": losses.gram_matrix(style[:1])}, 5.0
    style_of = lambda f: losses.style_loss({"relu1": f}, grams)
    right = lambda a, f: losses.content_loss(a, target) + weight * style_of(f)
    content, style = losses.content_loss(a, target), style_of(f)
    answer = lambda a, f: mine(a, target, {"relu1": f}, grams, weight)
    return compare(answer, (a, f), right, [
        (content + style, "the weight of the style loss is missing"),
        (weight * content + style, "the weight belongs to the style loss, not to the content"),
        (weight * (content + style), "the weight belongs to the style loss alone"),
        (content, "the style loss is missing"),
        (weight * style, "the content loss is missing"),
    ], tolerance=1e-4, differentiable=True)


@prints_feedback
def instance_norm(mine, x):
    """Check mine(x), (b,c,h,w) -> (b,c,h,w): instance norm without scale and shift."""
    centered = x - x.mean((2, 3), keepdim=True)
    variance = x.var((2, 3), keepdim=True, correction=0)
    return compare(mine, (x,), F.instance_norm, [
        (F.batch_norm(x, None, None, training=True), "this is batch norm: its mean is over images"),
        (F.layer_norm(x, x.shape[1:]), "this is layer norm: its mean is over the channels, too"),
        (centered, "the variance is unchanged: divide by the standard deviation"),
        (centered / (variance + 1e-5), "divide by the square root of the variance"),
        (centered / x.std((2, 3), keepdim=True), "almost: divide by n, not n - 1: correction=0"),
    ], tolerance=1e-4, differentiable=True)


def train(mine, x, loss, **methods):
    """Take two training steps on images (b,3,h,w) -> (8,): losses, then the parameters."""
    net = nn.InstanceNorm2d(3, affine=True)     # its parameters start at 1 and 0
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    vars(optimizer).update(methods)
    values = [call(mine, net, optimizer, x, loss) for _ in range(2)]
    return torch.cat([torch.stack(values), *net.parameters()])


@prints_feedback
def training_step(mine):
    """Check mine(net, optimizer, x, loss), with loss(net(x), x) -> (b,), -> a number: one step down
    the mean loss, and return it."""
    x = torch.rand(4, 3, 5, 6, generator=generator(0)).requires_grad_()
    loss = lambda y, x: (y - x / 2).square().mean((1, 2, 3))
    nothing = lambda *_: None

    def step(net, optimizer, x, loss):
        value = loss(net(x), x).mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value

    return compare(lambda: train(mine, x, loss), (), train(step, x, loss), [
        (train(step, x, loss, step=nothing), "the parameters stay: zero_grad, backward, then step"),
        (train(step, x, loss, zero_grad=nothing), "gradients add up: zero_grad before backward"),
        (train(step, x, lambda y, x: len(x) * loss(y, x)), "this is the sum; take the mean"),
        (train(step, x, lambda y, x: loss(x, x)), "this is the loss of x; what of net(x)?"),
        (train(step, x, lambda y, x: loss(x, y)), "exchanged: loss(y, x), with y = net(x)"),
    ], tolerance=1e-4)
