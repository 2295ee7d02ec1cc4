"""One small picture for each method of the course, made by the method itself; `poster` puts them on a map."""

from functools import cache, partial

import torch
import torch.nn.functional as F
from matplotlib import color_sequences
from matplotlib.colors import to_rgb
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
from helpers.nets import class_index, load_net
from helpers.optimize import descend, last
from helpers.param import FourierImage, PixelImage
from helpers.patches import top_patches
from helpers.segmentation import grabcut
from helpers.show import crop_boxes, gradient_picture, heat, make_grid, overlay, picture_map
from helpers.style import load_transform_net, style_features, style_grams, style_transfer
from helpers.texture import efros_leung
from helpers.transforms import blur_maps, jitter
from helpers.world.scenes import scenes


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


# ---- The pictures, (1,3,h,w) each ----

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
    colours = torch.tensor([to_rgb(color_sequences["petroff10"][int(kind)]) for kind in kinds])[:, :, None, None]
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
