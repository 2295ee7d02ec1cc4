"""Which part of a picture a unit sees, and which pictures, of many, it answers to most."""

from dataclasses import dataclass

import torch
from torch import nn

from helpers.activations import activations
from helpers.errors import check_k, unknown
from helpers.images import pair

POINTWISE = (nn.ReLU, nn.Dropout, nn.BatchNorm2d, nn.Identity)


@dataclass(frozen=True)
class ReceptiveField:
    """Unit (i, j) of a layer sees `size` x `size` pixels; the first from pixel `offset` on, each next `stride` further."""

    size: int = 1
    stride: int = 1
    offset: int = 0

    def box(self, i, j, image=None):
        """The pixels that unit (i, j) sees: (top, left, bottom, right), for x[..., top:bottom, left:right].

        With padding it may reach over the border: give the size of the image, 64 or (h, w), for the part inside. That
        part may count a last row or column that a stride leaves over, and so never reads.
        """
        top, left = self.offset + i * self.stride, self.offset + j * self.stride
        if image is None:
            return top, left, top + self.size, left + self.size
        h, w = pair(image)
        return max(top, 0), max(left, 0), min(top + self.size, h), min(left + self.size, w)

    def after(self, module):
        """The field of a layer after this one: a window of k of our units, p of them padding, moving by s."""
        if isinstance(module, POINTWISE) or type(module).__name__ == "Normalize":
            return self
        if not isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            raise ValueError(f"A {type(module).__name__} has no receptive field of a fixed size: its units see the whole image, or a "
                             "share of it. Try the last convolution or pooling before it.")
        square = [pair(v) for v in (module.kernel_size, module.stride, getattr(module, "dilation", 1))]
        p, *other = module.padding if isinstance(module.padding, tuple) else (module.padding,)
        if any(a != b for a, b in square) or isinstance(p, str) or any(p != q for q in other):
            raise ValueError(f"Got {module}; expected a square window, with its padding as a number.")
        k, s, d = (a for a, _ in square)
        return ReceptiveField(self.size + (k - 1) * d * self.stride, self.stride * s, self.offset - p * self.stride)


def receptive_field(net, layer):
    """Which pixels the units of a layer see -> ReceptiveField, exact, for networks that are a row of layers.

    These are CourseNet and torchvision's AlexNet, VGG and SqueezeNet. Raises KeyError for an unknown layer, ValueError for
    another kind of network, and for layers whose units see the whole image. Araujo 2019 derives more general cases.
    """
    if layer not in dict(net.named_modules()) or not layer:
        raise unknown("layer", layer, [name for name, _ in net.named_children()])
    if not isinstance(net, nn.Sequential):
        raise ValueError(f"Got a {type(net).__name__}, whose layers are not in a row; expected CourseNet, or torchvision's AlexNet, "
                         "VGG or SqueezeNet by load_net.")
    field, (top, _, inner) = ReceptiveField(), layer.partition(".")
    for name, module in net._modules.items():       # named_children() leaves out a module that comes a second time
        for part in inside(module, inner if name == top else ""):
            field = field.after(part)
        if name == top:
            return field


def inside(module, inner=""):
    """The modules that the widest path through one layer meets, up to `inner`; only SqueezeNet's Fire has more than itself."""
    if type(module).__name__ != "Fire":
        return [module]
    if inner.startswith("squeeze"):
        return [module.squeeze]
    return [module.squeeze, module.expand1x1 if inner.startswith("expand1x1") else module.expand3x3]


@dataclass(frozen=True, eq=False)
class TopPatches:
    """For each channel its k strongest answers, strongest first: values and indices of images (channels,k), boxes (channels,k,4)."""

    values: torch.Tensor
    indices: torch.Tensor
    boxes: torch.Tensor


@torch.no_grad()
def top_patches(net, images, layer, k=9, *, batch=32):
    """For every channel of a layer, the k images that it answers to most, and where -> TopPatches.

    `images` is a tensor (n,3,h,w), or anything that gives batches one by one: tensors, or (tensor, labels) as a DataLoader
    gives. They are seen once, and only k answers are kept. An image counts once, with the place of its largest answer;
    of equals the first. A box is the receptive field of that place, the part inside the image; all of the image where a map
    has one place only. A value of 0 after a ReLU means that the channel never fired. Zeiler & Fergus 2014, section 4.
    """
    tops = places = field = None
    seen = 0
    for x in images.split(batch) if torch.is_tensor(images) else images:
        x = x if torch.is_tensor(x) else x[0]
        a = activations(net, x, layer)[layer]
        a = a if a.ndim == 4 else a[..., None, None]                            # (b,channels,i,j)
        if field is None and max(a.shape[2:]) > 1:
            field = receptive_field(net, layer)
        peaks, at = a.flatten(2).max(2)                                         # (b,channels): each image's largest, and where
        numbers = torch.arange(seen, seen + len(x), device=a.device)[:, None].expand_as(at)
        found = torch.stack([numbers, *boxes(field, at // a.shape[3], at % a.shape[3], x.shape[2:])], 2)
        tops, places = (peaks, found) if tops is None else (torch.cat([tops, peaks]), torch.cat([places, found]))
        tops, order = (v[:k] for v in tops.sort(dim=0, descending=True, stable=True))       # of equals, the first stays
        places = places.gather(0, order[..., None].expand(-1, -1, 5))
        seen += len(x)
    check_k(k, seen, "images. (A generator gives its images only once)")
    return TopPatches(tops.T, places[..., 0].T, places[..., 1:].transpose(0, 1))


def boxes(field, i, j, size):
    """Top, left, bottom, right of many units at once, the part inside images of this size; all of it where there is no field."""
    h, w = size
    if field is None:
        return torch.zeros_like(i), torch.zeros_like(i), torch.full_like(i, h), torch.full_like(i, w)
    top, left, bottom, right = field.box(i, j)
    return top.clamp(min=0), left.clamp(min=0), bottom.clamp(max=h), right.clamp(max=w)
