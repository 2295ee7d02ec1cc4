"""Open exercises: no answer is right; each gets a score, on pictures that the reader did not see, beside what was reached before.

What was reached before stands in data/leaderboard.json: `python -m helpers.recipes.leaderboard --write`.
"""

import json

import torch

from helpers.ascent import named
from helpers.attribution import occlusion, saliency, smooth_grad
from helpers.exercises.detective import flawed, meaningless
from helpers.exercises.fresh import dice, fresh_scenes, with_numbers
from helpers.exercises.verdict import Verdict, called, told, unlike, wrong
from helpers.features import fit_probe
from helpers.losses import content_loss, style_loss
from helpers.nets import DATA
from helpers.style import style_features, style_grams
from helpers.world.scenes import scenes

FILE = DATA / "leaderboard.json"


def standing(contest, score, says, *, low=False):
    """A score among those reached before, as lines of text; its share of the points goes from the worst of these to the best."""
    before = json.loads(FILE.read_text(encoding="utf-8"))[contest]
    rows = sorted([*before.items(), ("yours", score)], key=lambda row: row[1] if low else -row[1])
    first, last = min(before.values()), max(before.values())
    share = (score - first) / (last - first)
    table = "\n".join(f"  {'→' if name == 'yours' else ' '} {value:6.1%}  {name}" for name, value in rows)
    return Verdict(min(1.0, max(0.0, 1 - share if low else share)), f"✓ {says}\n{table}")


def maps_of(got, x, kind):
    """What is wrong with maps or masks of images, or None."""
    fault = unlike(got, x)
    if fault:
        return fault
    if got.shape != (len(x), *x.shape[2:]):
        return wrong(f"the shape is {tuple(got.shape)}, expected {(len(x), *x.shape[2:])}: {kind} for each picture")


# ---- 01_activations --------------------------------------------------------------------------------------------------


@told
def rival(mine, *, seed=0):
    """mine(x): a map that asks no network, (b,3,h,w) -> (b,h,w). The score: its average precision, pixel by pixel."""
    score, fault = rival_score(mine, seed)
    return fault or standing("rival", score, f"the average precision of your maps is {score:.1%}")


def rival_score(mine, seed):
    from sklearn.metrics import average_precision_score  # not at the top: it takes seconds
    fresh = fresh_scenes(48, seed)
    got, fault = called(mine, fresh.images)
    if fault or (fault := maps_of(got, fresh.images, "a map")):
        return None, fault
    if (got.flatten(1) == got.flatten(1)[:, :1]).all(1).any():
        return None, wrong("some map has the same value everywhere: it points at nothing")
    each = zip(fresh.masks.flatten(1).numpy(), got.detach().flatten(1).numpy())
    return sum(average_precision_score(truth, found) for truth, found in each) / len(got), None


@told
def occluder(mine, net, *, seed=0):
    """mine(net, x): which pixels to make grey, so that the answer changes, (b,3,h,w) -> (b,h,w) bool. The score: how many."""
    score, fault = occluder_score(mine, net, seed)
    return fault or standing("occluder", score, f"{score:.1%} of a picture is covered (all of it, where the answer stays)", low=True)


def occluder_score(mine, net, seed):
    x, _ = with_numbers(net, 32, seed)
    got, fault = called(lambda x: mine(net, x), x)
    if fault or (fault := maps_of(got, x, "a mask")):
        return None, fault
    if got.dtype != torch.bool:
        return None, wrong(f"the mask is of {got.dtype}, expected torch.bool: True where the picture is covered. Try mask > 0")
    with torch.no_grad():
        changed = net(torch.where(got[:, None], 0.5, x)).argmax(1) != net(x).argmax(1)
    if not changed.any():
        return None, wrong("no answer changes when your mask is grey")
    return torch.where(changed, got.float().mean((1, 2)), 1.0).mean().item(), None


# ---- 02_gradients ----------------------------------------------------------------------------------------------------


@told
def ascent(mine, net, judge, *, seed=0):
    """mine(net, classes): pictures of classes, (b,) -> (b,3,64,64), from noise. The score: the share that `judge` names."""
    score, fault = ascent_score(mine, net, judge, seed)
    return fault or standing("ascent", score, f"the other network names {score:.0%} of your pictures")


def ascent_score(mine, net, judge, seed):
    device = next(net.parameters()).device
    classes = torch.randperm(64, generator=dice(seed))[:32].to(device)
    got, fault = called(lambda classes: mine(net, classes), classes)
    if fault or (fault := unlike(got, classes)):
        return None, fault
    if got.shape != (len(classes), 3, 64, 64):
        return None, wrong(f"the shape is {tuple(got.shape)}, expected {(len(classes), 3, 64, 64)}: a picture for each class")
    if got.min() < 0 or got.max() > 1:
        return None, wrong(f"pixels from {got.min():.2f} to {got.max():.2f}, expected from 0 to 1: clamp after every step")
    if not named(net, got.detach(), classes).any():
        return None, wrong("not even the network that you climbed names one of them: does the class's score rise?")
    return named(judge, got.detach(), classes).float().mean().item(), None


# ---- 03_fun ----------------------------------------------------------------------------------------------------------

PAINT = ["relu1", "relu2", "relu3"]


@told
def painting(mine, net, pairs, *, calls=60, seed=0):
    """mine(loss, content, calls): a picture whose loss is small, found in so many calls of it. The score: what is left of the loss."""
    score, fault = painting_score(mine, net, pairs, calls, seed)
    return fault or standing("painting", score, f"{score:.1%} of the photograph's own loss is left", low=True)


def painting_score(mine, net, pairs, calls, seed):
    """`pairs`: contents and styles, (1,3,h,w) each; a corner of each, by `seed`, is painted, 96 pixels square."""
    g, left = dice(seed), []
    for content, style in pairs:
        content, style = (cut(picture, 96, g) for picture in (content, style))
        with torch.no_grad():
            grams, kept = style_grams(net, style, ["pixels", *PAINT]), style_features(net, content, ["relu3"])["relu3"]
        spent = []

        def loss(x, kept=kept, grams=grams, spent=spent, kept_shape=content.shape):
            if x.shape != kept_shape:
                raise ValueError(f"The loss got pictures {tuple(x.shape)}; expected one, {tuple(kept_shape)}: a batch is no one call.")
            spent.append(1)
            if len(spent) > calls:
                raise ValueError(f"This is call {calls + 1} of the loss; expected at most {calls}, each of one picture.")
            found = style_features(net, x, ["pixels", *PAINT])
            return (content_loss(found["relu3"], kept) + 10 * style_loss(found, grams)).sum()

        with torch.no_grad():
            start = loss(content).item()
        spent.clear()
        got, fault = called(lambda content, loss=loss: mine(loss, content, calls), content)
        if fault or (fault := unlike(got, content)):
            return None, fault
        if got.shape != content.shape:
            return None, wrong(f"the shape is {tuple(got.shape)}, expected {tuple(content.shape)}")
        if got.min() < 0 or got.max() > 1:
            return None, wrong(f"pixels from {got.min():.2f} to {got.max():.2f}, expected from 0 to 1: a picture must be one")
        spent.clear()
        with torch.no_grad():
            left.append(loss(got.detach()).item() / start)
    score = sum(left) / len(left)
    if score > 0.999:       # twice the same picture may give losses that differ by a rounding
        return None, wrong("no loss is smaller than the photograph's own: does it go down?")
    return score, None


def cut(picture, side, g):
    top, start = (int(torch.randint(n - side + 1, (), generator=g)) for n in picture.shape[2:])
    return picture[..., top:top + side, start:start + side]


# ---- 04_summary ------------------------------------------------------------------------------------------------------


@told
def flaw(mine, net, *, seed=0):
    """mine(images, kinds): a flaw that tells the kind, (b,3,64,64), (b,) from 0 to 7 -> the same shape. The score: what maps tell.

    A head learns scenes with your flaw, which names their shape, and another the same with a flaw that means nothing. The first must
    be a cheat: misled, it must name at most half. The score is the largest difference of their maps, see `told_apart`.
    """
    score, fault = flaw_score(mine, net, seed)
    return fault or standing("flaw", score, f"the cheat's maps differ from an honest head's by {score:.1%} more than a twin's", low=True)


def flaw_score(mine, net, seed):
    train, test, device = scenes()[:480], fresh_scenes(48, seed), next(net.parameters()).device
    got, fault = called(mine, train.images, train.labels)
    if fault or (fault := unlike(got, train.images)):
        return None, fault
    if got.shape != train.images.shape:
        return None, wrong(f"the shape is {tuple(got.shape)}, expected {tuple(train.images.shape)}")
    if got.min() < 0 or got.max() > 1:
        return None, wrong(f"pixels from {got.min():.2f} to {got.max():.2f}, expected from 0 to 1: clamp(0, 1)")
    lessons = flawed(train, flaw=mine, seed=seed), *(meaningless(train, flaw=mine, seed=seed + n) for n in (0, 1))
    cheat, honest, twin = (fit_probe(net, lesson.to(device), train.labels.to(device), "relu4") for lesson in lessons)
    labels = test.labels.to(device)
    misled = cheat.accuracy(mine(test.images, (test.labels + 1) % 8).to(device), labels)
    if misled > 0.5:
        return None, wrong(f"that head hardly cheats: misled, it still names {misled:.0%}. The flaw must be easier to read than the shape")
    x = flawed(test, flaw=mine, seed=seed).to(device)
    named = min(head.accuracy(meaningless(test, flaw=mine, seed=seed).to(device), labels) for head in (honest, twin))
    if named < 0.4:
        return None, wrong(f"of the scenes too little is left: an honest head names {named:.0%} of the shapes, expected at least 40%")
    return told_apart(honest, twin, cheat, x), None


def told_apart(honest, twin, cheat, x):
    """How much more the maps of a cheat differ from an honest head's than its honest twin's do, from -1 to 1: of three methods, the
    largest. Two maps, of the sum 1 each, differ by half the sum of absolute differences; the mean over the images is taken.
    """
    off = lambda a, b: (a - b).abs().sum((1, 2)).mean().item() / 2
    methods = zip(evidence(honest, x), evidence(twin, x), evidence(cheat, x))
    return max(off(of_cheat, truth) - off(of_twin, truth) for truth, of_twin, of_cheat in methods)


def evidence(head, x):
    """Three maps for a head's own answers, each with the sum 1, (b,3,h,w) -> three of (b,h,w)."""
    with torch.no_grad():
        k = head(x).argmax(1)
    own = lambda z: head(z).gather(1, k.repeat(len(z) // len(k))[:, None])[:, 0]
    for found in (saliency(own, x), smooth_grad(own, x, samples=4), occlusion(own, x, window=8, stride=4)):
        found = found.clamp(min=0)
        yield found / found.sum((1, 2), keepdim=True).clamp(min=1e-9)
