"""Check the half-hour problems. Each check draws its own inputs."""

from copy import deepcopy

import torch
import torch.nn.functional as F

from helpers import attribution, baselines, losses
from helpers.activations import activations, find_layer
from helpers.adversarial import pgd as reference_pgd
from helpers.drawing import gradient_image, image_scatter, outline, overlay
from helpers.exercises.challenges import STYLE_LAYERS
from helpers.exercises.checks import layer_mistakes
from helpers.exercises.feedback import (
    RIGHT,
    Feedback,
    call,
    check_kind,
    check_range,
    compare,
    prints_feedback,
    require,
    run_check,
)
from helpers.exercises.held_out_inputs import generator, held_out_images, held_out_scenes
from helpers.features import extract_features, linear_probe, pca
from helpers.figures import show
from helpers.images import resize
from helpers.losses import content_loss, relative_error
from helpers.networks import load_net, top_classes
from helpers.optimization import descend, last
from helpers.parametrization import FourierImage, PixelImage
from helpers.style import CONTENT, load_transform_net, style_features, style_grams, style_image

# ---- 01_activations ----


def tsne_inputs(net):
    """Return 48 scenes and their features (48,30)."""
    scenes = held_out_scenes(48, 0)
    images = scenes.images.to(next(net.parameters()).device)
    return scenes, pca(extract_features(net, images, "relu7").cpu(), 30)


def draw_map(mine, net):
    """Show the scenes at the reader's points, framed in a color for each shape."""
    scenes, features = tsne_inputs(net)
    points = torch.as_tensor(mine(features, 15))
    show(image_scatter(scenes.images, points, labels=scenes.labels), width=640)


@prints_feedback(draw=draw_map)
def tsne_map(mine, net):
    """Check mine(features, perplexity), (n,d) -> (n,2): t-SNE without a library.

    Measured by trustworthiness (Venna & Kaski 2001) against scikit-learn and PCA.
    """
    from sklearn.manifold import TSNE, trustworthiness  # takes seconds

    _, features = tsne_inputs(net)
    points = call(mine, features, 15)
    check_kind(points, features, (len(features), 2), "a point for each image")
    points = points.detach().cpu().double()
    require(points.std() > 1e-9, "all points are at the same position: is the initialization wide "
                                 "enough, and does the gradient also push points apart?")
    best = TSNE(perplexity=15, random_state=0).fit_transform(features.numpy())
    maps = {"yours": points, "scikit-learn": best, "PCA": pca(features, 2)}
    trust = {name: trustworthiness(features, found, n_neighbors=7) for name, found in maps.items()}
    table = ", ".join(f"{name} {value:.3f}" for name, value in trust.items())
    require(trust["yours"] >= (0.5 + trust["PCA"]) / 2,     # 0.5 is that of random points
            f"this map is hardly better than random points: {table}. Does the loss decrease? "
            "Subtract the gradient")
    require(trust["yours"] > trust["PCA"] + 0.3 * (trust["scikit-learn"] - trust["PCA"]),
            f"this map is hardly better than PCA: {table}. Take more and larger steps, with 4 P "
            "instead of P in the first of them")
    return Feedback(1.0, f"✓ right, with a trustworthiness of: {table}")


def probe_inputs(net):
    """Return images (56,3,64,64), features (56,c,h,w) of relu3, and masks (56,h,w) of objects."""
    scenes = held_out_scenes(56, 0)
    features = activations(net, scenes.images.to(next(net.parameters()).device), "relu3")
    masks = F.adaptive_avg_pool2d(scenes.masks[:, None].float(), features.shape[2:])[:, 0] > 0.5
    return scenes.images, features.detach(), masks.to(features.device)


def evidence_of(features, weights, bias):
    """Compute w f + b at each position, (n,c,h,w), (c,), () -> (n,h,w)."""
    return torch.einsum("nchw,c->nhw", features, weights) + bias


def mean_iou(masks, truth):
    """Compute the mean intersection over union of masks (n,h,w) bool."""
    union = (masks | truth).sum((1, 2)).clamp(min=1)
    return ((masks & truth).sum((1, 2)) / union).mean().item()


def required_iou(images, features, masks, train, test):
    """Compute the IoU halfway between the better baseline and a linear probe.

    Baselines are the whole image, and color contrast above its best threshold in training.
    """
    contrast = F.adaptive_avg_pool2d(baselines.color_contrast(images), masks.shape[1:]).to(features)
    thresholds = contrast.flatten().quantile(torch.linspace(0, 1, 101).to(features))
    best = max(thresholds, key=lambda low: mean_iou(contrast[train] > low, masks[train]))
    whole = mean_iou(torch.ones_like(masks[test]), masks[test])
    baseline = max(whole, mean_iou(contrast[test] > best, masks[test]))
    weights, biases = linear_probe(features[train].movedim(1, 3).flatten(0, 2),
                                   masks[train].flatten())
    probe = evidence_of(features[test], weights[:, 1] - weights[:, 0], biases[1] - biases[0]) > 0
    return (baseline + mean_iou(probe, masks[test])) / 2, baseline


def draw_probe(mine, net):
    """Outline where the reader's probe finds an object, in four scenes that it has not seen."""
    images, features, masks = probe_inputs(net)
    weights, bias = [torch.as_tensor(part).to(features) for part in mine(features[:24], masks[:24])]
    found = evidence_of(features[-4:], weights, bias)[:, None]
    inside = F.interpolate(found, (256, 256), mode="bilinear") > 0
    show([outline(resize(x[None], 256), mask) for x, mask in zip(images[-4:], inside)])


@prints_feedback(draw=draw_probe)
def position_probe(mine, net):
    """Check mine(features, masks), (n,c,h,w) and (n,h,w) bool -> (c,) and (): weights and bias of
    a linear probe for each position, positive on objects. Judged by IoU on other scenes."""
    train, test = slice(24), slice(24, None)
    images, features, masks = probe_inputs(net)
    answer = call(mine, features[train], masks[train])
    require(isinstance(answer, tuple) and len(answer) == 2, "return two things: weights, bias")
    weights, bias = [torch.as_tensor(part).detach().to(features) for part in answer]
    check_kind(weights, features, features[0, :, 0, 0].shape, "a weight for each channel")
    check_kind(bias, features, (), "one number")
    values = evidence_of(features[test], weights, bias)
    require((values > 0).any(), "everything is background: w f + b is nowhere positive. Fit it "
                                "with targets 1 and -1, or 1 and 0 and then subtract 0.5")
    required, baseline = required_iou(images, features, masks, train, test)
    reached = mean_iou(values > 0, masks[test])
    require(mean_iou(values < 0, masks[test]) < max(reached, required),
            "the sign is exchanged: w f + b is positive on the background")
    require(reached >= required,
            f"the mean IoU is {reached:.0%}; color contrast alone reaches {baseline:.0%}; expected "
            f"at least {required:.0%}. Standardize the channels, and add a penalty on the weights")
    return Feedback(1.0, f"✓ right, with a mean IoU of {reached:.0%}; color contrast reaches "
                         f"{baseline:.0%}")


# ---- 02_gradients ----


def draw_grad_cam(mine, net, layer="relu5"):
    """Show two images, each with the reader's map over it."""
    x, classes = held_out_images(net, 2, 0)
    maps = mine(net, find_layer(net, layer), x, attribution.class_score(net, classes))
    show([part for image, found in zip(x.split(1), maps.split(1))
          for part in (image, overlay(image, found))], width=192)


@prints_feedback(draw=draw_grad_cam)
def grad_cam(mine, net, layer="relu5"):
    """Check mine(net, module, x, score), (b,3,h,w) -> (b,h,w): Grad-CAM at a module's output."""
    net = deepcopy(net)     # so a hook that is left does not stay
    x, classes = held_out_images(net, 8, 0)
    score = attribution.class_score(net, classes)
    module = find_layer(net, layer)
    outputs = []
    with module.register_forward_hook(lambda module, inputs, output: outputs.append(output)):
        y = score(x.clone().requires_grad_())
    a = outputs[0]
    g, = torch.autograd.grad(y.sum(), a)
    mean = g.mean((2, 3), keepdim=True)
    total = lambda maps: maps.sum(1, keepdim=True)
    resized = lambda maps: F.interpolate(maps, x.shape[2:], mode="bilinear")[:, 0]
    compare(mine, (net, module, x, score), attribution.grad_cam(net, x, layer, classes), [
        (resized(total(mean * a)), "negative evidence is still there: apply a ReLU at the end"),
        (resized(total(g * a).relu()),
         "each position has its own weight (HiResCAM): average the gradient over the positions"),
        (resized(total(a)), "the gradient is missing: this is the sum of the activations"),
        (resized(total(g.amax((2, 3), keepdim=True) * a).relu()),
         "a channel's weight is the *mean* of its gradient, not the maximum"),
        (total(mean * a).relu()[:, 0], "right, but small: resize it, mode='bilinear'"),
    ], tolerance=1e-4)
    require(not module._forward_hooks and not module._backward_hooks,
            "your hook is still there and would run in each later call: remove it in `finally`")
    return RIGHT


def cross_entropy(net, classes):
    """Return the loss of each image, (b,3,h,w) -> (b,)."""
    return lambda x: F.cross_entropy(net(x), classes, reduction="none")


def draw_pgd(mine, net):
    """Show an image, the reader's adversarial example, and the perturbation, with predictions."""
    x, classes = held_out_images(net, 1, 0)
    y = mine(cross_entropy(net, classes), x, 8 / 255, "linf", 10, 0, 0)
    titles = [f"{name} {p:.0%}" for (name, p), in top_classes(net, torch.cat([x, y]), 1)]
    show([x, y, gradient_image(y - x)], [*titles, "the perturbation, enlarged"])


@prints_feedback(draw=draw_pgd)
def pgd(mine, net):
    """Check mine(score, x, epsilon, norm, steps, restarts, seed), (b,3,h,w) -> (b,3,h,w):
    projected gradient ascent with restarts."""
    x, classes = held_out_images(net, 16, 0)
    x = torch.cat([torch.ones_like(x[:1]), x[1:]])      # each step from white leaves [0, 1]
    loss = cross_entropy(net, classes)
    check_attack(mine, loss, x, 8 / 255, "linf")
    check_attack(mine, loss, x, 1.0, "l2")
    return RIGHT


def check_attack(mine, loss, x, epsilon, norm):
    """Raise NotRight unless three steps of an attack increase a loss as they should."""
    attack = lambda restarts, seed=0: call(mine, loss, x, epsilon, norm, 3, restarts, seed)
    single = attack(0)
    restarted = attack(3)
    for images in (single, restarted):
        check_constraints(x, images, norm, epsilon)
    goal = reference_pgd(loss, x, epsilon=epsilon, norm=norm, steps=3)
    with torch.no_grad():
        start, once, often, best = [loss(images) for images in (x, single, restarted, goal)]
    require(not torch.equal(single, x), f"{norm}: nothing has changed")
    require(once.mean() >= start.mean(), f"{norm}: the score decreased; step up the gradient")
    require((often >= once - 1e-4).all(),
            f"{norm}: restarts lower the score of an image; keep each image's best of all starts")
    require((often > once + 1e-4).any() and not torch.equal(attack(3, seed=1), restarted),
            f"{norm}: restarts or their seed change nothing; start each at another random point")
    require(once.mean() >= 0.9 * best.mean(),
            f"{norm}: the mean score is {once.mean():.2f}; three steps of 2.5 epsilon / 3 reach "
            f"{best.mean():.2f}. Normalize the gradient of each image, by its sign or its l2 norm")


def check_constraints(x, images, norm, epsilon):
    """Raise NotRight if perturbed images leave [0, 1] or the ball around x."""
    check_kind(images, x, x.shape, f"a perturbed image for each image ({norm})")
    check_range(images, f"clamp after each step ({norm})")
    order = {"linf": torch.inf, "l2": 2}[norm]
    farthest = (images - x).flatten(1).norm(order, dim=1).max()
    require(farthest <= 1.01 * epsilon,
            f"{norm}: epsilon is {epsilon:.3f}, and a perturbation has the norm {farthest:.3f}: "
            "project after each step and the random start; the l2 norm is that of *one* image")


def path_inputs(net):
    """Return a score, four images (4,3,h,w), and a gray baseline for each."""
    x, classes = held_out_images(net, 4, 0)
    return attribution.class_score(net, classes), x, torch.full_like(x, 0.5)


@torch.no_grad()
def draw_parts(mine, net):
    """Show the reader's attributions over the images, with their sums."""
    score, x, baseline = path_inputs(net)
    parts = mine(score, x, baseline, 24)
    pairs = zip(parts.sum((1, 2, 3)).tolist(), (score(x) - score(baseline)).tolist())
    titles = [f"sum {total:.3f}, difference {change:.3f}" for total, change in pairs]
    maps = parts.sum(1).split(1)
    show([overlay(*both, signed=True) for both in zip(x.split(1), maps)], titles)


@prints_feedback(draw=draw_parts)
def completeness(mine, net):
    """Check mine(score, x, baseline, steps), (b,3,h,w) -> (b,3,h,w): integrated gradients whose
    attributions sum to score(x) - score(baseline)."""
    score, x, baseline = path_inputs(net)
    gradients = []

    def counted(x):
        if x.requires_grad and torch.is_grad_enabled():
            gradients.append(x)
        return score(x)

    parts = call(mine, counted, x, baseline, 24)
    check_kind(parts, x, x.shape, "an attribution for each value of each image")
    parts = parts.detach()
    require(len(gradients) <= 24, f"this takes {len(gradients)} gradients; take 24, one per step")
    truth = attribution.integrated_gradients(score, x, steps=128)
    error = lambda maps: relative_error(maps - truth, truth).sqrt().mean()
    require(error(parts * (x - baseline)) >= 0.2,
            "this is the mean gradient along the path; multiply it by x - baseline")
    require(error(-parts) >= 0.2, "the sign: attribute the change from the baseline to x")
    require(error(parts) <= 0.5,
            f"these are not integrated gradients, with a relative error of {error(parts):.0%}: "
            "average the gradient at baseline + alpha (x - baseline), alpha from 0 to 1")
    with torch.no_grad():
        difference = score(x) - score(baseline)
    gap = (parts.sum((1, 2, 3)) - difference).abs() / difference.abs().clamp(min=1)
    require(gap.max() <= 2e-3,
            f"the sum of the attributions misses the difference of the scores by {gap.max():.1%}. "
            "The score itself tells how much each step changed it: correct attributions to that")
    return RIGHT


# ---- 03_fun ----


def draw_accentuation(mine, x, unit, features, weight):
    """Show a photograph, and what 60 steps down the reader's loss make of it."""
    adam = lambda p: torch.optim.Adam(p, lr=0.1)

    def accentuate(weight):
        loss = lambda y: mine(y, x, unit, features, weight).sum()
        return last(descend(FourierImage(x), loss, steps=60, optimizer=adam)).image

    show({"the photograph": x, "without the penalty": accentuate(0),
          f"weight {weight}": accentuate(weight)})


@prints_feedback(draw=draw_accentuation)
def accentuation_loss(mine, *drawn):
    """Check mine(y, x, unit, features, weight), images (b,3,h,w) and (1,3,h,w) -> (b,):
    -unit(y) + weight ||features(y) - features(x)||^2 / ||features(x)||^2 (Hamblin 2024).

    `drawn` holds x, unit, features, and a weight for the picture.
    """
    y, w = torch.rand(2, 2, 3, 6, 7, generator=generator(0))
    x, weight = w[:1], 3.0
    unit = lambda y: (w * y).sum((1, 2, 3))
    features = lambda y: y.square() + y.roll(1, 1)
    target = features(x)
    error = lambda y: weight * content_loss(features(y), target)
    answer = lambda y: mine(y, x, unit, features, weight)
    return compare(answer, (y,), lambda y: error(y) - unit(y), [
        (error(y) + unit(y), "the sign of the unit: to increase it, its negative is minimized"),
        (error(y) * target.square().sum() - unit(y),
         "divide the squared error by the squared norm of the photograph's features"),
        (weight * content_loss(features(y), target).sqrt() - unit(y), "the error is not squared"),
        (weight * content_loss(y, x) - unit(y), "these are the pixels: compare features"),
        (error(y) / weight - unit(y), "the weight of the features' error is missing"),
    ], tolerance=1e-4, differentiable=True)


def draw_textures(title, loss_of):
    """Show the mosaic, a texture of it by Gram matrices, and one by another loss of features.

    `loss_of(target, grams)` returns it, given the mosaic's features and Gram matrices.
    """
    net = load_net("coursenet-robust")
    mosaic = resize(style_image("mosaic"), 128)[..., :96, :96]
    grams = style_grams(net, mosaic, STYLE_LAYERS)
    adam = lambda p: torch.optim.Adam(p, lr=0.03)

    def texture(loss):
        loss_of_image = lambda x: loss(style_features(net, x, STYLE_LAYERS)).sum()
        image = PixelImage.noise(96, 96)
        return last(descend(image, loss_of_image, steps=150, optimizer=adam)).image

    plain = texture(lambda features: losses.style_loss(features, grams))
    other = texture(loss_of(style_features(net, mosaic, STYLE_LAYERS), grams))
    show({"the mosaic": mosaic, "by Gram matrices": plain, title: other}, width=288)


def draw_statistics(mine, **options):
    """Show the texture that the reader's loss makes of a mosaic."""
    def loss_of(target, grams):
        targets = {layer: moments(f) for layer, f in target.items()}
        return lambda features: mine(features, targets)

    draw_textures("by your loss", loss_of)


@prints_feedback(draw=draw_statistics)
def channel_statistics(mine):
    """Check mine(features, targets), dict layer -> (b,c,h,w), dict layer -> (mean, std), both
    (1,c), -> (b,): the style loss on channel statistics, averaged over the layers."""
    shapes = {"relu1": (3, 6, 8, 8), "relu2": (3, 4, 4, 4)}
    g = generator(0)
    features = [torch.randn(shape, generator=g) for shape in shapes.values()]
    targets = [moments(torch.randn(shape, generator=g)[:1] + 1) for shape in shapes.values()]
    answer = lambda *maps: mine(dict(zip(shapes, maps)), dict(zip(shapes, targets)))
    right = lambda *maps: layer_errors([moments(f) for f in maps], targets).mean(0)
    variances = [(f.mean((2, 3)), f.var((2, 3), correction=0)) for f in features]
    sample = [(f.mean((2, 3)), f.std((2, 3))) for f in features]
    squared = [(mean, std ** 2) for mean, std in targets]
    norms = torch.stack([torch.cat(target, 1).square().sum(1) for target in targets])
    return compare(answer, features, right, [
        *layer_mistakes(layer_errors([moments(f) for f in features], targets), norms),
        (layer_errors(variances, squared).mean(0),
         "these are variances; compare standard deviations"),
        (layer_errors(variances, targets).mean(0),
         "a variance is compared with a standard deviation: take the square root, f.std"),
        (layer_errors(sample, targets).mean(0), "almost: divide by n, not n - 1: correction=0"),
    ], tolerance=1e-4, differentiable=True)


def moments(f):
    """Compute the mean and the standard deviation of each channel, (b,c,h,w) -> (b,c) twice."""
    return f.mean((2, 3)), f.std((2, 3), correction=0)


def layer_errors(found, targets):
    """Compute the relative errors of a tuple of statistics for each layer -> (layers,b)."""
    pairs = [(torch.cat(f, 1), torch.cat(target, 1)) for f, target in zip(found, targets)]
    return torch.stack([relative_error(f - target, target) for f, target in pairs])


def shifted_gram_matrix(f, dy, dx):
    """Compute the mean of f(p) f(p + (dy, dx))^T over positions p, (b,c,h,w) -> (b,c,c).

    Berger & Memisevic 2017.
    """
    h, w = f.shape[2:]
    here = f[..., :h - dy, :w - dx].flatten(2)
    there = f[..., dy:, dx:].flatten(2)
    return here @ there.mT / here.shape[2]


def draw_shifted(mine, **options):
    """Show the texture with the mosaic's shifted Gram matrices, too, of features without means."""
    shifts = [("relu1", d) for d in (2, 4, 8)] + [("relu2", d) for d in (1, 2, 4)]
    shifts = [(layer, *shift) for layer, d in shifts for shift in ((0, d), (d, 0))]
    centered = lambda f: f - f.mean((2, 3), keepdim=True)

    def loss_of(target, grams):
        norms = {layer: losses.gram_matrix(centered(f)) for layer, f in target.items()}

        def loss(features):
            error = 0
            for layer, dy, dx in shifts:
                found, wanted = [mine(centered(f[layer]), dy, dx) for f in (features, target)]
                error = error + relative_error(found - wanted, norms[layer]) / len(shifts)
            return losses.style_loss(features, grams) + 10 * error

        return loss

    draw_textures("and by shifted ones", loss_of)


@prints_feedback(draw=draw_shifted)
def shifted_gram(mine):
    """Check mine(f, dy, dx), (b,c,h,w) -> (b,c,c): the Gram matrix of features with themselves,
    shifted by dy rows and dx columns."""
    f = torch.randn(2, 5, 9, 11, generator=generator(0))
    dy, dx = 2, 3
    right = shifted_gram_matrix(f, dy, dx)
    positions = 9 * 11
    pairs = (9 - dy) * (11 - dx)
    rolled = f.roll((-dy, -dx), (2, 3)).flatten(2)
    compare(mine, (f, dy, dx), shifted_gram_matrix, [
        (f.flatten(2) @ rolled.mT / positions,
         "roll connects opposite edges: leave out positions whose partner is outside"),
        (right.mT, "the transpose: row i is channel i at p, column j is channel j at p + (dy, dx)"),
        (right * pairs, "this is the sum; take the mean over the pairs of positions"),
        (right * pairs / positions, "fewer pairs than positions: divide by (h - dy) (w - dx)"),
        (shifted_gram_matrix(f.mT, dy, dx), "dy is the shift of the rows, dx of the columns"),
    ], tolerance=1e-4, differentiable=True)
    for shift in ((dy, 0), (0, dx), (0, 0)):
        again = run_check(compare, mine, (f, *shift), shifted_gram_matrix, tolerance=1e-4)
        require(again == RIGHT,
                f"right for a shift of {dy, dx}, but not of {shift}: f[..., :-0] is empty. Count "
                "from the front, :h - dy")
    return RIGHT


def draw_guided_transfer(mine, net, content, mask, first, second):
    """Show a painting with the first style inside the mask, and the second outside."""
    masks = (mask, 1 - mask)
    with torch.no_grad():
        target = style_features(net, content)[CONTENT]
        styles = [{layer: mine(f, torch.ones_like(f[:, :1]))
                   for layer, f in style_features(net, style).items()} for style in (first, second)]

    def loss(x):
        features = style_features(net, x)
        errors = []
        for part, grams in zip(masks, styles):
            for layer, gram in grams.items():
                here = F.interpolate(part, features[layer].shape[2:], mode="area")
                errors.append(relative_error(mine(features[layer], here) - gram, gram))
        smooth = losses.total_variation(x) / x[0, 0].numel()
        style = torch.stack(errors).mean(0)
        return (content_loss(features[CONTENT], target) + 20 * style + 0.3 * smooth).sum()

    adam = lambda p: torch.optim.Adam(p, lr=0.03)
    painting = last(descend(PixelImage(content), loss, steps=80, optimizer=adam)).image
    show({"the photograph": content, "the mask": mask[0], "painted": painting})


@prints_feedback(draw=draw_guided_transfer)
def guided_gram(mine, *drawn):
    """Check mine(f, mask), (b,c,h,w) and (b,1,h,w) from 0 to 1 -> (b,c,c): the guided Gram matrix
    (m f) (m f)^T / sum of m^2 (Gatys 2017).

    `drawn` holds a network, a photograph (1,3,h,w), a mask (1,1,h,w), and two styles (1,3,h,w).
    """
    g = generator(0)
    f = torch.randn(2, 4, 6, 7, generator=g)
    mask = torch.rand(2, 1, 6, 7, generator=g)
    total = lambda m: m.sum((2, 3))[..., None]
    products = lambda a, b: a.flatten(2) @ b.flatten(2).mT
    right = lambda f, m: products(m * f, m * f) / total(m ** 2)
    masked = products(mask * f, mask * f)
    return compare(mine, (f, mask), right, [
        (losses.gram_matrix(mask * f), "divide by the sum of m^2, not by the number of positions"),
        (products(mask * f, f) / total(mask ** 2), "multiply both factors by the mask"),
        (masked / total(mask), "divide by the sum of the *squares* of the mask"),
        (losses.gram_matrix(f), "the mask is missing: this is the plain Gram matrix"),
        (masked / total(mask ** 2) / f.shape[1], "sum m^2 over the positions, not over channels"),
    ], tolerance=1e-4, differentiable=True)


def train_style(mine, net, grams, crops):
    """Return the shipped network, its state before, and what the reader trains."""
    original = load_transform_net().to(crops.device)
    before = {name: p.clone() for name, p in original.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return original, before, call(mine, original, net, grams, crops)


def draw_new_style(mine, net, grams, crops, photo):
    """Show the held-out photograph in the new style."""
    *_, trained = train_style(mine, net, grams, crops)
    show({"the photograph": photo, "in the new style": trained.eval()(photo)})


@prints_feedback(draw=draw_new_style)
def new_style(mine, net, grams, crops, photo):
    """Check mine(transform_net, net, grams, crops) -> TransformNet: a copy with one new style,
    whose scales and shifts alone are trained."""
    original, before, trained = train_style(mine, net, grams, crops)
    check_trained(trained, original, before)
    loss = lambda images: losses.style_loss(style_features(net, images, list(grams)), grams).item()
    features = lambda images: activations(net, images, "relu4")
    with torch.no_grad():
        stylized = trained.eval()(photo)
        reached = loss(stylized)
        mean = torch.ones(len(original.styles)) / len(original.styles)
        nearest = min(loss(original(photo, style)) for style in (*original.styles, mean))
        content = content_loss(features(stylized), features(photo)).item()
    require(reached < 0.9 * nearest,
            f"the style loss on a held-out photograph is {reached:.3f}; of the nearest old style, "
            f"or of the mean, {nearest:.3f}. Start from the mean; train longer or in larger steps")
    require(content <= 0.9, f"the style is there, but not the photograph: its content loss is "
                            f"{content:.2f}; that of a gray image is about 1")
    return Feedback(1.0, f"✓ right: the style loss on a held-out photograph is {reached:.3f}; "
                         f"without training, {nearest:.3f}")


def check_trained(trained, original, before):
    """Raise NotRight unless only scales and shifts changed, in a copy that has one style."""
    require(all(torch.equal(p, before[name]) for name, p in original.state_dict().items()),
            "the original network has changed, and with it its nine styles: train a copy")
    require(hasattr(trained, "styles") and hasattr(trained, "named_parameters"),
            f"your answer has the type {type(trained).__name__}; expected a TransformNet")
    require(len(trained.styles) == 1,
            f"the network has {len(trained.styles)} styles; expected one, the new one")
    changed = [name for name, p in trained.state_dict().items()
               if not name.endswith(("scale", "shift")) and not torch.equal(p, before[name])]
    require(not changed, "convolutions have changed, not only the scales and shifts of the norms: "
                         f"train those alone. Changed: {', '.join(changed[:3])}")
