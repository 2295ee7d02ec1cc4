"""torchvision's classifiers, made to fit: images in [0, 1], the field's layer names, no ReLU in place."""

from pathlib import Path

import torch
from torch import nn

from helpers.errors import unknown
from helpers.network import Network, Normalize

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)    # mean and standard deviation that torchvision's networks expect


def load_torchvision(name, weights, *, also_known=()):
    """One of torchvision's classifiers, taking [0, 1] images, none of its ReLUs in place, layers in the field's names."""
    from torchvision import models  # not at the top: it takes seconds, and few calls need it

    known = models.list_models(module=models)
    if name not in known:
        raise unknown("network", name, [*also_known, *known])
    default = models.get_model_weights(name).DEFAULT
    if weights is not None:
        default = default if weights == "DEFAULT" else models.get_weight(weights)
        print(f"{name}: weights of {default.meta['_file_size']:.0f} MB, from torchvision or its cache")
    try:
        model = models.get_model(name, weights=weights and default)
    except (OSError, RuntimeError) as error:      # no network; a hash that does not match
        raise ValueError(f"The weights of {name} are not in the cache and could not be downloaded: {error}. "
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
        number = block if in_block and kind == "pool" else f"{block}_{k}" if in_block else k
        number = {"avgpool": "", "flatten": "", "drop": drops}.get(kind, number)
        named.append((f"{kind}{number}", module))
        if in_block and kind == "pool":
            block, k = block + 1, 0 if block < 5 else 5
    return named


def at_hand(name):
    """Are weights of one of torchvision's networks in its cache, so that nothing needs to be downloaded? By the file's name."""
    return any((Path(torch.hub.get_dir()) / "checkpoints").glob(f"{name}-*.pth"))
