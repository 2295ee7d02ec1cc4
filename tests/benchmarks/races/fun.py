"""Rows for notebooks 3 and 4: textures, styles, the painter, deletion and insertion, scenes."""

from functools import partial

import numpy as np
import torch
from races.common import LAST, error, in_half, network, world
from races.gradients import ASKED, STEPS, alike, loops
from races.race import Race, close

from helpers.activations import activations
from helpers.art import draw_style
from helpers.evaluation import replacement_curve
from helpers.images import photos, resize
from helpers.losses import content_loss, gram_matrix, relative, total_variation
from helpers.nets import fast
from helpers.optimize import descend, last
from helpers.param import PixelImage
from helpers.style import load_transform_net, style_grams, style_transfer
from helpers.texture import efros_leung
from helpers.world.scenes import render_scenes

RELUS = ["relu1", "relu2", "relu3", "relu4", "relu5"]
STYLES = {"coursenet-robust": (RELUS, "relu3"),
          "efficientnet-lite0": (["stem_relu", "block2", "block4", "block6", "block9"], "block6")}


def styled(work, name, layers, deep):
    """Ten steps of style transfer, or of texture, which has no content; the others' Gram matrices are those of a plain product."""
    net, photo = network(name), photos()["temple"].load(192).contiguous(**LAST)
    grams = {layer: gram_matrix(f) for layer, f in activations(net, draw_style("strokes"), layers).items()}
    content = (deep, activations(net, photo, deep)[deep]) if work == "style" else None

    def start():
        return PixelImage(photo if work == "style" else 0.5 + 0.1 * torch.sin(7 * photo))

    def ours(exact=True):
        def whole(z):
            with fast(z.device, exact=exact):
                found = activations(net, z.contiguous(**LAST), layers)
            return loss_to(gram_matrix, grams, content, found, z).sum()
        return last(descend(start(), whole, steps=10, optimizer=STEPS)).image

    peers = loops(name, layers, start, lambda: partial(loss_to, plain_gram, grams, content))
    return Race(f"{work}, {name}, 192 px, 10 steps", ours, peers, ASKED, half=lambda: ours(False), same=alike, agree=error)


def styles():
    for name, (layers, deep) in STYLES.items():
        yield styled("texture", name, layers, deep)
        yield styled("style", name, layers, deep)


def loss_to(gram, grams, content, a, z):
    """The loss of Gatys 2016 for the activations of z; without `content`, a layer and its features, that of 2015."""
    style = torch.stack([relative(gram(a[layer]) - target, target) for layer, target in grams.items()]).mean(0)
    away = content_loss(a[content[0]], content[1]) if content else 0
    return away + 3 * style + 0.3 * total_variation(z) / z[0, 0].numel()


def plain_gram(a):
    f = a.flatten(2)
    return f @ f.transpose(1, 2) / f.shape[2]


def grown(size):
    """The loop of the tests compares each pixel's window with all of the source's; neither scikit-image nor OpenCV has this method."""
    from test_texture import naive_efros_leung

    source = resize(draw_style("woodcut"), 128)[..., 20:68, 20:68]
    return Race(f"texture by neighbours, {size} px from 48, window 11", lambda: efros_leung(source, size=size, window=11),
                {"a loop in float64": lambda: naive_efros_leung(source, (size, size), 11)}, {"a loop in float64": 10},
                same=lambda a, b: close(a, b, rtol=0, atol=0))


def textures():
    yield grown(48)
    yield grown(128)


def painters():
    """One pass of the painter beside optimisation from the content: in 300 steps, and in those that reach its loss."""
    painter, photo, net = load_transform_net().to(**LAST), photos()["temple"].load(256).contiguous(**LAST), network("efficientnet-lite0")
    grams = style_grams(net, draw_style("strokes", 384))

    @torch.no_grad()
    def ours():
        return painter(photo, "strokes")

    def steps(number):
        return lambda: last(style_transfer(net, photo, grams, steps=number)).image

    loss_of = lambda x: next(style_transfer(net, photo, grams, start=x.clamp(0, 1), steps=1)).loss
    painted = loss_of(ours())
    enough = next(step.index for step in style_transfer(net, photo, grams, steps=300) if step.loss <= painted)
    yield Race("painter, 256 px", ours, {f"{enough} steps, to its loss": steps(enough), "300 steps": steps(300)}, {"300 steps": 300},
               half=in_half(ours), same=lambda ours, theirs: f"loss {loss_of(theirs):.2f}, ours {painted:.2f}", agree=error)


def deletions():
    """Quantus takes single values away, a third of a pixel each, 48 times; after each third step its curve is ours."""
    import quantus

    net, x, y, rows = network("coursenet"), world(32), torch.arange(32) % 8 + 64, torch.arange(32)
    maps = torch.rand(32, 64, 64, generator=torch.Generator().manual_seed(0))
    score, grey = lambda z: net(z).softmax(1)[rows, y], torch.full_like(x, 0.5)

    @torch.no_grad()
    def loop():
        curves = []
        for k in range(len(x)):
            order, values = maps[k].flatten().argsort(descending=True), []
            for n in torch.linspace(0, 4096, 49).round().long().tolist():
                z = x[k:k + 1].clone().flatten(2)
                z[..., order[:n]] = 0.5
                values.append(net(z.view(1, 3, 64, 64)).softmax(1)[0, y[k]])
            curves.append(torch.stack(values))
        return torch.stack(curves)

    def flipped():
        measure = quantus.PixelFlipping(features_in_step=256, perturb_baseline=0.5, normalise=False, abs=False, disable_warnings=True)
        found = measure(model=net, x_batch=x.numpy(), y_batch=y.numpy(), a_batch=maps[:, None].numpy(), softmax=True, device="cpu")
        return torch.as_tensor(np.array(found)).float()

    @torch.no_grad()
    def bare():
        for _ in range(49):
            score(x)

    ours = lambda: replacement_curve(score, x, grey, maps, steps=48)
    thirds = lambda ours, theirs: close(ours[:, 3::3], theirs[:, 2::3], rtol=1e-3, atol=1e-3)
    yield Race("deletion in 48 steps, coursenet, 32 pictures", ours, {"a loop": loop, "Quantus": flipped}, {"Quantus": 3}, bare,
               in_half(ours), {"Quantus": thirds}, error)


def worlds():
    yield Race("rendering 8 scenes of 64 px", lambda: render_scenes(8, seed=9, size=64))
    yield Race("rendering 1 scene of 224 px", lambda: render_scenes(1, seed=9, size=224))


RACES = [styles, textures, painters, deletions, worlds]
