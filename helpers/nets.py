"""The networks by name: CourseNet, EfficientNet-Lite0, torchvision's. All take images in [0, 1] and normalise inside."""

import copy
import hashlib
import os
import re
from collections import OrderedDict
from contextlib import contextmanager, nullcontext
from glob import glob
from http.client import HTTPException
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from runpy import run_path

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from helpers import efficientnet
from helpers.activations import check_eval, check_net, layers
from helpers.errors import check_k, describe, one_line, unknown
from helpers.files import patience
from helpers.images import check_images, numbers
from helpers.weights import read_weights, set_weights, write_weights

DATA = Path(__file__).parent.parent / "data"
OURS = ("coursenet", "coursenet-robust")        # one architecture, trained in two ways
FACTS = ("classes", "mean", "std")           # what a file must say of a CourseNet
PHOTOGRAPHS = 64        # of their 72 classes are of photographs; the eight shapes of scenes come after them
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)     # mean and standard deviation that torchvision's networks expect


# ---- What a network is ----

class Normalize(nn.Module):
    """(x - mean) / std for each colour channel, images (b,3,h,w) -> (b,3,h,w)."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(self, x):
        if not torch.is_tensor(x) or x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point():
            raise ValueError(f"The network got {describe(x)}; it expects images (b, 3, h, w) of floats from 0 to 1. "
                             "Try x[None] for a single image, x.float() / 255 for bytes, or load_image, which gives (1, 3, h, w).")
        if x.device != self.mean.device:
            raise ValueError(f"The network is on {self.mean.device}, and got images on {x.device}; it expects both on one device. "
                             "Try images.to(net.normalize.mean.device).")
        if x.requires_grad and self.mean.is_inference():
            raise ValueError("The network was made in torch.inference_mode(), so no gradient passes through it. Try copy.deepcopy(net).")
        # Noise leaves [0, 1], not by so much; but a descent's pixels may, on the way of LBFGS. This norm is the sum of |x|, without a
        # copy of them, in a thousandth of the time of the layers. What is not a number is not below the limit.
        limit = float("inf") if x.grad_fn or isinstance(x, nn.Parameter) else 5 * x.numel() + 1
        if not torch.linalg.vector_norm(x.detach(), 1, dtype=torch.promote_types(x.dtype, torch.float32)) < limit:
            raise ValueError(f"The network got pixels from {x.min():.3g} to {x.max():.3g}; it expects them from 0 to 1. Try x / 255.")
        return (x.to(self.mean.dtype) - self.mean) / self.std      # a network computes in the precision of its weights


class Network(nn.Sequential):
    """A feed-forward classifier: its first layer normalises, `classes` names its outputs, its layers have the field's names."""

    def __init__(self, named_modules, classes):
        super().__init__(OrderedDict(named_modules))
        self.classes = list(classes)


class CourseNet(Network):
    """AlexNet's shape for 64 x 64 images and larger, images (b,3,h,w) in [0,1] -> logits (b, classes).

    Where AlexNet has stride 4 and a pooling after conv1 (Krizhevsky 2012), a 64 x 64 image can only afford stride 2.
    With `for_training`, a batch norm follows each layer but the last, and a dropout fc6 and fc7; `fold_batch_norms` and
    `save_weights` leave them out.
    """

    CONV = {"conv1": (32, 7, 2), "conv2": (64, 3, 1), "conv3": (128, 3, 1), "conv4": (160, 3, 1), "conv5": (192, 3, 1)}
    FC = {"fc6": 512, "fc7": 256}
    POOLED, GRID = ("conv2", "conv5"), 4

    def __init__(self, classes, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), *, for_training=False):
        modules, channels = [("normalize", Normalize(mean, std))], 3
        for name, (width, kernel, stride) in self.CONV.items():
            number = name[-1]
            modules.append((name, nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=not for_training)))
            modules += [(f"bn{number}", nn.BatchNorm2d(width))] * for_training + [(f"relu{number}", nn.ReLU())]
            modules += [(f"pool{number}", nn.MaxPool2d(3, 2, 1))] * (name in self.POOLED)
            channels = width
        modules += [("avgpool", nn.AdaptiveAvgPool2d(self.GRID)), ("flatten", nn.Flatten())]
        channels *= self.GRID ** 2
        for name, width in self.FC.items():
            number = name[-1]
            modules.append((name, nn.Linear(channels, width, bias=not for_training)))
            modules += [(f"bn{number}", nn.BatchNorm1d(width))] * for_training + [(f"relu{number}", nn.ReLU())]
            modules += [(f"drop{number}", nn.Dropout(0.25))] * for_training
            channels = width
        super().__init__([*modules, ("fc8", nn.Linear(channels, len(classes)))], classes)


def fold_batch_norms(net):
    """A copy in eval mode in which each batch norm is part of the convolution or linear layer before it: the same function.

    Raises ValueError if there is none to fold. (Instance norm depends on the image, so it can't be.)
    """
    if not any(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in net.modules()):
        raise ValueError(f"Got a {type(net).__name__} without batch norm; only batch norm, whose means are fixed in use, can be folded.")
    net = copy.deepcopy(net).eval()
    for parent in list(net.modules()):
        for (name, module), (after, norm) in pairwise(list(parent.named_children())):
            if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
                fuse = fuse_linear_bn_eval if isinstance(module, nn.Linear) else fuse_conv_bn_eval
                setattr(parent, name, fuse(module, norm))
                delattr(parent, after) if isinstance(parent, nn.Sequential) else setattr(parent, after, None)
    return net


# ---- Networks by name ----

@torch.inference_mode(False)        # or no gradient could ever pass through it
def load_net(name="coursenet", *, weights="DEFAULT"):
    """A trained network by name, frozen and in eval mode: images (b,3,h,w) in [0,1] -> logits (b, classes).

    "coursenet" and "coursenet-robust" are shipped, 72 classes at 64 pixels; "efficientnet-lite0" knows ImageNet's 1,000 classes at
    224 pixels, and its weights come with an installed package. Any classifier of torchvision works too ("alexnet", "vgg16",
    "resnet18"); its weights are downloaded once, and `weights` may name others than its best ("IMAGENET1K_V1").
    `weights=None` gives random weights and downloads nothing.
    Raises KeyError for an unknown name, ValueError for weights that are missing or damaged.
    """
    if name in (*OURS, "efficientnet-lite0") and weights not in ("DEFAULT", None):
        raise ValueError(f"Got weights={weights!r} for {name}; expected 'DEFAULT', its own, or None for random ones.")
    if name == "efficientnet-lite0":
        parts = efficientnet.efficientnet_lite0(trained=weights is not None)
        net = Network([("normalize", Normalize(efficientnet.MEAN, efficientnet.STD)), *parts], imagenet_classes())
    elif name not in OURS:
        net = load_torchvision(name, weights)
    elif weights is None:
        _, facts = read_weights(DATA / f"{name}.safetensors", *FACTS)
        net = CourseNet(facts["classes"], facts["mean"], facts["std"])
    else:
        net = load_weights(DATA / f"{name}.safetensors")
    return net.eval().requires_grad_(False)


def imagenet_classes():
    """The names of ImageNet's 1,000 classes, in the order of all networks that were trained on them."""
    # Only torchvision's list of them is read: to import all of torchvision takes seconds and 130 MB, and no other part is needed.
    package = Path(find_spec("torchvision").origin).parent
    return run_path(package / "models/_meta.py")["_IMAGENET_CATEGORIES"]


def layer_names(net):
    """The names of a network's layers, in its order: ["conv1", "relu1", ...]."""
    return list(layers(net))


@torch.no_grad()
def top_classes(net, x, k=5):
    """The k likeliest classes of each image, (b,3,h,w) -> [[(name, probability), ...], ...]."""
    check_eval(net), check_images(x), check_k(k, len(net.classes), "classes")
    probability, index = net(x).softmax(1).topk(int(k))
    return [[(net.classes[i], p) for p, i in zip(*row)] for row in zip(probability.tolist(), index.tolist())]


def class_index(net, name):
    """The number of a class by its name: class_index(net, "goose")."""
    check_net(net)
    if name not in net.classes:
        raise unknown("class", name, net.classes)
    return net.classes.index(name)


def check_classes(net, classes, n, device):
    """Numbers of classes, one for each of n images -> a tensor (n,) on the device; raises ValueError for anything else.

    And for a network in training mode, in which a class would have other scores at each call.
    """
    check_eval(net)
    classes = numbers(classes, "classes")
    if classes.is_floating_point() or classes.dtype == torch.bool or classes.shape != (n,):
        raise ValueError(f"Got {describe(classes)} as classes; expected one whole number for each of {n} images. "
                         "Try class_index(net, name).")
    if len(classes) and not 0 <= classes.min() <= classes.max() < len(net.classes):
        raise ValueError(f"Got classes from {classes.min()} to {classes.max()}; expected 0 to {len(net.classes) - 1}.")
    with torch.inference_mode(False):       # a copy that a gradient may pass
        return classes.to(device, torch.long, copy=True)


# ---- torchvision's networks ----

def load_torchvision(name, weights):
    """One of torchvision's classifiers, taking [0, 1] images, none of its ReLUs in place, layers in the field's names."""
    from torchvision import models  # not at the top: it takes seconds, and few calls need it

    chosen = torchvision_weights(name, weights or "DEFAULT")
    if weights is not None:
        print(f"{name}: weights of {chosen.meta['_file_size']:.0f} MB, from torchvision or its cache")
    plain = {"init_weights": False} if weights is None and name in ("googlenet", "inception_v3") else {}       # theirs takes many seconds
    try:
        if weights is not None:
            check_cached(cached(chosen))
        with patience(), only_weights():
            model = models.get_model(name, weights=weights and chosen, **plain)
    except (UnpicklingError, EOFError):
        raise ValueError(f"The file of the weights of {name} is damaged, or holds more than weights; it was not run. "
                         f"Try to delete it in {torch.hub.get_dir()}, and load it again.") from None
    except (OSError, RuntimeError, HTTPException) as error:     # no network; a hash that does not match
        if weights is None:
            raise
        raise ValueError(f"The weights of {name} are not in the cache, or unreadable, and could not be downloaded: {one_line(error)}. "
                         f"Try load_net('coursenet'), which is shipped, or load_net({name!r}, weights=None) for random ones.") from None
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    normalize, classes = Normalize(*IMAGENET), chosen.meta["categories"]
    if isinstance(model, (models.AlexNet, models.VGG, models.SqueezeNet)):
        return Network([("normalize", normalize), *field_names(model, blocks=isinstance(model, models.VGG))], classes)
    # Others are no plain sequence: they keep their own names, and normalise before anything else.
    model.add_module("normalize", normalize)
    model.register_forward_pre_hook(lambda module, inputs: (module.normalize(inputs[0]),))
    model.classes = list(classes)
    return model


@contextmanager
def only_weights():
    """Meanwhile torch.load reads tensors and runs nothing that a file may hold beside them: torchvision's own call would run it."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def torchvision_weights(name, weights="DEFAULT"):
    """One of the sets of weights of a torchvision classifier: its own "IMAGENET1K_V1", or all of "VGG16_Weights.IMAGENET1K_V1"."""
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise unknown("network", name, [*OURS, "efficientnet-lite0", *known])
    choices = models.get_model_weights(name)
    short = str(weights).removeprefix(f"{choices.__name__}.")
    if short not in choices.__members__:
        raise unknown(f"set of weights of {name}", weights, choices.__members__)
    return choices[short]


def cached(weights):
    """Where torchvision keeps a set of weights, there or not yet."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)


def check_cached(file):
    """Raises ValueError for a file in the cache that is only a part, or damaged: its name ends in the first digits of its SHA-256."""
    digits = re.search(r"-([0-9a-f]{8,})\.", file.name)
    if digits and os.path.exists(file):
        with open(file, "rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if not found.startswith(digits[1]):
            raise ValueError(f"{file} is damaged: its SHA-256 is {found[:8]}..., expected {digits[1]}.... Delete it, and the same call "
                             "downloads it again.")


def at_hand(name):
    """Are the weights of one of torchvision's networks in its cache, so that nothing needs to be downloaded?

    Whether there is a network of this name is asked only where a file begins as it does.
    """
    if not glob(f"{name[:4]}*", root_dir=Path(torch.hub.get_dir(), "checkpoints")):
        return False        # torchvision need not be imported, which takes seconds
    return os.path.exists(cached(torchvision_weights(name)))        # not Path's own, which raises where it may not look


KINDS = {nn.Conv2d: "conv", nn.BatchNorm2d: "bn", nn.ReLU: "relu", nn.MaxPool2d: "pool", nn.Linear: "fc", nn.Dropout: "drop",
         nn.AdaptiveAvgPool2d: "avgpool", nn.Flatten: "flatten"}


def field_names(model, *, blocks):
    """The layers of AlexNet, VGG or SqueezeNet in order, [(name, module)]: conv4, or with `blocks` conv4_2."""
    head = [model.avgpool, nn.Flatten(), *model.classifier] if hasattr(model, "avgpool") else [*model.classifier, nn.Flatten()]
    named, block, k, drops = [], 1, 0, 0
    for module in [*model.features, *head]:
        kind = KINDS.get(type(module), type(module).__name__.lower())
        k, drops = k + (kind in ("conv", "fire", "fc")), drops + (kind == "drop")
        in_block = blocks and block <= 5
        number = block if in_block and kind == "pool" else f"{block}_{k}" if in_block else k
        number = {"avgpool": "", "flatten": "", "drop": drops}.get(kind, number)
        named.append((f"{kind}{number}", module))
        if in_block and kind == "pool":
            block, k = block + 1, 0 if block < 5 else 5
    return named


# ---- CourseNet's weights, and half precision ----

def save_weights(net, path, **facts):
    """Writes a CourseNet, its classes and its normalisation among the facts; see `write_weights`."""
    tensors = {name: t for name, t in net.state_dict().items() if not name.startswith("normalize")}
    facts |= {"classes": net.classes, "mean": net.normalize.mean.flatten().tolist(), "std": net.normalize.std.flatten().tolist()}
    write_weights(tensors, path, **facts)


def load_weights(path):
    """A file of save_weights -> CourseNet in float32, its `.facts` beside it."""
    tensors, facts = read_weights(path, *FACTS)
    return set_weights(CourseNet(facts["classes"], facts["mean"], facts["std"]), tensors, facts, path)


def has_bf16(device):
    """Does this device multiply in bf16? GPUs and, on a CPU, AVX-512's bf16 instructions."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))


def fast(device, *, exact=False):
    """A context in which networks run in bf16 if the device gains from it, unless `exact`: then in float32.

    It is asked, not assumed: without its instructions, bf16 is many times slower. Only together with `channels_last` is it
    faster on a CPU.
    """
    device = torch.device(device)
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, enabled=not exact and has_bf16(device), cache_enabled=False)
