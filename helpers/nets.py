"""The networks: our own CourseNet, and torchvision's by name. All take images in [0, 1] and normalise inside."""

import hashlib
import json
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from helpers.activations import layers
from helpers.errors import unknown
from helpers.images import check_images

DATA = Path(__file__).parent.parent / "data"
SHIPPED = ("coursenet", "coursenet-robust")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)    # mean and standard deviation that torchvision's networks expect


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


class CourseNet(Network):
    """AlexNet's shape for 64 x 64 images and larger, images (b,3,h,w) in [0,1] -> logits (b, classes).

    Where AlexNet has stride 4 and a pooling after conv1 (Krizhevsky 2012), a 64 x 64 image can only afford stride 2.
    With `for_training`, a batch norm follows each layer but the last, and a dropout fc6 and fc7; `fold` removes them.
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


def load_net(name="coursenet", *, weights="DEFAULT"):
    """A trained network by name, frozen and in eval mode: images (b,3,h,w) in [0,1] -> logits (b, classes).

    "coursenet" and "coursenet-robust" are shipped. Any classifier of torchvision works too ("alexnet", "vgg16",
    "resnet18"); its weights are downloaded once. `weights=None` gives random weights and downloads nothing.
    Raises KeyError for an unknown name, ValueError for weights that are missing or damaged.
    """
    if name in SHIPPED:
        net = load_weights(DATA / f"{name}.safetensors")
        net = net if weights else CourseNet(net.classes)
    else:
        net = load_torchvision(name, weights)
    return net.eval().requires_grad_(False)


def layer_names(net):
    """The names of a network's layers, in its order: ["conv1", "relu1", ...]."""
    return list(layers(net))


def top_classes(net, x, k=5):
    """The k likeliest classes of each image, (b,3,h,w) -> [[(name, probability), ...], ...]."""
    check_images(x)
    if not 1 <= k <= len(net.classes):
        raise ValueError(f"Got k={k}; expected 1 to {len(net.classes)}, the number of classes.")
    with torch.no_grad():
        probability, index = net(x).softmax(1).topk(k)
    return [[(net.classes[i], p) for p, i in zip(*row, strict=True)] for row in zip(probability.tolist(), index.tolist(), strict=True)]


def class_index(net, name):
    """The number of a class by its name: class_index(net, "goose")."""
    if name not in net.classes:
        raise unknown("class", name, net.classes)
    return net.classes.index(name)


def fingerprint(tensors):
    """SHA-256 of the names and bytes of a state dict."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def save_weights(net, path, **facts):
    """Writes a CourseNet as float16 safetensors; the facts, its classes and a hash go into the metadata as JSON."""
    tensors = {name: t.half().contiguous() for name, t in net.state_dict().items() if not name.startswith("normalize")}
    facts |= {"classes": net.classes, "mean": net.normalize.mean.flatten().tolist(), "std": net.normalize.std.flatten().tolist(),
              "sha256": fingerprint(tensors)}
    save_file(tensors, path, metadata={key: json.dumps(value) for key, value in facts.items()})


def read_weights(path):
    """A file of save_weights -> (tensors, facts). Raises ValueError if it is missing or damaged."""
    if not Path(path).exists():
        raise ValueError(f"There is no {path}. Try `git checkout -- data`, or train it again: python -m helpers.recipes.coursenet.")
    try:
        with safe_open(path, "pt") as file:
            facts = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged: it cannot be read ({error}). Try `git checkout -- data`.") from None
    if fingerprint(tensors) != facts.get("sha256"):
        raise ValueError(f"{path} is damaged: its SHA-256 is {fingerprint(tensors)[:12]}..., expected {str(facts.get('sha256'))[:12]}.... "
                         "Try `git checkout -- data`.")
    return tensors, facts


def load_weights(path):
    """A file of save_weights -> CourseNet in float32, its `.facts` beside it."""
    tensors, facts = read_weights(path)
    net = CourseNet(facts["classes"], facts["mean"], facts["std"])
    missing, unexpected = net.load_state_dict({name: t.float() for name, t in tensors.items()}, strict=False)
    if unexpected or any(not name.startswith("normalize") for name in missing):
        raise ValueError(f"{path} is of another network: missing {missing}, unexpected {unexpected}.")
    net.facts = facts
    return net


# ---- torchvision's networks ----

def load_torchvision(name, weights):
    """One of torchvision's classifiers, taking [0, 1] images, none of its ReLUs in place, layers in the field's names."""
    from torchvision import models   # here, since importing torchvision takes seconds
    known = models.list_models(module=models)
    if name not in known:
        raise unknown("network", name, [*SHIPPED, *known])
    default = models.get_model_weights(name).DEFAULT
    if weights is not None:
        default = default if weights == "DEFAULT" else models.get_weight(weights)
        print(f"{name}: weights of {default.meta['_file_size']:.0f} MB, from torchvision or its cache")
    try:
        model = models.get_model(name, weights=weights and default)
    except (OSError, RuntimeError) as error:      # no network; a hash that does not match
        raise ValueError(f"The weights of {name} ({default.meta['_file_size']:.0f} MB) are not in the cache and could not be downloaded: {error}. "
                         f"Try load_net('coursenet'), which is shipped, or load_net({name!r}, weights=None) for random ones.") from None
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    normalize, classes = Normalize(*IMAGENET), default.meta["categories"]
    if isinstance(model, (models.AlexNet, models.VGG, models.SqueezeNet)):
        return Network([("normalize", normalize), *field_names(model, blocks=isinstance(model, models.VGG))], classes)
    # Others are no plain sequence: they keep their own names, and normalise before anything else.
    model.add_module("normalize", normalize)
    model.register_forward_pre_hook(lambda module, inputs: (module.normalize(inputs[0]),))
    model.classes = list(classes)
    return model


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
        number = {"avgpool": "", "flatten": "", "drop": drops}.get(kind, f"{block}_{k}" if in_block and kind != "pool" else block if in_block else k)
        named.append((f"{kind}{number}", module))
        if in_block and kind == "pool":
            block, k = block + 1, 0 if block < 5 else 5
    return named
