"""torchvision's classifiers, with normalization inside and layers under the field's names."""

from collections import OrderedDict

from torch import nn
from torchvision import models

from helpers.errors import unknown_name
from helpers.networks.coursenet import Normalize

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHAINS = (models.AlexNet, models.VGG)
FAMILIES = (*CHAINS, models.SqueezeNet, models.ResNet, models.GoogLeNet, models.DenseNet,
            models.MobileNetV2, models.MobileNetV3, models.EfficientNet)
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
VGG_CLASSIFIER = ("fc6", "relu6", "drop1", "fc7", "relu7", "drop2", "fc8")


def load_torchvision(name, weights):
    """Load a convolutional classifier of torchvision; no ReLU works in place.

    Raises KeyError for an unknown name, ValueError for other architectures (transformers, whose
    layers have no feature maps) and for weights that can't be downloaded.
    """
    if name not in models.list_models(module=models):
        ours = ["coursenet", "coursenet-robust", "efficientnet-lite0"]
        raise unknown_name("network", name, [*ours, *models.list_models(module=models)])
    choices = models.get_model_weights(name)
    tag = "DEFAULT" if weights is None else str(weights).split(".")[-1]
    chosen = choices[tag]               # has the names of the classes, too
    options = {"weights": None if weights is None else chosen}
    if weights is None and name == "googlenet":
        options["init_weights"] = False         # its own initialization takes a minute
    try:
        model = models.get_model(name, **options)
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
        model = nn.Sequential(OrderedDict(normalize=normalize, **field_names(model)))
    else:
        model.add_module("normalize", normalize)
        model.register_forward_pre_hook(lambda net, inputs: (net.normalize(inputs[0]),))
    model.classes = list(classes)
    return model


def field_names(model):
    """Name the layers of AlexNet or VGG in order, {name: module}."""
    if isinstance(model, models.VGG):
        classifier = dict(zip(VGG_CLASSIFIER, model.classifier, strict=True))
        return block_names(model.features) | chain_names([model.avgpool, nn.Flatten()]) | classifier
    return chain_names([*model.features, model.avgpool, nn.Flatten(), *model.classifier])


def kind_of(module):
    """Return the field's word for a layer, without its number."""
    return KINDS[type(module)]


def block_names(features):
    """Name the layers of VGG, whose blocks end in pooling: conv1_1, relu1_1, pool1, conv2_1, ..."""
    named = {}
    block = 1
    number = 0
    for module in features:
        kind = kind_of(module)
        if kind == "conv":
            number += 1
        if kind == "pool":
            named[f"pool{block}"] = module
            block += 1
            number = 0
        else:
            named[f"{kind}{block}_{number}"] = module
    return named


def chain_names(modules):
    """Number layers by the last with weights: conv1, relu1, pool1, conv2; dropout by itself."""
    named = {}
    number = 0
    drops = 0
    for module in modules:
        kind = kind_of(module)
        if kind in ("conv", "fc"):
            number += 1
        if kind == "drop":
            drops += 1
            named[f"drop{drops}"] = module
        elif kind in ("avgpool", "flatten"):
            named[kind] = module
        else:
            named[f"{kind}{number}"] = module
    return named
