"""Receptive fields, and the patches that activate each channel most."""

from typing import NamedTuple

import torch
from torch import nn

from helpers.activations import activations, find_layer
from helpers.images import check_images, pair

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
# Types of layers whose units see a single unit of the layer before.
POINTWISE = {"Normalize", "BatchNorm2d", "ReLU", "ReLU6", "Dropout", "Identity"}


class ReceptiveField(NamedTuple):
    """What the units of a layer see: `size` x `size` pixels each.

    The field of the first unit starts at pixel `offset`, that of each next one `stride` further.
    """

    size: int
    stride: int
    offset: int

    def box(self, i, j, shape):
        """Return the part of an image of this shape, an int or (h, w), that unit (i, j) sees.

        The box is (top, left, bottom, right), for x[..., top:bottom, left:right].
        """
        h, w = pair(shape)
        top = self.offset + i * self.stride
        left = self.offset + j * self.stride
        return max(top, 0), max(left, 0), min(top + self.size, h), min(left + self.size, w)


def receptive_field(net, layer):
    """Compute the receptive field of a layer's units (Araujo 2019).

    Exact for chains of layers (CourseNet, AlexNet, VGG) and for EfficientNet-Lite0, whose shortcuts
    see no more than the blocks they skip, on images whose sides are multiples of 32. Raises
    ValueError for other architectures and for layers behind the global pooling.
    """
    size, stride, offset = 1, 1, 0
    for module in modules_up_to(net, layer):
        if isinstance(module, WINDOWS):
            k, s, p, d = window_of(module)
            size += (k - 1) * d * stride
            offset -= p * stride
            stride *= s
        elif not isinstance(module, nn.Sequential) and type(module).__name__ not in POINTWISE:
            raise ValueError(f"Layer {layer!r} is in or after {type(module).__name__}; receptive "
                             "fields are computed for chains of convolutions and poolings, as in "
                             "CourseNet, AlexNet, VGG, EfficientNet-Lite0. Try an earlier layer.")
    return ReceptiveField(size, stride, offset)


def modules_up_to(net, layer):
    """List the modules of a network in order, the last one `layer`, or the last one inside it."""
    find_layer(net, layer)      # raises KeyError for an unknown name
    named = list(net.named_modules(remove_duplicate=False))
    inside = [k for k, (name, _) in enumerate(named) if f"{name}.".startswith(f"{layer}.")]
    return [module for _, module in named[:inside[-1] + 1]]


def window_of(module):
    """Return kernel size, stride, padding, and dilation of a module with a square window."""
    names = ("kernel_size", "stride", "padding", "dilation")
    sides = [pair(getattr(module, name, 1)) for name in names]
    if any(down != right for down, right in sides):
        raise ValueError(f"Got {module}; expected a square window.")
    k, s, p, d = [down for down, right in sides]
    if hasattr(module, "padding_of"):       # "same" padding, of a side that the stride divides
        p = (k - s) // 2
    return k, s, p, d


class TopPatches(NamedTuple):
    """For each channel the k images that activate it most, in descending order.

    values (channels,k), indices of the images (channels,k), and boxes (channels,k,4): what the most
    active unit sees, (top, left, bottom, right).
    """

    values: torch.Tensor
    indices: torch.Tensor
    boxes: torch.Tensor


@torch.no_grad()
def top_patches(net, images, layer, k=9, *, batch=32):
    """Find the k images (n,3,h,w) that activate each channel of a layer most, and where.

    An image counts once, with its largest activation. Units that see beyond the border are left
    out, unless all do. Zeiler & Fergus 2014, section 4.
    """
    check_images(images)
    field = receptive_field(net, layer)
    peaks = []
    positions = []
    for x in images.split(batch):
        maps = activations(net, x, layer)                       # (b,channels,h,w)
        outside = beyond_border(field, x.shape[2:], maps.shape[2:]).to(x.device)
        peak, position = maps.masked_fill(outside, -torch.inf).flatten(2).max(2)    # (b,channels)
        peaks.append(peak)
        positions.append(position)
    values, ranking = torch.cat(peaks).sort(dim=0, descending=True, stable=True)
    indices = ranking[:k].T                                     # (channels,k)
    position = torch.cat(positions).T.gather(1, indices)
    width = maps.shape[3]
    units = torch.stack([position // width, position % width], 2)
    start = field.offset + field.stride * units
    border = units.new_tensor(images.shape[2:])
    boxes = torch.cat([start.clamp(min=0), (start + field.size).minimum(border)], 2)
    return TopPatches(values[:k].T, indices, boxes)


def beyond_border(field, shape, grid):
    """Mark the units of a grid (h,w) that see beyond an image (H,W), (h,w) bool; none if all do."""
    fits = []
    for side, units in zip(shape, grid):
        start = field.offset + field.stride * torch.arange(units)
        fits.append((start >= 0) & (start + field.size <= side))
    inside = fits[0][:, None] & fits[1]
    return ~inside & inside.any()
