"""Style in one forward pass: a network from a picture to the same picture in a style. Johnson 2016, Ulyanov 2016, Dumoulin 2017."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from helpers.errors import unknown
from helpers.images import check_images
from helpers.weights import read_weights

FILE = Path(__file__).parent.parent / "data" / "style.safetensors"


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
            raise ValueError(f"Got a mixture of shape {tuple(mix.shape)} and sum {mix.sum(-1).flatten()[0]:.3g}; expected weights of "
                             f"the {known} styles, ({known},) or ({b}, {known}), that sum to 1.")
        return mix.expand(b, known)


def fold(net):
    """A trained TransformNet with batch norm -> the same in eval mode without any: the norms become part of the convolutions."""
    if net.shape["norm"] != "batch":
        raise ValueError(f"Got a network with norm={net.shape['norm']!r}; only batch norm, whose means are fixed in use, can be folded.")
    folded = TransformNet(net.styles, **net.shape | {"norm": None}).eval().requires_grad_(False)
    layers = [[m for m in part.modules() if isinstance(m, Layer)] for part in (net.eval(), folded)]
    for old, new in zip(*layers, strict=True):
        new.conv = fuse_conv_bn_eval(old.conv, old.norm) if old.norm else old.conv
    return folded


def load_transform_net(path=FILE):
    """The shipped network of several styles, frozen and in eval mode; `.styles` are their names, `.facts` how it was trained.

    Raises ValueError if the file is missing or damaged.
    """
    tensors, facts = read_weights(path)
    net = TransformNet(facts["styles"], **facts["shape"])
    try:
        net.load_state_dict({name: t.float() for name, t in tensors.items()})
    except RuntimeError as error:
        raise ValueError(f"{path} holds another network: {error}") from None
    net.facts = facts
    return net.eval().requires_grad_(False)
