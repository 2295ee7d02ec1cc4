"""Style: transfer by descent (Gatys 2016), and by a network in one pass (Johnson 2016, Ulyanov 2016, Dumoulin 2017)."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from helpers.activations import activations, check_eval, find_layer
from helpers.errors import describe, unknown
from helpers.images import check_images, numbers, resize
from helpers.losses import content_loss, gram_matrix, style_loss, total_variation
from helpers.nets import DATA, fast
from helpers.optimize import descend
from helpers.param import PixelImage
from helpers.transforms import mirror_crop
from helpers.weights import read_weights, set_weights

# The colours themselves, and of EfficientNet-Lite0 what its narrow blocks are widened to, at strides 2, 2, 4, 8 and 16.
LAYERS = ("pixels", "stem_relu", "block2.expand_relu", "block4.expand_relu", "block6.expand_relu",
          "block9.expand_relu")
CONTENT = "block6.expand_relu"
FILE = DATA / "style.safetensors"


# ---- By descent ----

def style_features(net, x, layers=LAYERS):
    """What Gram matrices are made of, x (b,3,h,w) -> dict layer -> (b,c,h,w): activations, and x itself as the layer "pixels".

    Without the pixels, a painter may fill flat places with colours that the style does not have.
    """
    found = activations(net, x, [layer for layer in layers if layer != "pixels"])
    return found | {"pixels": x} if "pixels" in layers else found


def style_grams(net, style, layers=LAYERS):
    """What `style_transfer` wants to match, style (b,3,h,w) -> dict layer -> Gram matrices (b,c,c). To mix styles, average them."""
    return {layer: gram_matrix(features) for layer, features in style_features(net, style, layers).items()}


def style_transfer(net, content, grams, *, start=None, content_layer=CONTENT, style_weight=10.0, tv_weight=0.3, border=16,
                   sizes=None, steps=100, optimizer=None, seed=0, exact=True):
    """Paints the content (b,3,h,w) with the style that has these Gram matrices -> generator of Step, as `descend`.

    Minimises content_loss + style_weight style_loss + tv_weight V, with V the total variation a pixel, from the content itself
    or from another `start`. `style_weight` may be one for each image, (b,). `sizes` are the shorter sides from coarse to fine, of which
    the last should be the content's own, and `steps` how many at each: (96, 144, 216, 320) and (80, 60, 50, 40) carry large strokes from
    the first to the last. Adam moves pixels by 0.03, and by 0.01 at the last size, where only detail is left; or give an `optimizer`.
    The network sees a random window of the picture with a mirrored `border`, in pixels; `seed` draws them. `grams` are those of
    `style_grams`. Unless `exact`, networks run in bf16 where the device has it: CourseNet is then faster, and EfficientNet-Lite0,
    with its convolutions of single channels, slower. Gatys 2016, with losses relative to their targets.
    Raises ValueError for sizes and steps that do not match.
    """
    check_images(content), check_eval(net)
    find_layer(net, content_layer)
    sizes = [min(content.shape[2:])] if sizes is None else list(sizes)
    steps = list(steps) if isinstance(steps, (tuple, list)) else [steps] * len(sizes)
    if not sizes or len(sizes) != len(steps):
        raise ValueError(f"Got {len(sizes)} sizes and {len(steps)} numbers of steps; expected one for each size.")
    generator = torch.Generator().manual_seed(seed)

    def loss_for(photo, x):
        seen, original = mirror_crop(x, photo, border=min(border, min(photo.shape[2:]) - 1), generator=generator)
        with fast(x.device, exact=exact):
            found = style_features(net, seen, [*grams, content_layer])
            with torch.no_grad():
                wanted = activations(net, original, content_layer)[content_layer]
        total = content_loss(found[content_layer], wanted) + style_weight * style_loss(found, grams)
        return (total + tv_weight * total_variation(x) / x[0, 0].numel()).sum()

    def coarse_to_fine(x):
        for size, number in zip(sizes, steps):
            shape = [round(n * size / min(content.shape[2:])) for n in content.shape[2:]]
            photo, x = (y if list(y.shape[2:]) == shape else resize(y, shape) for y in (content, x))
            rate = 0.01 if size == sizes[-1] else 0.03
            for step in descend(PixelImage(x), partial(loss_for, photo), steps=number,
                                optimizer=optimizer or (lambda p, rate=rate: torch.optim.Adam(p, lr=rate))):
                x = step.image
                yield step

    return coarse_to_fine(content if start is None else start)


# ---- In one pass ----


class ConditionalInstanceNorm(nn.Module):
    """Each channel of each image brought to mean 0 and variance 1, then scaled and shifted as its style asks; Dumoulin 2017.

    x (b,c,h,w), mix (b, styles) -> (b,c,h,w). With one style this is instance norm (Ulyanov 2016).
    """

    def __init__(self, channels, styles=1):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, x, mix):
        variance, mean = torch.var_mean(x, (2, 3), correction=0)
        scale = mix @ self.scale * (variance + 1e-5).rsqrt()
        shift = mix @ self.shift - mean * scale
        return torch.addcmul(shift[..., None, None], x, scale[..., None, None])


class BatchNorm(nn.BatchNorm2d):
    """As PyTorch's; there is no style to choose."""

    def forward(self, x, mix=None):
        return super().forward(x)


class Layer(nn.Module):
    """Upsampling, bilinear, if asked for, a convolution of a mirrored border, a norm; (b,c,h,w) -> (b,c',h',w')."""

    def __init__(self, inside, outside, kernel, *, stride=1, up=1, norm):
        super().__init__()
        self.up, self.border = up, [kernel // 2] * 4
        self.conv = nn.Conv2d(inside, outside, kernel, stride, bias=norm is None)
        self.norm = norm(outside) if norm else None

    def forward(self, x, mix):
        x = F.interpolate(x, scale_factor=self.up, mode="bilinear") if self.up > 1 else x
        x = self.conv(F.pad(x, self.border, mode="reflect"))
        return x if self.norm is None else self.norm(x, mix)


class TransformNet(nn.Module):
    """Images (b,3,h,w) in [0,1] -> images of the same size in a style: two layers down, residual blocks, two layers up.

    Johnson 2016 with bilinear upsampling, mirrored borders (Dumoulin 2017) and half its width. `norm` is "instance", "batch" or
    None; `styles` are names, or how many there are. With `style` a picture is drawn in one (a name or a number from 0) or in a
    mixture, numbers (styles,) or (b, styles) that sum to 1.
    """

    def __init__(self, styles=1, *, width=16, blocks=5, norm="instance"):
        super().__init__()
        self.styles = list(range(styles) if isinstance(styles, int) else styles)
        norms = {"instance": lambda channels: ConditionalInstanceNorm(channels, len(self.styles)), "batch": BatchNorm, None: None}
        if norm not in norms:
            raise unknown("norm", norm, [name for name in norms if name])
        if norm != "instance" and len(self.styles) > 1:
            raise ValueError(f"Got {len(self.styles)} styles with norm={norm!r}; only norm='instance' tells styles apart.")
        self.shape, w, n = {"width": width, "blocks": blocks, "norm": norm}, width, norms[norm]
        self.down = nn.ModuleList([Layer(3, w, 9, norm=n), Layer(w, 2 * w, 3, stride=2, norm=n), Layer(2 * w, 4 * w, 3, stride=2, norm=n)])
        self.blocks = nn.ModuleList([nn.ModuleList([Layer(4 * w, 4 * w, 3, norm=n) for _ in range(2)]) for _ in range(blocks)])
        self.grow = nn.ModuleList([Layer(4 * w, 2 * w, 3, up=2, norm=n), Layer(2 * w, w, 3, up=2, norm=n)])
        self.out = Layer(w, 3, 9, norm=None)

    def forward(self, x, style=0):
        check_images(x)
        x, (height, width) = x.to(self.out.conv.weight.dtype), x.shape[2:]
        if min(height, width) < 8:
            raise ValueError(f"Got pictures of {height} x {width} pixels, too small to be mirrored at the border; expected at least 8 x 8.")
        mix = self.mixture(style, x)
        x = F.pad(x, (0, -width % 4, 0, -height % 4), mode="replicate")     # the way down halves twice: cropped back below
        for layer in self.down:
            x = layer(x, mix).relu()
        for first, second in self.blocks:
            x = x + second(first(x, mix).relu(), mix)
        for layer in self.grow:
            x = layer(x, mix).relu()
        return self.out(x, mix).sigmoid()[..., :height, :width]

    def mixture(self, style, x):
        """A name, a number, or weights of the styles -> weights (b, styles)."""
        known, b = len(self.styles), len(x)
        if isinstance(style, str):
            if style not in self.styles:
                raise unknown("style", style, self.styles)
            style = self.styles.index(style)
        if isinstance(style, int):
            if not 0 <= style < known:
                raise ValueError(f"Got style {style}; expected 0 to {known - 1}.")
            style = F.one_hot(torch.tensor(style), known)
        mix = numbers(style, "a mixture").to(x)
        if mix.shape not in [(known,), (b, known)] or not torch.allclose(mix.sum(-1), torch.ones(()).to(x), atol=1e-3):
            sums = ", ".join(f"{v:.3g}" for v in mix.sum(-1).flatten()[:8].tolist())
            raise ValueError(f"Got {describe(mix)} as a mixture, with sums {sums}; expected weights of the {known} styles, ({known},) or "
                             f"({b}, {known}), that sum to 1.")
        return mix.expand(b, known)


def load_transform_net(path=FILE):
    """The shipped network of several styles, frozen and in eval mode; `.styles` are their names, `.facts` how it was trained.

    Raises ValueError if the file is missing or damaged.
    """
    tensors, facts = read_weights(path, "styles", "shape")
    return set_weights(TransformNet(facts["styles"], **facts["shape"]), tensors, facts, path).eval().requires_grad_(False)
