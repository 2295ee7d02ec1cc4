"""torchvision's classifiers, with normalization inside and layers under the field's names."""

from collections import OrderedDict

from torch import nn
from torchvision import models

from helpers.errors import unknown
from helpers.networks.coursenet import Normalize

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHAINS = (models.AlexNet, models.VGG, models.SqueezeNet)
FAMILIES = (*CHAINS, models.ResNet, models.GoogLeNet, models.DenseNet, models.MobileNetV2,
            models.MobileNetV3, models.EfficientNet)
KINDS = {
    nn.Conv2d: "conv",
    nn.BatchNorm2d: "bn",
    nn.ReLU: "relu",
    nn.MaxPool2d: "pool",
    nn.Linear: "fc",
    nn.Dropout: "drop",
    nn.AdaptiveAvgPool2d: "avgpool",
    nn.Flatten: "flatten",
}


def load_torchvision(name, weights):
    """Load a convolutional classifier of torchvision; no ReLU works in place.

    Raises KeyError for an unknown name, ValueError for other architectures (transformers, whose
    layers have no feature maps) and for weights that can't be downloaded.
    """
    if name not in models.list_models(module=models):
        ours = ["coursenet", "coursenet-robust", "efficientnet-lite0"]
        raise unknown("network", name, [*ours, *models.list_models(module=models)])
    choices = models.get_model_weights(name)
    chosen = choices[str(weights or "DEFAULT").split(".")[-1]]
    plain = {"init_weights": False} if weights is None and name == "googlenet" else {}
    try:
        model = models.get_model(name, weights=weights and chosen, **plain)
    except OSError as error:
        raise ValueError(f"The weights of {name} could not be downloaded ({error}). Try "
                         "load_net('coursenet'), which comes with the course.") from error
    if not isinstance(model, FAMILIES):
        raise ValueError(f"Got {name}; expected a convolutional network such as alexnet, vgg16, "
                         "resnet18, googlenet, densenet121, mobilenet_v2, or efficientnet_b0.")
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return with_normalization(model, chosen.meta["categories"])


def with_normalization(model, classes):
    """Put the normalization inside; chains get the field's layer names, others keep theirs."""
    normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
    if isinstance(model, CHAINS):
        blocks = isinstance(model, models.VGG)
        model = nn.Sequential(OrderedDict(normalize=normalize, **field_names(model, blocks=blocks)))
    else:
        model.add_module("normalize", normalize)
        model.register_forward_pre_hook(lambda net, inputs: (net.normalize(inputs[0]),))
    model.classes = list(classes)
    return model


def field_names(model, *, blocks):
    """Name the layers of AlexNet, VGG, or SqueezeNet in order: conv4, or with `blocks` conv4_2."""
    head = [*model.classifier, nn.Flatten()]
    if hasattr(model, "avgpool"):
        head = [model.avgpool, nn.Flatten(), *model.classifier]
    named = {}
    block = 1
    number = 0
    drops = 0
    for module in [*model.features, *head]:
        kind = KINDS.get(type(module), type(module).__name__.lower())
        in_block = blocks and block <= 5
        number += kind in ("conv", "fire", "fc")
        drops += kind == "drop"
        suffix = f"{block}_{number}" if in_block else str(number)
        if in_block and kind == "pool":
            suffix = str(block)
        if kind in ("avgpool", "flatten"):
            suffix = ""
        if kind == "drop":
            suffix = str(drops)
        named[kind + suffix] = module
        if in_block and kind == "pool":
            block += 1
            number = 0 if block <= 5 else 5
    return named
