"""Which part of a picture a unit sees, and which pictures, of many, it answers to most."""

import operator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import fx, nn

from helpers.activations import activations, check_eval, find_layer
from helpers.attribution import gradient_of
from helpers.errors import check_count, check_k, describe
from helpers.images import check_images, numbers, pair

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
POINTWISE = (nn.ReLU, nn.ReLU6, nn.Dropout, nn.BatchNorm2d, nn.Identity)
ALIKE = {operator.add, operator.iadd, torch.add, torch.cat, torch.relu, F.relu, F.relu6, F.dropout, "add", "add_", "relu", "relu_"}


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

    def windows(self, units, side):
        """What to cut out of a side of so many pixels for each unit -> (starts, one length for all).

        Starts and length are whole strides, so that each window of a layer that a unit needs falls on the same pixels as in the whole
        image. Where the side is none, or is not longer, that is the whole side.
        """
        lead = self.offset % self.stride
        length = -(-(lead + self.size) // self.stride) * self.stride
        if length >= side or side % self.stride:
            return [0] * len(units), side
        return [min(max(self.offset + unit * self.stride - lead, 0), side - length) for unit in units], length

    def after(self, module, side):
        """The field after a layer with a window of k of our units, p of them padding, moving by s; its input has `side` of them."""
        square = [pair(v) for v in (module.kernel_size, module.stride, getattr(module, "dilation", 1))]
        if hasattr(module, "padding_of"):                       # it depends on the input: TensorFlow's "same"
            p, other = module.padding_of(side)[0], []
        else:
            p, *other = module.padding if isinstance(module.padding, tuple) else (module.padding,)
        if any(a != b for a, b in square) or isinstance(p, str) or any(p != q for q in other):
            raise ValueError(f"Got {module}; expected a square window, with its padding as a number.")
        k, s, d = (a for a, _ in square)
        return ReceptiveField(self.size + (k - 1) * d * self.stride, self.stride * s, self.offset - p * self.stride)

    def joined(self, other):
        """What a sum (or a stack) of two layers sees: the larger of both ways."""
        first, last = min(self.offset, other.offset), max(self.offset + self.size, other.offset + other.size)
        return ReceptiveField(last - first, self.stride, first)


class _Steps(fx.Tracer):
    """Follows a network to the modules that have no others inside."""

    def is_leaf_module(self, module, name):
        return not any(module.children())


def receptive_field(net, layer, *, image=224):
    """Which pixels the units of a layer see -> ReceptiveField, exact.

    A sum or a stack of several ways sees what the largest of them sees. `image`, 224 or (h, w), matters only where padding
    depends on it, as in EfficientNet-Lite0. Raises KeyError for an unknown layer, ValueError for layers whose units see the whole
    image, and for networks that cannot be followed. Araujo 2019.
    """
    find_layer(net, layer)
    try:
        graph = _Steps().trace(net)
    except Exception as error:      # a tracer stumbles over whatever depends on the values
        raise ValueError(f"The steps of this {type(net).__name__} cannot be followed ({error}). Try another network.") from None
    fields = {side: walk(net, graph, layer, side) for side in set(pair(image))}
    if len(set(fields.values())) > 1:
        raise ValueError(f"For an image of {image} rows and columns are padded unlike each other. Try sides that are multiples of 32.")
    return fields.popitem()[1]


def walk(net, graph, layer, side):
    """The field of a layer's output, for an image of so many pixels a side."""
    fields, sides, found = {}, {}, None         # of each step's output; a string where there is none, and why
    for node in graph.nodes:
        before = [n for n in node.all_input_nodes if n in fields]
        field, size = (fields[before[0]], sides[before[0]]) if before else (ReceptiveField(), side)
        broken = next((fields[n] for n in before if isinstance(fields[n], str)), None)
        module = net.get_submodule(node.target) if node.op == "call_module" else None
        if broken:
            field = broken
        elif isinstance(module, WINDOWS):
            field, size = field.after(module, size), shrunk(module, size)
        elif node.target in ALIKE:
            for other in before[1:]:
                field = field.joined(fields[other])
        elif node.op not in ("placeholder", "output") and not isinstance(module, POINTWISE) and type(module).__name__ != "Normalize":
            field = type(module).__name__ if module else getattr(node.target, "__name__", node.target)
        fields[node], sides[node] = field, size
        inside = [name for name, _ in (node.meta.get("nn_module_stack") or {}).values()]
        if node.op == "call_module" and node.target == layer:
            found = field
            break
        found = field if any(name == layer for name in inside) else found       # the last step inside a block is its output
    if isinstance(found, str):
        raise ValueError(f"A {found} has no receptive field of a fixed size: its units see the whole image, or a share of it. "
                         "Try the last convolution or pooling before it.")
    return found


def shrunk(module, side):
    """How many units a layer with windows has a side, if its input has `side`."""
    numbers = module.kernel_size, module.stride, getattr(module, "dilation", 1), module.padding
    k, s, d, p = (v[0] if isinstance(v, tuple) else v for v in numbers)
    padding = sum(module.padding_of(side)) if hasattr(module, "padding_of") else 2 * p
    room = side + padding - d * (k - 1) - 1
    return (-(-room // s) if getattr(module, "ceil_mode", False) else room // s) + 1


@dataclass(frozen=True, eq=False)
class TopPatches:
    """For each channel its k strongest answers, strongest first: values and indices of images (channels,k), boxes (channels,k,4).

    `units` (channels,k,2) are the row and the column of the place in the layer's map, `boxes` what it sees of the picture.
    """

    values: torch.Tensor
    indices: torch.Tensor
    units: torch.Tensor
    boxes: torch.Tensor


@torch.no_grad()
def top_patches(net, images, layer, k=9, *, batch=32):
    """For every channel of a layer, the k images that it answers to most, and where -> TopPatches.

    `images` is a tensor (n,3,h,w), or anything that gives batches one by one: tensors, or (tensor, labels) as a DataLoader
    gives. They are seen once, and only k answers are kept. An image counts once, with the place of its largest answer;
    of equals the first. A box is the receptive field of that place, the part inside the image; all of the image where a map
    has one place only. A value of 0 after a ReLU means that the channel never fired. Zeiler & Fergus 2014, section 4.
    """
    find_layer(net, layer)
    if torch.is_tensor(images):
        check_k(k, len(images) if images.ndim else 0, "images"), check_images(images), check_count(batch, "images at a time")
    elif not hasattr(images, "__iter__"):
        raise TypeError(f"Got {describe(images)}; expected images (n, 3, h, w), or what gives batches of them one by one.")
    check_count(k, "images for each channel")
    tops = places = field = None
    seen = 0
    for x in images.split(int(batch)) if torch.is_tensor(images) else images:
        x = x if torch.is_tensor(x) else x[0]
        a = activations(net, x, layer)[layer]
        a = a if a.ndim == 4 else a[..., None, None]                            # (b,channels,i,j)
        if field is None and max(a.shape[2:]) > 1:
            field = receptive_field(net, layer, image=tuple(x.shape[2:]))
        peaks = a.amax((2, 3))                                                  # (b,channels): each image's largest
        if tops is None:
            tops, places = peaks[:0], torch.zeros(1, a.shape[1], 5, dtype=torch.long, device=a.device)
        before = len(tops)
        tops, order = (v[:int(k)] for v in torch.cat([tops, peaks]).sort(dim=0, descending=True, stable=True))  # of equals, the first stays
        places = places.gather(0, order.clamp(max=max(before - 1, 0))[..., None].expand(-1, -1, 5))
        rank, channel = (order >= before).nonzero().T           # where a peak is, is asked only of those that are among the best now
        number = order[rank, channel] - before
        at = a[number, channel].flatten(1).argmax(1)
        h, w = (torch.full_like(at, side) for side in x.shape[2:])
        places[rank, channel] = torch.stack([number + seen, at // a.shape[3], at % a.shape[3], h, w], 1)
        seen += len(x)
    check_k(k, seen, "images. (A generator gives its images only once)")
    index, i, j, h, w = places.permute(2, 1, 0)
    top, left, bottom, right = field.box(i, j) if field else (torch.zeros_like(i), torch.zeros_like(j), h, w)
    boxes = torch.stack([top.clamp(min=0), left.clamp(min=0), bottom.minimum(h), right.minimum(w)], 2)      # the part inside the image
    return TopPatches(tops.T, index, torch.stack([i, j], 2), boxes)


def unit_gradient(net, x, layer, channel, units):
    """The gradient of one unit for each image, (b,3,h,w) and units (b,2), their rows and columns in the map -> (b,3,h,w).

    It is zero outside the unit's receptive field, so the network runs only on that part of the image, widened to whole strides: see
    `ReceptiveField.windows`. Within `relu_backward("guided")` it is the guided gradient.
    Raises KeyError for an unknown layer; ValueError for units outside the map, for layers whose units see the whole image, and for a
    network in training mode, whose batch norms would see a part of the image for the whole.
    """
    check_images(x)
    check_eval(net)         # batch norm would depend on all that is seen, and only a part of the picture is
    units = numbers(units, "units")
    if units.is_floating_point() or units.shape != (len(x), 2):
        raise ValueError(f"Got {describe(units)} as units; expected a row and a column of the map for each of {len(x)} images, (b, 2).")
    field = receptive_field(net, layer, image=tuple(x.shape[2:]))
    (tops, height), (lefts, width) = (field.windows(at, side) for at, side in zip(units.T.tolist(), x.shape[2:]))
    parts = [(slice(n, n + 1), slice(None), slice(i, i + height), slice(j, j + width)) for n, (i, j) in enumerate(zip(tops, lefts))]
    i, j = (units.cpu() - torch.tensor([tops, lefts]).T // field.stride).T.tolist()

    def unit(z):
        a = activations(net, z, layer)[layer]
        if not (0 <= channel < a.shape[1] and (units >= 0).all() and max(i) < a.shape[2] and max(j) < a.shape[3]):
            raise ValueError(f"Got channel {channel} and units {units.tolist()}; expected one of the {a.shape[1]} channels of {layer!r}, "
                             f"and rows and columns of its map for images of {x.shape[2]} x {x.shape[3]} pixels. Try TopPatches.units.")
        return a[torch.arange(len(z)), channel, torch.tensor(i), torch.tensor(j)]

    found, whole = gradient_of(unit, torch.cat([x[part] for part in parts])), torch.zeros_like(x)
    for part, one in zip(parts, found.split(1)):
        whole[part] = one
    return whole
