"""Draw the map of methods, data/pictures/methods.webp.

Each method is a small picture that it made itself. An arrow names the one change that turns a
method into another. Names, arrows, and positions are in method_map.toml.
"""

import argparse
import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from sklearn.manifold import TSNE

from helpers.activations import activations
from helpers.adversarial import minimal_adversarial
from helpers.all_methods import METHODS, visualize_class
from helpers.attribution import input_gradient, relu_backward
from helpers.deepdream import deep_dream
from helpers.drawing import gradient_image, heat, image_scatter, make_grid, overlay
from helpers.features import extract_features, linear_probe, nearest_neighbors, pca
from helpers.images import resize, sliding_crops
from helpers.inversion import invert
from helpers.networks import DATA, load_net
from helpers.optimization import last
from helpers.patches import top_patches
from helpers.photos import photos
from helpers.scenes import scenes
from helpers.segmentation import grabcut
from helpers.style import load_transform_net, style_grams, style_image, style_transfer
from helpers.texture import efros_leung
from helpers.transforms import blur_maps

SHEET = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
SIDE = 78
QUERY = 2       # which crop of Grace Hopper's portrait
COLUMNS = [(28, 372, "#e3edf7", "look, or evaluate"), (374, 640, "#fdeeda", "differentiate once"),
           (642, 996, "#e0f1e8", "descend, or ascend")]
ROWS = [(98, 240, "a layer"), (242, 654, "the score of a class"),
        (656, 804, "feature distance"), (806, 960, "statistics")]


def look(album, effnet, robust):
    """Make the pictures of the first column, key -> (1,3,h,w), and of t-SNE."""
    names = [name for name in album if name != "hubble"]
    crops = [sliding_crops(album[name].load(), [160, 256], size=224) for name in names]
    photo = torch.cat([torch.full((len(part),), k) for k, part in enumerate(crops)])
    crops = torch.cat(crops)
    maps = activations(effnet, album["temple"].load(224), "block3")[0]
    strongest = maps.flatten(1).var(1).topk(4).indices
    tops = top_patches(effnet, crops, "block6.expand", batch=8)
    boxes = zip(tops.indices[200, :4].tolist(), tops.boxes[200, :4].tolist())
    patches = [resize(crops[k:k + 1, :, top:low, left:right], 78)
               for k, (top, left, low, right) in boxes]
    features = extract_features(effnet, crops, "avgpool", batch=8)
    query = int((photo == names.index("hopper")).nonzero()[QUERY])
    others = (photo != photo[query]).nonzero()[:, 0]
    near = others[nearest_neighbors(features[query:query + 1], features[others], 3).indices[0]]
    tsne = TSNE(perplexity=15, random_state=0).fit_transform(features.numpy())
    return {
        "filters": make_grid(gradient_image(robust.conv1.weight[:16]), columns=4),
        "maps": make_grid(torch.cat([heat(maps[k]) for k in strongest]), columns=2),
        "patches": make_grid(torch.cat(patches), columns=2),
        "occlusion": overlay(album["espresso"].load(224), maps_of_cup(album, effnet, "occlusion")),
        "neighbors": make_grid(crops[[query, *near.tolist()]], columns=2, gap=8),
        "pca": image_scatter(crops, pca(features), labels=photo, cells=14),
        "tsne": image_scatter(crops, torch.from_numpy(tsne), labels=photo, cells=14),
        "probe": probe(),
        "efros": efros_leung(style_image("woodcut", 128)[..., 20:84, 20:84], size=(80, 80)),
    }


def probe():
    """Draw spheres and cubes: across, a linear probe's score; upward, their first component."""
    world = scenes()
    chosen = (world.labels < 2).nonzero()[:, 0]
    features = extract_features(load_net("coursenet"), world.images[chosen], "relu5")
    half = len(chosen) // 2
    w, b = linear_probe(features[:half], world.labels[chosen[:half]])
    scores = features[half:] @ w + b
    points = torch.stack([scores[:, 1] - scores[:, 0], pca(features[half:], 1)[:, 0]], 1)
    labels = world.labels[chosen[half:]]
    return image_scatter(world.images[chosen[half:]], points, labels=labels, cells=14)


def maps_of_cup(album, effnet, name):
    """Compute a method's map of the espresso for its class, without its few extreme pixels."""
    cup = album["espresso"].load(224)
    smooth = blur_maps(METHODS[name](effnet, cup, effnet(cup).argmax(1)), 1.0)
    return smooth.clamp(0, smooth.quantile(0.995))


def differentiate(album, effnet, robust):
    """Make the pictures of the second column, key -> (1,3,h,w)."""
    cup = album["espresso"].load(224)
    names = ("saliency", "SmoothGrad", "integrated gradients", "Grad-CAM")
    drawn = {name: overlay(cup, maps_of_cup(album, effnet, name)) for name in names}
    start = blur_maps(maps_of_cup(album, effnet, "SmoothGrad"), 7.0)
    mask = grabcut(cup, start, unknown="foreground")
    drawn["cut"] = torch.where(mask[:, None], cup, 1.0)
    cat = album["cat"].load(64)
    unit = activations(robust, cat, "relu7").argmax()
    with relu_backward("guided"):
        gradient = input_gradient(lambda x: activations(robust, x, "relu7")[:, unit], cat)
    drawn["guided"] = gradient_image(gradient, quantile=0.99)
    return drawn


def descend(album, effnet, robust):
    """Make the pictures of the third column, key -> (1,3,h,w)."""
    temple, dahlia, cat = [album[name].load(224) for name in ("temple", "dahlia", "cat")]
    attacked = minimal_adversarial(effnet, dahlia, effnet(dahlia).argmax(1))
    change = F.interpolate(gradient_image(resize(attacked - dahlia, 32), quantile=0.97), 224)
    grams = style_grams(effnet, style_image("dahlia", 256))
    noise = torch.rand(1, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    texture = {"sizes": (80, 160), "steps": (80, 80), "style_weight": 1000.0}
    return {
        "dream": last(deep_dream(effnet, temple, "block11", shift=16)).image,
        "class": visualize_class(robust, torch.tensor([robust.classes.index("king penguin")]), 64),
        "adversarial": torch.cat([attacked[..., :112], change[..., 112:]], 3),
        "inversion": last(invert(effnet, cat, "block5", steps=150)).image,
        "gram": last(style_transfer(effnet, noise, grams, **texture)).image,
        "style": last(style_transfer(effnet, temple, grams, sizes=(112, 224))).image,
        "fast": load_transform_net()(temple, "mosaic"),
    }


def draw(pictures):
    """Draw the sheet -> a figure of matplotlib."""
    bottom = ROWS[-1][1]
    fig = Figure((10, (bottom + 6) / 100), dpi=100)
    axes = fig.add_axes((0, 0, 1, 1))
    write = lambda x, y, text, **options: axes.text(
        x, y, text, **{"fontsize": 9, "ha": "center", "va": "center", "linespacing": 1.0} | options)
    write(28, 30, "Nearly everything here is a scalar function of an image",
          fontsize=15, ha="left", weight="bold")
    for left, right, tint, rule in COLUMNS:
        axes.add_patch(Rectangle((left, 66), right - left, bottom - 66, color=tint, lw=0))
        write((left + right) / 2, 83, rule, fontsize=11, weight="bold")
    for top, low, name in ROWS:
        axes.axhline(top - 1, 0.028, 0.996, color="white", lw=1.5, zorder=1.5)
        write(14, (top + low) / 2, name, weight="bold", rotation=90)
    write(42, 450, SHEET["questions"], ha="left", linespacing=1.3)
    boxes = {}
    for key, (name, x, y) in SHEET["methods"].items():
        half = SIDE / 2
        height = SIDE + 4 + 15 * (name.count("\n") + 1)
        boxes[key] = axes.add_patch(Rectangle((x - half, y - half), SIDE, height, lw=0, fill=False))
        picture = resize(pictures[key].clamp(0, 1), SIDE)[0].permute(1, 2, 0).cpu().numpy()
        axes.imshow(picture, extent=(x - half, x + half, y + half, y - half), zorder=3)
        write(x, y + half + 4, name, va="top", weight="bold")
    for start, end, change, align, x, y in SHEET["arrows"]:
        tail, head = SHEET["methods"][start][1:], SHEET["methods"][end][1:]
        axes.add_patch(FancyArrowPatch(
            tail, head, patchA=boxes[start], patchB=boxes[end],
            shrinkA=2, shrinkB=2, arrowstyle="-|>", mutation_scale=9, color="#5b6673", zorder=2))
        write(x, y, change, ha=align, color="#7a1f3d")
    axes.set(xlim=(0, 1000), ylim=(bottom + 6, 0), aspect="auto")
    axes.axis("off")
    return fig


def main(argv=None):
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    parts = photos(), load_net("efficientnet-lite0"), load_net("coursenet-robust")
    fig = draw(look(*parts) | differentiate(*parts) | descend(*parts))
    fig.savefig(DATA / "pictures/methods.webp", pil_kwargs={"quality": 80, "method": 6})


if __name__ == "__main__":
    main()
