"""Style: transfer by descent (Gatys 2016), and by a network in one pass (Johnson 2016, Ulyanov 2016, Dumoulin 2017)."""

import torch
import torch.nn.functional as F
from torch import nn

from helpers.activations import activations
from helpers.errors import describe, unknown
from helpers.images import check_images
from helpers.losses import content_loss, gram_matrix, style_loss, total_variation
from helpers.nets import DATA, fast
from helpers.optimize import descend
from helpers.param import PixelImage
from helpers.weights import read_weights, set_weights

LAYERS = ("relu1", "relu2", "relu3", "relu4", "relu5")
FILE = DATA / "style.safetensors"


# ---- By descent ----

def style_grams(net, style, layers=LAYERS):
    """What `style_transfer` wants to match, style (b,3,h,w) -> dict layer -> Gram matrices (b,c,c). To mix styles, average them."""
    return {layer: gram_matrix(features) for layer, features in activations(net, style, layers).items()}


def style_transfer(net, content, grams, *, start=None, content_layer="relu3", style_weight=3.0, tv_weight=1.0, border=8, steps=200,
                   optimizer=None):
    """Paints the content (b,3,h,w) with the style that has these Gram matrices -> generator of Step, as `descend`.

    Minimises content_loss + style_weight style_loss + tv_weight V, with V the total variation a pixel, from the content itself
    or from another `start`, by Adam or another `optimizer`. `style_weight` may be one for each image, (b,). The network sees a
    mirrored border of so many pixels, or its zero padding would be painted as a frame. `grams` are those of `style_grams`.
    Gatys 2016, with losses relative to their targets.
    """
    check_images(content)
    mirrored = lambda x: F.pad(x, [border] * 4, mode="reflect")
    with torch.no_grad():
        wanted = activations(net, mirrored(content), content_layer)[content_layer]

    def loss(x):
        with fast(x.device):
            found = activations(net, mirrored(x), [*grams, content_layer])
        total = content_loss(found[content_layer], wanted) + style_weight * style_loss(found, grams)
        return (total + tv_weight * total_variation(x) / x[0, 0].numel()).sum()

    return descend(PixelImage(content if start is None else start), loss, steps=steps,
                   optimizer=optimizer or (lambda p: torch.optim.Adam(p, lr=0.03)))


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
    """Upsampling by nearest neighbours if asked for, a convolution of a mirrored border, a norm; (b,c,h,w) -> (b,c',h',w')."""

    def __init__(self, inside, outside, kernel, *, stride=1, up=1, norm):
        super().__init__()
        self.up, self.border = up, [kernel // 2] * 4
        self.conv = nn.Conv2d(inside, outside, kernel, stride, bias=norm is None)
        self.norm = norm(outside) if norm else None

    def forward(self, x, mix):
        x = F.interpolate(x, scale_factor=self.up, mode="nearest") if self.up > 1 else x
        x = self.conv(F.pad(x, self.border, mode="reflect"))
        return x if self.norm is None else self.norm(x, mix)


class TransformNet(nn.Module):
    """Images (b,3,h,w) in [0,1] -> images of the same size in a style: two layers down, residual blocks, two layers up.

    Johnson 2016 with nearest upsampling and mirrored borders (Dumoulin 2017) and half its width. `norm` is "instance", "batch" or
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
        height, width = x.shape[2:]
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
        mix = torch.as_tensor(style).to(x)
        if mix.shape not in [(known,), (b, known)] or not torch.allclose(mix.sum(-1), torch.ones(()).to(x), atol=1e-3):
            sums = ", ".join(f"{v:.3g}" for v in mix.sum(-1).flatten()[:8].tolist())
            raise ValueError(f"Got {describe(mix)} as a mixture, with sums {sums}; expected weights of the {known} styles, ({known},) or "
                             f"({b}, {known}), that sum to 1.")
        return mix.expand(b, known)


def load_transform_net(path=FILE):
    """The shipped network of several styles, frozen and in eval mode; `.styles` are their names, `.facts` how it was trained.

    Raises ValueError if the file is missing or damaged.
    """
    tensors, facts = read_weights(path)
    return set_weights(TransformNet(facts["styles"], **facts["shape"]), tensors, facts, path).eval().requires_grad_(False)
