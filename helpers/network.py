"""What a network is here: it takes images in [0, 1], normalises inside, and its layers have the field's names."""

from collections import OrderedDict

import torch
from torch import nn


class Normalize(nn.Module):
    """(x - mean) / std for each colour channel, (b,3,h,w) -> (b,3,h,w)."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, x):
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError(f"The network got a tensor of shape {tuple(x.shape)}; it expects images (b, 3, h, w). "
                             "Try x[None] for a single image, or load_image, which gives (1, 3, h, w).")
        return (x - self.mean) / self.std


class Network(nn.Sequential):
    """A feed-forward classifier: its first layer normalises, `classes` names its outputs, its layers have the field's names."""

    def __init__(self, named_modules, classes):
        super().__init__(OrderedDict(named_modules))
        self.classes = list(classes)
