"""The networks: our own CourseNet, and torchvision's by name. All take images in [0, 1] and normalise inside."""

from pathlib import Path

import torch
from torch import nn

from helpers.activations import layers
from helpers.errors import unknown
from helpers.images import check_images
from helpers.network import Network, Normalize
from helpers.torchvision_nets import load_torchvision
from helpers.weights import read_weights

DATA = Path(__file__).parent.parent / "data"
SHIPPED = ("coursenet", "coursenet-robust")


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
        net = load_torchvision(name, weights, also_known=SHIPPED)
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


def load_weights(path):
    """A file of save_weights -> CourseNet in float32, its `.facts` beside it."""
    tensors, facts = read_weights(path)
    net = CourseNet(facts["classes"], facts["mean"], facts["std"])
    own = {name: t for name, t in net.state_dict().items() if name.startswith("normalize")}
    try:
        net.load_state_dict(own | {name: t.float() for name, t in tensors.items()})
    except RuntimeError as error:
        raise ValueError(f"{path} holds another network: {error}") from None
    net.facts = facts
    return net
