"""Check the half-hour problems. Each check draws its own inputs from a seed."""

from copy import deepcopy

import torch
import torch.nn.functional as F

from helpers import attribution, losses
from helpers.activations import find_layer
from helpers.adversarial import pgd as reference_pgd
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
from helpers.features import extract_features, pca
from helpers.losses import content_loss, relative_error, style_loss
from helpers.style import load_transform_net, style_features

# ---- 01_activations ----


@prints_feedback
def receptive_field(mine, *, seed=0):
    """Check mine(layers), a list of (window, stride, padding, dilation) from first to last ->
    size, stride, and offset of the receptive field."""
    g = generator(seed)
    draw = lambda *choices: choices[int(torch.randint(len(choices), (), generator=g))]
    layers = [(7, 2, 3, 1), (3, 1, 2, 2)]
    layers += [(draw(3, 5), draw(1, 2), draw(0, 1, 3), draw(2, 3)) for _ in range(3)]
    size, stride, offset = field_of(layers)
    return compare(mine, (layers,), (size, stride, offset), [
        (field_of([(k, s, p, 1) for k, s, p, d in layers]),
         "the dilation is missing: a dilated window spans d (k - 1) + 1 pixels"),
        (field_of([(k * d, s, p, 1) for k, s, p, d in layers]),
         "a dilated window spans d (k - 1) + 1 pixels, not d k: no gap follows its last pixel"),
        ((size, stride, 0), "the offset is missing: padding moves the receptive field to the left"),
        ((size, stride, -sum(p for k, s, p, d in layers)),
         "padding counts in a layer's own input pixels: each as wide as the strides before it"),
        ((size, stride, -offset), "the sign of the offset: padding lies *before* pixel 0"),
        (field_of([(k, 1, p, d) for k, s, p, d in layers]), "the strides are missing"),
    ])


def field_of(layers):
    """Compute the receptive field of layers (window, stride, padding, dilation)."""
    size, stride, offset = 1, 1, 0
    for k, s, p, d in layers:
        size += d * (k - 1) * stride
        offset -= p * stride
        stride *= s
    return size, stride, offset


@prints_feedback
def tsne_map(mine, net, *, seed=0):
    """Check mine(features, perplexity), (n,d) -> (n,2): t-SNE without a library.

    Measured by trustworthiness (Venna & Kaski 2001) against scikit-learn, PCA, and noise.
    """
    images = held_out_scenes(48, seed).images.to(next(net.parameters()).device)
    features = extract_features(net, images, "relu7").cpu()
    features = pca(features, 30)
    points = call(mine, features, 15)
    check_kind(points, features, (len(features), 2), "a point for each image")
    points = points.detach().cpu().double()
    require(points.std() > 1e-9, "all points are at the same position: is the initialization wide "
                                 "enough, and does the gradient also push points apart?")
    trust = trustworthiness_of(points, features, seed)
    table = ", ".join(f"{name} {value:.3f}" for name, value in trust.items())
    require(trust["yours"] >= (trust["noise"] + trust["PCA"]) / 2,
            f"this map is hardly better than random points: {table}. Does the loss decrease? "
            "Subtract the gradient")
    require(trust["yours"] > trust["PCA"] + 0.3 * (trust["scikit-learn"] - trust["PCA"]),
            f"this map is hardly better than PCA: {table}. Take more and larger steps, with 4 P "
            "instead of P in the first of them")
    return Feedback(1.0, f"✓ right, with a trustworthiness of: {table}")


def trustworthiness_of(points, features, seed):
    """Measure the trustworthiness of a map and of three baselines -> dict name -> value."""
    from sklearn.manifold import TSNE, trustworthiness  # takes seconds

    tsne = TSNE(perplexity=15, random_state=0)
    maps = {
        "yours": points.numpy(),
        "scikit-learn": tsne.fit_transform(features.numpy()),
        "PCA": pca(features, 2).numpy(),
        "noise": torch.randn(len(features), 2, generator=generator(seed)).numpy(),
    }
    return {name: trustworthiness(features.numpy(), found, n_neighbors=7)
            for name, found in maps.items()}


# ---- 02_gradients ----


@prints_feedback
def grad_cam(mine, net, layer="relu5", *, seed=0):
    """Check mine(net, module, x, score), (b,3,h,w) -> (b,h,w): Grad-CAM at a module's output."""
    net = deepcopy(net)     # so a hook that is left does not stay
    x, classes = held_out_images(net, 8, seed)
    score = attribution.class_score(net, classes)
    module = find_layer(net, layer)
    a, g = output_and_gradient(module, score, x)
    mean = g.mean((2, 3), keepdim=True)
    cam = lambda weights: (weights * a).sum(1, keepdim=True)
    resize = lambda maps, mode="bilinear": F.interpolate(maps, x.shape[2:], mode=mode)[:, 0]
    compare(mine, (net, module, x, score), attribution.grad_cam(net, x, layer, classes), [
        (resize(cam(mean)), "negative evidence is still there: apply a ReLU at the end"),
        (resize(cam(g).relu()),
         "each position has its own weight (HiResCAM): average the gradient over the positions"),
        (resize(cam(torch.ones_like(mean)).relu()),
         "the gradient is missing: this is the sum of the activations"),
        (resize(g.sum(1, keepdim=True).relu()), "the activations are missing: this is a gradient"),
        (resize(cam(g.amax((2, 3), keepdim=True)).relu()),
         "a channel's weight is the *mean* of its gradient, not the maximum"),
        (resize(cam(mean).relu(), mode="nearest"), "use bilinear interpolation, not nearest"),
        (cam(mean).relu()[:, 0], "right, but as small as the layer: resize it, mode='bilinear'"),
        (resize(cam(mean.mean(0, keepdim=True)).relu()),
         "the mean is taken over the images, too: each image has its own weights"),
    ], tolerance=1e-4)
    require(not module._forward_hooks and not module._backward_hooks,
            "your hook is still there and would run in each later call: remove it in `finally`")
    return RIGHT


def output_and_gradient(module, score, x):
    """Compute a module's output (b,c,h,w) and the gradient of a score with respect to it."""
    outputs = []
    keep = lambda module, inputs, output: outputs.append(output)
    with module.register_forward_hook(keep), torch.enable_grad():
        y = score(x.clone().requires_grad_())
        gradient, = torch.autograd.grad(y.sum(), outputs[0])
    return outputs[0].detach(), gradient


@prints_feedback
def pgd(mine, net, *, seed=0):
    """Check mine(score, x, epsilon, norm, steps, restarts, seed), (b,3,h,w) -> (b,3,h,w):
    projected gradient ascent with restarts."""
    x, classes = held_out_images(net, 16, seed)
    x = torch.cat([torch.ones_like(x[:1]), x[1:]])      # each step from white leaves [0, 1]
    loss = lambda x: F.cross_entropy(net(x), classes, reduction="none")
    check_attack(mine, loss, x, 8 / 255, "linf", seed)
    check_attack(mine, loss, x, 1.0, "l2", seed)
    return RIGHT


def check_attack(mine, loss, x, epsilon, norm, seed):
    """Raise NotRight unless three steps of an attack increase a loss as they should."""
    attack = lambda restarts, seed: call(mine, loss, x, epsilon, norm, 3, restarts, seed)
    single = attack(0, seed)
    restarted = attack(3, seed)
    check_constraints(x, single, norm, epsilon)
    check_constraints(x, restarted, norm, epsilon)
    require(not torch.equal(single, x), f"{norm}: nothing has changed")
    goal = reference_pgd(loss, x, epsilon=epsilon, norm=norm, steps=3)
    with torch.no_grad():
        scores = [loss(images) for images in (x, single, restarted, goal)]
    check_scores(norm, *scores)
    require(not torch.equal(attack(3, seed + 1), restarted),
            f"{norm}: another seed changes nothing; draw the starts from a torch.Generator with it")


def check_constraints(x, images, norm, epsilon):
    """Raise NotRight if perturbed images leave [0, 1] or the ball around x."""
    check_kind(images, x, x.shape, f"a perturbed image for each image ({norm})")
    check_range(images, f"clamp after each step ({norm})")
    order = {"linf": torch.inf, "l2": 2}[norm]
    farthest = (images - x).flatten(1).norm(order, dim=1).max()
    require(farthest <= 1.01 * epsilon,
            f"{norm}: epsilon is {epsilon:.3f}, and a perturbation has the norm {farthest:.3f}: "
            "project after each step and the random start; the l2 norm is that of *one* image")


def check_scores(norm, start, single, restarted, goal):
    """Raise NotRight if scores (b,) after three steps, without and with restarts, are too low."""
    require(single.mean() >= start.mean(), f"{norm}: the score decreased; step up the gradient")
    require((restarted >= single - 1e-4).all(),
            f"{norm}: restarts lower the score of an image; keep each image's best of all starts")
    require((restarted > single + 1e-4).any(),
            f"{norm}: three restarts change nothing; start each at another point in the ball")
    require(single.mean() >= 0.9 * goal.mean(),
            f"{norm}: the mean score is {single.mean():.2f}; three steps of 2.5 epsilon / 3 reach "
            f"{goal.mean():.2f}. Normalize the gradient of each image: by its sign in linf, by its "
            "norm in l2")


@prints_feedback
def total_variation(mine, *, seed=0):
    """Check mine(x, beta), (b,3,h,w) -> (b,): the sum of (dx^2 + dy^2)^(beta/2), with a finite
    gradient where x is flat."""
    x = torch.rand(2, 3, 12, 9, generator=generator(seed))
    x[:, :, 3:8, 2:6] = 0.5         # flat
    dx = F.pad(x.diff(dim=3), (0, 1))
    dy = F.pad(x.diff(dim=2), (0, 0, 0, 1))
    squares = dx ** 2 + dy ** 2
    total = lambda values: values.flatten(1).sum(1)
    right = lambda x, beta: losses.total_variation(x, beta=beta)
    compare(mine, (x, 1.0), right, [
        (total(squares), "this is beta 2 for every beta: the power of each sum is beta / 2"),
        (total(dx.abs() + dy.abs()),
         "this adds |dx| and |dy|, so diagonal edges cost more: add squares, then take the power"),
        (squares.sqrt().mean((1, 2, 3)), "this is a mean; compute the sum"),
    ], tolerance=1e-3, differentiable=True)
    require(run_check(compare, mine, (x, 2.0), right, tolerance=1e-3) == RIGHT,
            "right for beta 1, but not for beta 2: the power is beta / 2")
    return RIGHT


@prints_feedback
def completeness(mine, net, *, seed=0):
    """Check mine(score, x, baseline, steps), (b,3,h,w) -> (b,3,h,w): integrated gradients whose
    attributions sum to score(x) - score(baseline)."""
    x, classes = held_out_images(net, 4, seed)
    baseline = torch.full_like(x, 0.5)
    score = attribution.class_score(net, classes)
    gradients = 0

    def counted(x):
        nonlocal gradients
        if x.requires_grad and torch.is_grad_enabled():
            gradients += 1
        return score(x)

    parts = call(mine, counted, x, baseline, 24)
    check_kind(parts, x, x.shape, "an attribution for each value of each image")
    parts = parts.detach()
    require(gradients <= 24, f"this takes {gradients} gradients; take 24, one per step")
    truth = attribution.integrated_gradients(score, x, steps=128)
    error = lambda maps: relative_error(maps - truth, truth).sqrt().mean().item()
    require(error(parts) <= 0.5, diagnose_path(error, parts, x - baseline))
    with torch.no_grad():
        difference = score(x) - score(baseline)
    gap = (parts.sum((1, 2, 3)) - difference).abs() / difference.abs().clamp(min=1)
    require(gap.max() <= 2e-3,
            f"the sum of the attributions misses the difference of the scores by {gap.max():.1%}. "
            "The score itself tells how much each step changed it: correct attributions to that")
    return RIGHT


def diagnose_path(error, parts, difference):
    """Return the hint for maps that are not integrated gradients."""
    if error(parts * difference) < 0.2:
        return "this is the mean gradient along the path; multiply it by x - baseline"
    if error(-parts) < 0.2:
        return "the sign: attribute the change from the baseline to x"
    return (f"these are not integrated gradients, with a relative error of {error(parts):.0%}: "
            "average the gradient at baseline + alpha (x - baseline), alpha from 0 to 1")


# ---- 03_fun ----


def shifted_gram_matrix(f, dy, dx):
    """Compute the mean of f(p) f(p + (dy, dx))^T over positions p, (b,c,h,w) -> (b,c,c).

    Berger & Memisevic 2017.
    """
    h, w = f.shape[2:]
    here = f[..., :h - dy, :w - dx].flatten(2)
    there = f[..., dy:, dx:].flatten(2)
    return here @ there.mT / here.shape[2]


@prints_feedback
def shifted_gram(mine, *, seed=0):
    """Check mine(f, dy, dx), (b,c,h,w) -> (b,c,c): the Gram matrix of features with themselves,
    shifted by dy rows and dx columns."""
    f = torch.randn(2, 5, 9, 11, generator=generator(seed))
    dy, dx = 2, 3
    right = shifted_gram_matrix(f, dy, dx)
    positions = 9 * 11
    pairs = (9 - dy) * (11 - dx)
    flat = f.flatten(2)
    rolled = f.roll((-dy, -dx), (2, 3)).flatten(2)
    compare(mine, (f, dy, dx), shifted_gram_matrix, [
        (flat @ rolled.mT / positions,
         "roll connects opposite edges: leave out positions whose partner is outside"),
        (right.mT, "the transpose: row i is channel i at p, column j is channel j at p + (dy, dx)"),
        (right * pairs, "this is the sum; take the mean over the pairs of positions"),
        (right * pairs / positions, "fewer pairs than positions: divide by (h - dy) (w - dx)"),
        (flat @ flat.mT / positions, "nothing is shifted"),
        (shifted_gram_matrix(f.mT, dy, dx), "dy is the shift of the rows, dx of the columns"),
    ], tolerance=1e-4, differentiable=True)
    for shift in ((dy, 0), (0, dx), (0, 0)):
        again = run_check(compare, mine, (f, *shift), shifted_gram_matrix, tolerance=1e-4)
        require(again == RIGHT,
                f"right for a shift of {dy, dx}, but not of {shift}: f[..., :-0] is empty. Count "
                "from the front, :h - dy")
    return RIGHT


@prints_feedback
def channel_statistics(mine, *, seed=0):
    """Check mine(features, targets), dict layer -> (b,c,h,w), dict layer -> (mean, std), both
    (1,c), -> (b,): the style loss on channel statistics, averaged over the layers."""
    g = generator(seed)
    layers = {"relu1": (3, 6, 8, 8), "relu2": (3, 4, 4, 4)}
    features = [torch.randn(shape, generator=g) for shape in layers.values()]
    targets = [moments(torch.randn(shape, generator=g)[:1] + 1) for shape in layers.values()]
    target_of = dict(zip(layers, targets))
    answer = lambda *maps: mine(dict(zip(layers, maps)), target_of)
    right = lambda *maps: layer_errors([moments(f) for f in maps], targets).mean(0)
    found = [moments(f) for f in features]
    sample = [(f.mean((2, 3)), f.std((2, 3))) for f in features]
    only_means = lambda pairs: [(mean,) for mean, std in pairs]
    variances = lambda pairs: [(mean, std ** 2) for mean, std in pairs]
    errors = layer_errors(found, targets)
    norms = torch.stack([torch.cat(target, 1).square().sum(1) for target in targets])
    return compare(answer, features, right, [
        *layer_mistakes(errors, norms),
        (layer_errors(variances(found), variances(targets)).mean(0),
         "these are variances; compare standard deviations"),
        (layer_errors(variances(found), targets).mean(0),
         "a variance is compared with a standard deviation: take the square root, f.std"),
        (layer_errors(sample, targets).mean(0), "almost: divide by n, not n - 1: correction=0"),
        (layer_errors(only_means(found), only_means(targets)).mean(0),
         "the standard deviations are missing"),
    ], tolerance=1e-4, differentiable=True)


def moments(f):
    """Compute the mean and the standard deviation of each channel, (b,c,h,w) -> (b,c) twice."""
    return f.mean((2, 3)), f.std((2, 3), correction=0)


def layer_errors(found, targets):
    """Compute the relative errors of a tuple of statistics for each layer -> (layers,b)."""
    errors = []
    for statistics, target in zip(found, targets):
        expected = torch.cat(target, 1)
        errors.append(relative_error(torch.cat(statistics, 1) - expected, expected))
    return torch.stack(errors)


@prints_feedback
def new_style(mine, net, grams, crops, photo, *, seed=0):
    """Check mine(transform_net, net, grams, crops) -> TransformNet: a copy with one new style,
    whose scales and shifts alone are trained."""
    original = load_transform_net().to(photo.device)
    before = {name: p.clone() for name, p in original.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trained = call(mine, original, net, grams, crops)
    check_trained(trained, original, before)
    layers = list(grams)
    loss = lambda images: style_loss(style_features(net, images, layers), grams).item()
    features = lambda images: style_features(net, images, ["relu4"])["relu4"]
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
