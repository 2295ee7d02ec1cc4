"""Networks by name, and the names of their classes."""

from pathlib import Path

import torch

from helpers.activations import check_eval
from helpers.errors import unknown_name
from helpers.images import check_images
from helpers.networks.coursenet import load_coursenet
from helpers.networks.efficientnet import load_efficientnet_lite0
from helpers.networks.weights import DATA


def load_net(name="coursenet", *, weights="DEFAULT"):
    """Load a network by name, frozen and in eval mode: images (b,3,h,w) from 0 to 1 -> logits.

    "coursenet" and "coursenet-robust" have 72 classes at 64 pixels, "efficientnet-lite0" has
    ImageNet's 1,000 at 224 pixels. From torchvision, AlexNet, VGG, SqueezeNet, ResNet, GoogLeNet,
    DenseNet, MobileNet, and EfficientNet work ("vgg16"); their weights are downloaded once.
    `weights=None` gives random weights. Raises KeyError for an unknown name, ValueError for
    weights that are missing or damaged.
    """
    if name in ("coursenet", "coursenet-robust"):
        net = load_coursenet(name, trained=weights is not None)
    elif name == "efficientnet-lite0":
        net = load_efficientnet_lite0(imagenet_classes(), trained=weights is not None)
    else:
        from helpers.networks.adapters import load_torchvision  # torchvision takes seconds

        net = load_torchvision(name, weights)
        net.classes = imagenet_classes()
    return net.eval().requires_grad_(False)


def random_network(name, *, seed=0):
    """Return a randomly initialized network: the baseline for what training adds (Adebayo 2018)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return load_net(name, weights=None)


def is_downloaded(name):
    """Tell whether torchvision's weights of a network are in its cache already."""
    folder = Path(torch.hub.get_dir(), "checkpoints")
    return any(folder.glob(f"{name}-*.pth"))


def imagenet_classes():
    """Return the names of ImageNet's 1,000 classes in the order that all networks use."""
    return (DATA / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()


def class_index(net, name):
    """Return the index of a class by its name: class_index(net, "goose"). Raises KeyError."""
    if name not in net.classes:
        raise unknown_name("class", name, net.classes)
    return net.classes.index(name)


@torch.no_grad()
def top_classes(net, x, k=5):
    """List the k most probable classes of each image (b,3,h,w): [[(name, probability), ...]]."""
    check_eval(net)
    check_images(x)
    probability, index = net(x).softmax(1).topk(k)
    rows = zip(probability.tolist(), index.tolist())
    return [[(net.classes[i], p) for p, i in zip(*row)] for row in rows]
