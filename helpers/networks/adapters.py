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
ALEXNET = ("conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 avgpool "
           "flatten drop1 fc6 relu6 drop2 fc7 relu7 fc8").split()
VGG_CLASSIFIER = "avgpool flatten fc6 relu6 drop1 fc7 relu7 drop2 fc8".split()
VGG_KINDS = {nn.Conv2d: "conv", nn.BatchNorm2d: "bn", nn.ReLU: "relu", nn.MaxPool2d: "pool"}


def load_torchvision(name, weights):
    """Load a convolutional classifier of torchvision; no ReLU works in place.

    Raises KeyError for an unknown name, ValueError for transformers.
    """
    if name not in models.list_models(module=models):
        ours = ["coursenet", "coursenet-robust", "efficientnet-lite0"]
        raise unknown_name("network", name, [*ours, *models.list_models(module=models)])
    model = models.get_model(name, weights=weights)
    if not isinstance(model, FAMILIES):
        raise ValueError(f"Got {name}; expected a convolutional network such as alexnet, vgg16, "
                         "resnet18, googlenet, densenet121, mobilenet_v2, or efficientnet_b0.")
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return with_normalization(model)


def with_normalization(model):
    """Put the normalization inside; chains get the field's layer names, others keep theirs."""
    normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
    if isinstance(model, CHAINS):
        layers = [*model.features, model.avgpool, nn.Flatten(), *model.classifier]
        names = ALEXNET if isinstance(model, models.AlexNet) else vgg_names(model.features)
        named = zip(["normalize", *names], [normalize, *layers], strict=True)
        return nn.Sequential(OrderedDict(named))
    model.add_module("normalize", normalize)
    model.register_forward_pre_hook(lambda net, inputs: (net.normalize(inputs[0]),))
    return model


def vgg_names(features):
    """Name the layers of VGG, whose blocks end in pooling: conv1_1, relu1_1, pool1, conv2_1, ..."""
    names = []
    block = 1
    number = 0
    for module in features:
        kind = VGG_KINDS[type(module)]
        if kind == "conv":
            number += 1
        names.append(f"{kind}{block}" if kind == "pool" else f"{kind}{block}_{number}")
        if kind == "pool":
            block += 1
            number = 0
    return names + VGG_CLASSIFIER
