"""The map of methods:  python -m helpers.recipes.poster [--to FILE] [--scale N]

Each method of the course as a small picture that it made here, and arrows between them: the one change that turns one into another.
For print: --to poster.pdf, or --to poster.png --scale 3.
"""

import argparse
import textwrap
import time
from functools import cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch, Rectangle
from sklearn.manifold import TSNE

from helpers.activations import activations
from helpers.adversarial import fool
from helpers.art import draw_style, style_image
from helpers.ascent import class_pictures
from helpers.attribution import grad_cam, input_gradient, integrated_gradients, occlusion, relu_backward, saliency, smooth_grad
from helpers.dream import dream
from helpers.features import codes, linear_probe, nearest_neighbors, pca
from helpers.images import crop_origins, photos, resize, sliding_crops
from helpers.inversion import invert
from helpers.losses import style_loss, total_variation
from helpers.nets import DATA, class_index, load_net
from helpers.optimize import descend, last
from helpers.param import FourierImage, PixelImage
from helpers.patches import top_patches
from helpers.segmentation import grabcut
from helpers.show import crop_boxes, gradient_picture, heat, make_grid, overlay, picture_map
from helpers.style import load_transform_net, style_features, style_grams, style_transfer
from helpers.texture import efros_leung
from helpers.transforms import blur_maps, jitter
from helpers.world.scenes import scenes

# ---- The map. All places are in pixels of a sheet 1000 wide, from its upper left corner ----

WIDTH, HEIGHT, SIDE = 1000, 1030, 78        # of the sheet, and of a thumbnail
TITLE = "Everything here is a scalar function of an image"
LINE = "Twenty-two methods. Each arrow names the one change that turns a method into the next."
# A column says with which rule: left, right, tint, heading. Blue, orange and green that all eyes can tell apart.
COLUMNS = [(28, 372, "#e3edf7", "look, or evaluate"), (374, 640, "#fdeeda", "differentiate once"),
           (642, 996, "#e0f1e8", "descend, or ascend")]
# A row says what the scalar is: top, bottom, name.
ROWS = [(98, 236, "a layer"), (238, 650, "the score of a class"), (652, 794, "distance of codes"), (796, 948, "statistics")]
QUESTIONS = [("What is the scalar?", "See the row."), ("With which rule?", "See the column."),
             ("Changing what?", "Pixels, windows,\nplaces on a page,\na painter's weights"),
             ("From where?", "A picture, noise,\nmany pictures:\nfollow the arrows")]
INK, CHANGE, ARROW = "#1d2733", "#7a1f3d", "#5b6673"
FILE = DATA / "pictures/methods.webp"
# Each method: its name, and the middle of its thumbnail.
METHODS = {
    "filters": ("first-layer\nfilters", 74, 152),
    "maps": ("activation\nmaps", 200, 152),
    "patches": ("top patches", 326, 152),
    "guided": ("deconvnet,\nguided backprop", 508, 152),
    "deepdream": ("DeepDream", 742, 152),
    "smoothgrad": ("SmoothGrad", 424, 306),
    "integrated": ("integrated\ngradients", 592, 306),
    "covered": ("occlusion", 310, 446),
    "gradient": ("saliency", 508, 446),
    "drawn": ("class picture", 742, 446),
    "fooled": ("adversarial\nexample", 912, 446),
    "cam": ("Grad-CAM", 424, 586),
    "cut": ("GrabCut", 592, 586),
    "probe": ("linear probe", 74, 706),
    "neighbours": ("nearest\nneighbours", 200, 706),
    "plane": ("PCA", 326, 706),
    "tsne": ("t-SNE", 686, 706),
    "inverted": ("feature\ninversion", 806, 706),
    "grown": ("texture by\nneighbours", 200, 866),
    "gram": ("texture\nfrom Gram", 686, 866),
    "styled": ("style\ntransfer", 806, 866),
    "fast": ("fast style", 953, 866),
}
# Each arrow: from, to, the one change, and a corner of its label: its left end, its middle or its right end, and its middle height.
ARROWS = [
    ("filters", "maps", "slide\nover a\nphoto", "center", 137, 126),
    ("maps", "patches", "search\nmany\nphotos", "center", 263, 126),
    ("maps", "covered", "score a class,\ncover a window", "left", 266, 300),
    ("maps", "neighbours", "compare\nthe codes of\ntwo pictures", "right", 194, 600),
    ("neighbours", "probe", "fit one\nreadout", "center", 137, 686),
    ("neighbours", "plane", "all on\none\npage", "center", 263, 680),
    ("neighbours", "grown", "windows of pixels\nin place of codes", "left", 207, 803),
    ("plane", "tsne", "keep who is near, not the variance:\ndescend, over points on the page", "center", 508, 686),
    ("grown", "gram", "compare means over all places\nin place of single windows", "center", 450, 846),
    ("covered", "gradient", "infinitely small\nwindows", "center", 412, 468),
    ("gradient", "smoothgrad", "mean over\nnoisy copies", "right", 459, 390),
    ("gradient", "integrated", "mean along\na line, times\nthe way", "left", 552, 402),
    ("gradient", "guided", "for a unit, another\nrule at ReLUs", "left", 514, 251),
    ("gradient", "cam", "stop at\na layer", "right", 450, 524),
    ("gradient", "cut", "seeds\nfor a cut", "left", 566, 524),
    ("gradient", "drawn", "do not stop:\nclimb, from noise", "center", 625, 468),
    ("drawn", "fooled", "from a\nphotograph,\nin a small ball", "center", 827, 421),
    ("drawn", "deepdream", "the score becomes the energy\nof a layer, from a photograph", "left", 750, 310),
    ("drawn", "inverted", "the score becomes\nthe distance to a code", "left", 792, 588),
    ("inverted", "gram", "the code's\nGram matrix", "right", 730, 790),
    ("inverted", "styled", "add a style:\nboth losses", "left", 814, 803),
    ("gram", "styled", "add a\nphoto", "center", 746, 846),
    ("styled", "fast", "descend a\npainter's\nweights", "center", 879, 840),
]


# ---- What is shown ----

@cache
def net():
    return load_net("efficientnet-lite0").to(memory_format=torch.channels_last)


@cache
def photo(name, size=224):
    return photos()[name].load(size).contiguous(memory_format=torch.channels_last)


def score(name):
    """The score of a class by its name, a function of images."""
    return lambda x: net()(x)[:, class_index(net(), name)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def adam(rate):
    return lambda p: torch.optim.Adam(p, lr=rate)


CUP = "espresso"        # on which all maps of what matters are shown
SHOTS = ["cat", "espresso", "astronaut", "rocket", "temple", "dahlia", "cameraman", "hopper"]


@cache
def pieces():
    """Overlapping squares of photographs, and which photograph each is from, (n,3,224,224) and (n,)."""
    whole, sides = [photos()[name].load() for name in SHOTS], (160, 256)
    return sliding_crops(whole, sides, size=224), crop_origins(whole, sides)


@cache
def piece_codes():
    """A late layer's code of each piece, of length 1, (n,d)."""
    return F.normalize(codes(net(), pieces()[0], "block14", batch=8)["block14"], dim=1)


# ---- Thumbnails: (1,3,h,w) each ----

def filters():
    W = load_net("coursenet-robust").conv1.weight[:16]
    return F.interpolate(make_grid(0.5 + 0.5 * W / W.abs().amax((1, 2, 3), keepdim=True), columns=4), scale_factor=8)


def maps(layer="block4.expand_relu"):
    a = activations(net(), photo("temple"), layer)[layer][0]
    strongest = a.flatten(1).var(1).argsort(descending=True)[:4]
    return make_grid(torch.cat([heat(a[k]) for k in strongest]), columns=2, gap=4)


def patches(layer="block8.expand", channel=158):
    """Of those that lie in their picture as a whole, the four best, two of a photograph at most."""
    (images, origin), chosen = pieces(), []
    tops = top_patches(net(), images, layer, k=80, batch=8)
    for image, box in zip(tops.indices[channel].tolist(), tops.boxes[channel]):
        whole = min(box[2] - box[0], box[3] - box[1]) == 115
        if whole and len(chosen) < 4 and sum(origin[image] == origin[k] for k, _ in chosen) < 2:
            chosen.append((image, box))
    indices, boxes = zip(*chosen)
    return make_grid(crop_boxes(images[list(indices)], torch.stack(boxes), 115), columns=2, gap=4)


def guided(layer="relu7"):
    robust, cat = load_net("coursenet-robust"), photo("cat", 64)
    unit = activations(robust, cat, layer)[layer].argmax()
    with relu_backward("guided"):
        return gradient_picture(input_gradient(lambda x: activations(robust, x, layer)[layer][:, unit], cat), share=0.99)


def deepdream():
    return last(dream(net(), photo("temple"), "block9", shift=16, length=0.016)).image


def bright(values):
    """A map whose few strongest pixels no longer leave all others dark; blurred, for it will be shrunk."""
    values = blur_maps(values, 1.0)
    return (values / values.quantile(0.995)).clamp(max=1)


def covered():
    return overlay(photo(CUP), occlusion(score(CUP), photo(CUP), window=40, stride=12).clamp(min=0))


def gradient():
    return overlay(photo(CUP), bright(saliency(score(CUP), photo(CUP))))


def smoothgrad():
    return overlay(photo(CUP), bright(smooth_grad(score(CUP), photo(CUP), samples=32)))


def integrated():
    return overlay(photo(CUP), bright(integrated_gradients(score(CUP), photo(CUP)).sum(1).abs()))


def cam():
    return overlay(photo(CUP), grad_cam(net(), photo(CUP), "head_relu", lambda y: y[:, class_index(net(), "espresso")]))


def cut():
    mask = grabcut(photo(CUP), blur_maps(saliency(score(CUP), photo(CUP)), 7.0), unknown="object")
    return torch.where(mask[:, None], photo(CUP), 1.0)


def drawn():
    robust = load_net("coursenet-robust")
    return class_pictures(robust, [class_index(robust, "king penguin")], steps=100, see=partial(jitter, pixels=2, generator=seeded()))


def fooled():
    """Left the photograph, changed so little that nobody sees it, and yet a goldfish to the network; right the change, enlarged."""
    x = photo("dahlia")
    y = fool(net(), x, net()(x).argmax(1), targets=[class_index(net(), "goldfish")], step=0.1, steps=60).images
    change = F.interpolate(gradient_picture(F.avg_pool2d(y - x, 7), share=0.97), scale_factor=7)
    return torch.cat([y[..., :138], torch.ones(1, 3, 224, 4), change[..., 142:]], 3)


def page(points, kinds):
    """Points on a page, (n,2) and (n,) -> (1,3,h,w), each a square in the colour of its kind."""
    colours = torch.tensor([plt.get_cmap("tab10")(int(kind))[:3] for kind in kinds])[:, :, None, None]
    return F.pad(picture_map(colours.expand(-1, -1, 8, 8), points, cells=26, side=8), [8] * 4, value=1.0)


def probe(layer="relu5"):
    """Spheres and cubes that the probe has not seen: across, what it says of them; upwards, what else differs most."""
    world = scenes()
    kinds = world.codes("shape")
    z, kinds = codes(load_net("coursenet"), world.images[kinds < 2], layer)[layer], kinds[kinds < 2]
    half = len(z) // 2
    W, b = linear_probe(z[:half], kinds[:half])
    says, rest = z[half:] @ W + b, pca(z[half:], 1)(z[half:])[:, 0]
    return page(torch.stack([says[:, 1] - says[:, 0], rest], 1), kinds[half:])


def neighbours(query=250):
    """A piece of one photograph, and the three nearest of all others'."""
    (images, origin), z = pieces(), piece_codes()
    others = (origin != origin[query]).nonzero()[:, 0]
    nearest = others[nearest_neighbors(z[query:query + 1], z[others], k=3).indices[0]]
    return make_grid(images[[query, *nearest.tolist()]], columns=2, gap=8)


def plane():
    return page(pca(piece_codes(), 2)(piece_codes()), pieces()[1])


def tsne():
    x = pca(piece_codes(), 50)(piece_codes()).numpy()
    return page(torch.from_numpy(TSNE(perplexity=15, init="pca", learning_rate="auto", random_state=0).fit_transform(x)), pieces()[1])


def inverted():
    image = FourierImage.noise(224, 224, generator=seeded())
    return last(invert(net(), photo("cat"), "block5", image=image, steps=150, optimizer=adam(0.12))).image


def grown():
    return efros_leung(resize(draw_style("woodcut"), 128)[..., 20:84, 20:84], size=80, window=11)


@cache
def petals():
    """The Gram matrices of a dahlia, for a texture and a painting."""
    return style_grams(net(), style_image("dahlia", 256))


def gram():
    dice = seeded()

    def loss(x):
        features = style_features(net(), jitter(x, 8, generator=dice))
        return (style_loss(features, petals()) + 0.5 * total_variation(x) / x[0, 0].numel()).sum()

    coarse = last(descend(PixelImage.noise(80, 80, generator=dice), loss, steps=80, optimizer=adam(0.03))).image
    return last(descend(PixelImage(resize(coarse, 160)), loss, steps=80, optimizer=adam(0.015))).image


def styled():
    return last(style_transfer(net(), photo("temple"), petals(), sizes=(112, 224), steps=(60, 60), style_weight=15.0, tv_weight=1.0)).image


def fast():
    return load_transform_net()(photo("temple"), "mosaic")


THUMBNAILS = {f.__name__: f for f in (filters, maps, patches, guided, deepdream, smoothgrad, integrated, covered, gradient, drawn, fooled,
                                      cam, cut, probe, neighbours, plane, tsne, inverted, grown, gram, styled, fast)}


# ---- The sheet ----

def credits():
    """The photographs on the sheet, as its small print."""
    shown = [photos()[name] for name in SHOTS]
    text = "; ".join(f"{photo.title} ({photo.credit}, {photo.licence})" for photo in shown)
    return textwrap.fill(f"Photographs: {text}. PCA and t-SNE: pieces of these, a colour for each photograph; linear probe: "
                         "spheres and cubes. Everything else was computed: python -m helpers.recipes.poster", 158)


def draw(pictures):
    """The sheet, with pictures name -> (1,3,h,w) -> a matplotlib figure of WIDTH x HEIGHT pixels at 100 dpi."""
    fig = plt.figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    ax.axis("off")

    def write(x, y, text, pixels, **how):
        return ax.text(x, y, text, **{"fontsize": 0.72 * pixels, "color": INK, "ha": "center", "va": "center", "linespacing": 1.1} | how)

    write(28, 26, TITLE, 22, ha="left", weight="bold")
    write(28, 50, LINE, 13, ha="left")
    for left, right, tint, rule in COLUMNS:
        ax.add_patch(Rectangle((left, 66), right - left, ROWS[-1][1] - 66, color=tint, lw=0))
        write((left + right) / 2, 83, rule, 15, weight="bold")
    for top, bottom, name in ROWS:
        ax.plot([28, WIDTH - 4], [top - 1] * 2, color="white", lw=1.5, zorder=1.5)
        write(15, (top + bottom) / 2, name, 13, weight="bold", rotation=90)
    y = 280
    for question, answer in QUESTIONS:
        write(42, y, question, 13, ha="left", weight="bold")
        write(42, y + 11, answer, 13, ha="left", va="top")
        y += 46 + 15 * answer.count("\n")
    boxes = {}
    for key, (name, x, y) in METHODS.items():
        half, lines = SIDE / 2, name.count("\n") + 1
        boxes[key] = ax.add_patch(Rectangle((x - half, y - half), SIDE, SIDE + 4 + 14 * lines, fill=False, lw=0))
        place = (x - half, x + half, y + half, y - half)
        ax.imshow(pictures[key][0].permute(1, 2, 0).numpy(), extent=place, interpolation="lanczos", zorder=3)
        ax.add_patch(Rectangle((x - half, y - half), SIDE, SIDE, fill=False, ec=INK, lw=0.6, zorder=4))
        write(x, y + half + 4, name, 12, va="top", weight="bold")
    for start, end, change, align, x, y in ARROWS:
        ax.add_patch(FancyArrowPatch(METHODS[start][1:], METHODS[end][1:], patchA=boxes[start], patchB=boxes[end], shrinkA=2, shrinkB=2,
                                     arrowstyle="-|>", mutation_scale=9, lw=1.1, color=ARROW, zorder=2))
        write(x, y, change, 11.5, ha=align, color=CHANGE)
    write(28, ROWS[-1][1] + 8, credits(), 11, ha="left", va="top", color="#555555")
    ax.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0), aspect="auto")
    return fig


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.poster", description=__doc__.split("\n\n")[0])
    parser.add_argument("--to", type=Path, default=FILE, help="a file: .webp, .png or .pdf")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 1400 pixels wide")
    args = parser.parse_args(argv)
    pictures = {}
    for key in METHODS:
        start = time.perf_counter()
        pictures[key] = THUMBNAILS[key]().detach().clamp(0, 1)
        print(f"{key:12} {time.perf_counter() - start:4.1f} s", flush=True)
    how = {"pil_kwargs": {"quality": 50, "method": 6}} if args.to.suffix == ".webp" else {}
    fig = draw(pictures)
    fig.savefig(args.to, dpi=140 * args.scale, **how)
    plt.close(fig)


if __name__ == "__main__":
    main()
