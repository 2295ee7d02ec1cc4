"""Style transfer by optimization (Gatys 2016), and in one pass (Johnson 2016, Dumoulin 2017)."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from helpers.activations import activations
from helpers.errors import unknown_name
from helpers.images import check_images, load_image, resize
from helpers.losses import content_loss, gram_matrix, style_loss, total_variation
from helpers.networks.weights import DATA, read_weights
from helpers.optimization import descend
from helpers.parametrization import PixelImage
from helpers.photos import photos
from helpers.transforms import reflect_pad_crop

# Layers of EfficientNet-Lite0 where its blocks are wide, at strides 2, 2, 4, 8, and 16.
LAYERS = ("pixels", "stem_relu", "block2.expand_relu", "block4.expand_relu", "block6.expand_relu",
          "block9.expand_relu")
CONTENT = "block6.expand_relu"
FILE = DATA / "style.safetensors"
CROPS = {       # rows and columns of photographs without background
    "dahlia": (slice(130, 310), slice(200, 380)),
    "hubble": (slice(180, 564), slice(300, 684)),
}
STYLES = ("strokes", "glass", "marbling", "woodcut", "points", "mosaic", "waves", *CROPS)


def style_image(name, size=256):
    """Load one of the STYLES, a drawing or a crop of a photograph, as (1,3,size,size)."""
    if name not in STYLES:
        raise unknown_name("style", name, STYLES)
    if name in CROPS:
        rows, columns = CROPS[name]
        return resize(photos()[name].load()[..., rows, columns], size)
    return load_image(DATA / "styles" / f"{name}.webp", size=size)


# ---- By optimization ----

def style_features(net, x, layers=LAYERS):
    """Compute the features for Gram matrices, (b,3,h,w) -> dict layer -> (b,c,h,w).

    The layer "pixels" is x itself; without it, flat areas can get colors that the style lacks.
    """
    features = activations(net, x, [layer for layer in layers if layer != "pixels"])
    if "pixels" in layers:
        features["pixels"] = x
    return features


def style_grams(net, style, layers=LAYERS):
    """Compute the Gram matrices of style images, (b,3,h,w) -> dict layer -> (b,c,c)."""
    features = style_features(net, style, layers)
    return {layer: gram_matrix(features[layer]) for layer in layers}


def style_transfer(net, content, grams, *, start=None, content_layer=CONTENT, style_weight=10.0,
                   tv_weight=0.3, sizes=None, steps=100, seed=0):
    """Transfer the style with these Gram matrices to images (b,3,h,w) -> Steps (Gatys 2016).

    Minimizes content loss + style_weight * style loss + tv_weight * total variation per pixel, from
    the content or another `start`; for `sizes` and `steps` see `coarse_to_fine`. The network sees
    random crops with reflection padding: its zero padding would draw a frame, its strides a
    checkerboard.
    """
    check_images(content)
    generator = torch.Generator().manual_seed(seed)

    def loss(x, photo):
        border = min(16, min(x.shape[2:]) - 1)
        seen, original = reflect_pad_crop(x, photo, border=border, generator=generator)
        features = style_features(net, seen, {*grams, content_layer})
        with torch.no_grad():
            target = activations(net, original, content_layer)
        content_term = content_loss(features[content_layer], target)
        style_term = style_loss(features, grams)
        tv = total_variation(x) / x[0, 0].numel()
        return (content_term + style_weight * style_term + tv_weight * tv).sum()

    start = content if start is None else start
    return coarse_to_fine(loss, start, content, sizes or [min(content.shape[2:])], steps)


def coarse_to_fine(loss, x, photo, sizes, steps):
    """Descend loss(x, photo) from x at growing sizes, for larger strokes, and yield the Steps.

    `sizes` are the shorter sides, such as (96, 144, 216, 320), the last the photograph's own, and
    `steps` the number at each, or at all. Adam's learning rate is 0.03, at the last size 0.01.
    """
    steps = [steps] * len(sizes) if isinstance(steps, int) else steps
    for size, number in zip(sizes, steps, strict=True):
        shape = [round(n * size / min(photo.shape[2:])) for n in photo.shape[2:]]
        image = PixelImage(resize(x, shape))
        at_size = partial(loss, photo=resize(photo, shape))
        adam = partial(torch.optim.Adam, lr=0.01 if size == sizes[-1] else 0.03)
        yield from descend(image, at_size, steps=number, optimizer=adam)
        x = image().detach()


# ---- In one pass ----

class ConditionalInstanceNorm(nn.Module):
    """Normalize each channel of each image, then scale and shift it by its style (Dumoulin 2017).

    x (b,c,h,w), mix (b, styles) -> (b,c,h,w). With one style this is instance norm (Ulyanov 2016).
    """

    def __init__(self, channels, styles=1):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, x, mix):
        variance, mean = torch.var_mean(x, (2, 3), keepdim=True, correction=0)      # (b,c,1,1)
        scale = (mix @ self.scale)[..., None, None]
        shift = (mix @ self.shift)[..., None, None]
        return scale * (x - mean) / (variance + 1e-5).sqrt() + shift


class ConvBlock(nn.Module):
    """Upsample (bilinear), pad by reflection, convolve, normalize: (b,c,h,w) -> (b,c',h',w')."""

    def __init__(self, inside, outside, kernel, *, norm, stride=1, up=1):
        super().__init__()
        self.up = up
        self.border = [kernel // 2] * 4
        self.conv = nn.Conv2d(inside, outside, kernel, stride, bias=norm is nn.Identity)
        self.norm = norm(outside)

    def forward(self, x, mix):
        if self.up > 1:
            x = F.interpolate(x, scale_factor=self.up, mode="bilinear")
        x = self.conv(F.pad(x, self.border, mode="reflect"))
        if isinstance(self.norm, ConditionalInstanceNorm):
            return self.norm(x, mix)
        return self.norm(x)


class TransformNet(nn.Module):
    """Transform images (b,3,h,w) in [0, 1] into a style by one forward pass (Johnson 2016).

    At half of Johnson's width, with bilinear upsampling and reflection padding. `styles` are names,
    or their number; `norm` is "instance" or "batch", and only the first tells styles apart.
    `style` is a name, a number from 0, or weights (styles,) or (b, styles) that sum to 1.
    """

    def __init__(self, styles=1, *, width=16, blocks=5, norm="instance"):
        super().__init__()
        self.styles = list(range(styles) if isinstance(styles, int) else styles)
        self.shape = {"width": width, "blocks": blocks, "norm": norm}
        conditional = partial(ConditionalInstanceNorm, styles=len(self.styles))
        norms = {"instance": conditional, "batch": nn.BatchNorm2d}
        block = partial(ConvBlock, norm=norms[norm])
        w = width
        self.down = nn.ModuleList([
            block(3, w, 9),
            block(w, 2 * w, 3, stride=2),
            block(2 * w, 4 * w, 3, stride=2),
        ])
        self.blocks = nn.ModuleList()
        for _ in range(blocks):
            residual = [block(4 * w, 4 * w, 3), block(4 * w, 4 * w, 3)]
            self.blocks.append(nn.ModuleList(residual))
        self.grow = nn.ModuleList([
            block(4 * w, 2 * w, 3, up=2),
            block(2 * w, w, 3, up=2),
        ])
        self.out = ConvBlock(w, 3, 9, norm=nn.Identity)

    def forward(self, x, style=0):
        height, width = x.shape[2:]
        mix = self.mixture(style, x)
        x = F.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate")     # two strides of 2
        for block in self.down:
            x = block(x, mix).relu()
        for first, second in self.blocks:
            x = x + second(first(x, mix).relu(), mix)
        for block in self.grow:
            x = block(x, mix).relu()
        return self.out(x, mix).sigmoid()[..., :height, :width]

    def mixture(self, style, x):
        """Convert a name, a number, or weights of styles to weights (b, styles)."""
        if isinstance(style, str):
            if style not in self.styles:
                raise unknown_name("style", style, self.styles)
            style = self.styles.index(style)
        if isinstance(style, int):
            style = torch.eye(len(self.styles))[style]
        return torch.as_tensor(style).to(x).expand(len(x), -1)


def load_transform_net(path=FILE):
    """Load the shipped network of nine styles, frozen, with `.styles` and `.metadata`."""
    tensors, metadata = read_weights(path)
    net = TransformNet(metadata["styles"], **metadata["shape"])
    net.load_state_dict(tensors)
    net.metadata = metadata
    return net.eval().requires_grad_(False)
