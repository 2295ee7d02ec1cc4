"""Check the open exercises.

No answer is right: each gets a score on held-out inputs, in a table of earlier scores from
data/leaderboard.json, which `python3 run.py leaderboard --write` computes.
"""

import json

import torch

from helpers.attribution import class_score, occlusion, saliency, smooth_grad
from helpers.exercises.detective import with_random_cue, with_spurious_cue
from helpers.exercises.feedback import (
    Feedback,
    call,
    check_kind,
    check_range,
    prints_feedback,
    require,
)
from helpers.exercises.held_out_inputs import generator, held_out_images, held_out_scenes
from helpers.feature_visualization import is_classified_as
from helpers.features import Probe
from helpers.figures import show
from helpers.losses import content_loss, style_loss
from helpers.networks import DATA, class_index
from helpers.scenes import SHAPES, scenes
from helpers.style import style_features, style_grams

LEADERBOARD = DATA / "leaderboard.json"
PRINTED = "the printed solution"
TARGET = "ladybug"      # of the patch: scores for different classes are not comparable
STYLE_LAYERS = ["pixels", "relu1", "relu2", "relu3"]


def ranking(challenge, score, message, *, low_is_good=False):
    """Rank a score among the earlier ones -> Feedback with a table."""
    earlier = json.loads(LEADERBOARD.read_text(encoding="utf-8"))[challenge]
    rows = [*earlier.items(), ("yours", score)]
    rows.sort(key=lambda row: row[1], reverse=not low_is_good)
    lines = [f"{'→' if who == 'yours' else ' '} {value:6.1%}  {who}" for who, value in rows]
    return Feedback(1.0, "\n".join([f"✓ {message}", *lines]))


# ---- The fewest pixels that change a prediction ----


def draw_occluder(mine, net, *, seed=0):
    """Show four images with the reader's pixels gray."""
    x, _ = held_out_images(net, 4, seed)
    show(torch.where(mine(net, x)[:, None], 0.5, x), width=192)


@prints_feedback(draw=draw_occluder)
def occluder(mine, net, *, seed=0):
    """Check mine(net, x), (b,3,h,w) -> (b,h,w) bool: the pixels to turn gray so that the
    prediction changes."""
    score = occluder_score(mine, net, seed=seed)
    message = f"{score:.1%} of an image is occluded (100% where the prediction stays)"
    return ranking("occluder", score, message, low_is_good=True)


def occluder_score(mine, net, *, seed=0):
    """Compute the mean fraction of pixels that are occluded, 1 where the prediction stays."""
    x, _ = held_out_images(net, 32, seed)
    masks = call(mine, net, x)
    check_kind(masks, x, (len(x), *x.shape[2:]), "a mask for each image")
    require(masks.dtype == torch.bool, f"the masks have the type {masks.dtype}; expected "
                                       "torch.bool, True where occluded. Try mask > 0")
    with torch.no_grad():
        occluded = torch.where(masks[:, None], 0.5, x)
        changed = net(occluded).argmax(1) != net(x).argmax(1)
    require(changed.any(), "no prediction changes when the pixels of your masks are gray")
    return torch.where(changed, masks.float().mean((1, 2)), 1.0).mean().item()


# ---- Class visualization for another network ----


def random_classes(net, seed):
    """Draw 32 classes of the photographs, (32,)."""
    classes = torch.randperm(64, generator=generator(seed))[:32]
    return classes.to(next(net.parameters()).device)


def draw_classes(mine, net, held_out_net, *, seed=0):
    """Show the reader's images of eight of the classes."""
    classes = random_classes(net, seed)[:8]
    show(mine(net, classes), [net.classes[c] for c in classes], columns=4, width=192)


@prints_feedback(draw=draw_classes)
def class_visualization(mine, net, held_out_net, *, seed=0):
    """Check mine(net, classes), (b,) -> (b,3,64,64): images of 32 classes, optimized for `net`."""
    score = class_visualization_score(mine, net, held_out_net, seed=seed)
    message = f"the held-out network classifies {score:.0%} of your images correctly"
    return ranking("class_visualization", score, message)


def class_visualization_score(mine, net, held_out_net, *, seed=0):
    """Compute the accuracy of the held-out network on the images."""
    classes = random_classes(net, seed)
    images = call(mine, net, classes)
    check_kind(images, classes, (len(classes), 3, 64, 64), "an image for each class")
    check_range(images, "clamp after each step")
    images = images.detach()
    require(is_classified_as(net, images, classes).any(),
            "not even the network that you optimized for classifies one image correctly: does the "
            "score of the class increase?")
    return is_classified_as(held_out_net, images, classes).float().mean().item()


# ---- Style transfer in few steps ----


def draw_painting(mine, net, pairs, *, seed=0):
    """Show the reader's painting of a crop of the first pair."""
    content, style = [random_crop(image, 96, generator(seed)) for image in pairs[0]]
    painting = mine(style_transfer_loss(net, content, style), content, 60).detach()
    show({"the photograph": content, "the style": style, "your painting": painting}, width=288)


@prints_feedback(draw=draw_painting)
def style_transfer(mine, net, pairs, *, seed=0):
    """Check mine(loss, content, calls), (1,3,h,w) -> (1,3,h,w): an image with a small loss, found
    with at most 60 calls of it.

    `pairs` lists contents and styles, (1,3,h,w) each; a random crop of each is used.
    """
    score = style_transfer_score(mine, net, pairs, seed=seed)
    message = f"{score:.1%} of the content's own loss is left"
    return ranking("style_transfer", score, message, low_is_good=True)


def style_transfer_score(mine, net, pairs, *, calls=60, seed=0):
    """Compute the loss of the images, relative to that of the contents."""
    g = generator(seed)
    fractions = []
    for content, style in pairs:
        content = random_crop(content, 96, g)
        style = random_crop(style, 96, g)
        loss = style_transfer_loss(net, content, style)
        limited = limit_calls(loss, calls, content.shape)
        image = call(mine, limited, content, calls)
        check_kind(image, content, content.shape, "one image")
        check_range(image, "clamp at the end")
        with torch.no_grad():
            fractions.append(loss(image.detach()).item() / loss(content).item())
    score = sum(fractions) / len(fractions)
    require(score <= 0.999,     # two losses of one image may differ by a rounding error
            "the loss is not smaller than that of the content: does it decrease?")
    return score


def random_crop(image, side, g):
    """Cut a random square out of an image, (1,3,h,w) -> (1,3,side,side)."""
    top, left = [int(torch.randint(n - side + 1, (), generator=g)) for n in image.shape[2:]]
    return image[..., top:top + side, left:left + side]


def style_transfer_loss(net, content, style):
    """Return the loss of style transfer, a function of one image (1,3,h,w)."""
    with torch.no_grad():
        grams = style_grams(net, style, STYLE_LAYERS)
        target = style_features(net, content, ["relu3"])["relu3"]

    def loss(x):
        features = style_features(net, x, STYLE_LAYERS)
        return (content_loss(features["relu3"], target) + 10 * style_loss(features, grams)).sum()

    return loss


def limit_calls(loss, calls, shape):
    """Return a loss that raises ValueError after so many calls, and for another shape."""
    used = 0

    def limited(x):
        nonlocal used
        used += 1
        if x.shape != shape:
            raise ValueError(f"Got images {tuple(x.shape)}; expected one image {tuple(shape)}: a "
                             "batch is more than one call.")
        if used > calls:
            raise ValueError(f"This is call {used} of the loss; expected at most {calls}.")
        return loss(x)

    return limited


# ---- A spurious cue that saliency maps do not reveal ----


def draw_cue(mine, net, *, seed=0):
    """Show eight scenes with the reader's cue of their shape."""
    test = held_out_scenes(48, seed)[:8]
    show(mine(test.images, test.labels), SHAPES, columns=4, width=192)


@prints_feedback(draw=draw_cue)
def spurious_cue(mine, net, *, seed=0):
    """Check mine(images, kinds), (b,3,64,64) and (b,) from 0 to 7 -> (b,3,64,64): images with a
    cue that shows the kind, but that saliency maps do not reveal."""
    score = spurious_cue_score(mine, net, seed=seed)
    message = ("maps of the probe that uses the cue differ from those of an honest probe by "
               f"{score:.1%} more than a second honest probe's")
    return ranking("spurious_cue", score, message, low_is_good=True)


def spurious_cue_score(mine, net, *, seed=0):
    """Compute how much saliency maps reveal of a cue, see `revealed`.

    One probe learns the shapes of scenes whose cue shows the shape, two honest ones those of scenes
    with random cues. With misleading cues, the first must be right about at most 50%.
    """
    device = next(net.parameters()).device
    train = scenes()[:480]
    test = held_out_scenes(48, seed)
    images = call(mine, train.images, train.labels)
    check_kind(images, train.images, train.images.shape, "an image for each image")
    check_range(images, "try clamp(0, 1)")
    fit = lambda images: Probe(net, images.to(device), train.labels.to(device), "relu4")
    cheat = fit(with_spurious_cue(train, cue=mine, seed=seed))
    honest = fit(with_random_cue(train, cue=mine, seed=seed))
    second = fit(with_random_cue(train, cue=mine, seed=seed + 1))
    labels = test.labels.to(device)
    misleading = mine(test.images, (test.labels + 1) % 8).to(device)
    random = with_random_cue(test, cue=mine, seed=seed).to(device)
    lower = min(probe.accuracy(random, labels) for probe in (honest, second))
    check_accuracies(cheat.accuracy(misleading, labels), lower)
    informative = with_spurious_cue(test, cue=mine, seed=seed).to(device)
    return revealed(cheat, honest, second, informative)


def check_accuracies(misled, honest):
    """Raise NotRight if a misled probe is right too often, or an honest one not often enough."""
    require(misled <= 0.5, f"the probe hardly uses this cue: misled, its accuracy is still "
                           f"{misled:.0%}. The cue must be easier to read than the shape")
    require(honest >= 0.4, f"too little is left of the scenes: an honest probe has an accuracy of "
                           f"{honest:.0%}; expected at least 40%")


def revealed(cheat, honest, second_honest, x):
    """Measure how much more the maps of a cheat differ from an honest probe's than those of a
    second honest probe do, from -1 to 1: the largest value of three methods."""
    distance = lambda a, b: (a - b).abs().sum((1, 2)).mean().item() / 2
    maps = zip(*[saliency_maps(probe, x) for probe in (cheat, honest, second_honest)])
    return max(distance(of_cheat, of_honest) - distance(of_second, of_honest)
               for of_cheat, of_honest, of_second in maps)


def saliency_maps(probe, x):
    """Compute three maps for a probe's own predictions, each with the sum 1: [(b,h,w)]."""
    with torch.no_grad():
        predicted = probe(x).argmax(1)
    score = class_score(probe, predicted)
    maps = [saliency(score, x), smooth_grad(score, x, samples=4), occlusion(score, x)]
    positive = [found.clamp(min=0) for found in maps]
    return [found / found.sum((1, 2), keepdim=True).clamp(min=1e-9) for found in positive]


# ---- A patch that makes a network see one class everywhere ----


def draw_patch(mine, net, *, seed=0):
    """Show the reader's patch, and four held-out scenes with it."""
    patch, patched = patched_scenes(mine, net, seed)
    show([patch, *patched[:4]], [f"your patch: {TARGET}", *[""] * 4], width=192)


@prints_feedback(draw=draw_patch)
def adversarial_patch(mine, net, *, seed=0):
    """Check mine(net, images, target), (64,3,64,64) and a class -> (3,16,16): a patch that makes
    `net` classify scenes as the target, wherever it is pasted (Brown 2017)."""
    score = adversarial_patch_score(mine, net, seed=seed)
    message = f"with your patch, {score:.0%} of the scenes are classified as {TARGET}"
    return ranking("adversarial_patch", score, message)


def adversarial_patch_score(mine, net, *, seed=0):
    """Compute the fraction of 64 held-out scenes that are classified as the target."""
    _, patched = patched_scenes(mine, net, seed)
    targets = torch.full((len(patched),), class_index(net, TARGET))
    score = is_classified_as(net, patched, targets).float().mean().item()
    require(score > 0, "no scene is classified as the target: ascend on its log-probability, for "
                       "scenes with the patch pasted")
    return score


def patched_scenes(mine, net, seed):
    """Return the reader's patch, and 64 held-out scenes with it at random positions."""
    images = scenes(next(net.parameters()).device).images[:64]
    patch = call(mine, net, images, class_index(net, TARGET))
    check_kind(patch, images, (3, 16, 16), "one patch for all images")
    check_range(patch, "clamp after each step")
    patched = held_out_scenes(64, seed).images.to(images).clone()
    corners = torch.randint(49, (64, 2), generator=generator(seed)).tolist()
    for image, (top, left) in zip(patched, corners):
        image[:, top:top + 16, left:left + 16] = patch.detach()
    return patch.detach(), patched
