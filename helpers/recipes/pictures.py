"""The pictures of the README:  python -m helpers.recipes.pictures"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt

from helpers.art import style_image
from helpers.attribution import saliency
from helpers.files import whole
from helpers.images import photos
from helpers.nets import DATA, class_index, load_net, top_classes
from helpers.recipes.measure import all_classes
from helpers.show import make_grid, overlay
from helpers.style import load_transform_net
from helpers.world.scenes import render_scenes

CLASSES = ["goldfish", "king penguin", "ladybug", "monarch", "lion", "brown bear", "lesser panda", "school bus",
           "sports car", "teapot", "pizza", "espresso", "mushroom", "lemon", "suspension bridge", "triumphal arch"]


def row(pictures, titles, path, *, columns, width):
    """Pictures (1,3,h,w) with a title under each, as one file."""
    rows, shape = -(-len(pictures) // columns), pictures[0].shape[2] / pictures[0].shape[3]
    size = (width, (width / columns * shape + 0.4) * rows)      # inches; 0.4 for the title
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax, picture, title in zip(axes.flat, pictures, titles, strict=True):
        ax.imshow(picture[0].permute(1, 2, 0).numpy(), interpolation="nearest")
        ax.set_xticks([]), ax.set_yticks([]), ax.spines[:].set_visible(False)
        ax.set_xlabel(title, fontsize=9)
    with whole(path) as beside:
        fig.savefig(beside, dpi=110, bbox_inches="tight", pad_inches=0.05, pil_kwargs={"quality": 70, "method": 6})
    plt.close(fig)


def one_idea(robust, drawn, path):
    """What the one idea gives: a map, a picture, a truth to measure by."""
    cat = photos()["cat"].load(64)
    said = top_classes(robust, cat)[0][0][0]
    heat = overlay(cat, saliency(lambda x: robust(x)[:, class_index(robust, said)], cat))
    scene = render_scenes([4], seed=0, size=128)
    mask = scene.images * (0.25 + 0.75 * scene.masks[:, None])
    W = robust.conv1.weight[:25]
    filters = make_grid(0.5 + 0.5 * W / W.abs().amax((1, 2, 3), keepdim=True), columns=5)
    penguin = drawn[class_index(robust, "king penguin")][None]
    row([cat, heat, penguin, mask, filters],
        [f"{said}?", "differentiate: what matters", "descend: “king penguin”", "a scene: what is true", "conv1: what it looks for"],
        path, columns=5, width=10)


@torch.no_grad()
def styles(path):
    """One photograph in every style of the shipped painter, with a part of the style in its corner."""
    painter, photo, pictures = load_transform_net(), photos()["temple"].load((280, 420)), []
    for style in painter.styles:
        picture = painter(photo, style)
        picture[..., :64, -64:] = 1.0
        picture[..., :62, -62:] = style_image(style, 124)[..., 31:93, 31:93]
        pictures.append(picture)
    row(pictures, painter.styles, path, columns=3, width=12)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=DATA / "pictures")
    out = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    net, robust = load_net("coursenet"), load_net("coursenet-robust")
    drawn = all_classes(robust)
    one_idea(robust, drawn, out / "one_idea.webp")
    chosen = [class_index(robust, name) for name in CLASSES]
    said = [f"{guess[0][0]}\n{guess[0][1]:.0%}" for guess in top_classes(net, drawn[chosen], k=1)]
    large = F.interpolate(drawn[chosen], scale_factor=2)
    row(large.split(1), said, out / "class_pictures.webp", columns=8, width=10)
    styles(out / "styles.webp")


if __name__ == "__main__":
    main()
