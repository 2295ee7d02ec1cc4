"""CourseNet, AlexNet's shape for small images: the network that the course measures with."""

from collections import OrderedDict

import torch
from torch import nn

from helpers.errors import describe
from helpers.networks.weights import DATA, read_weights


class Normalize(nn.Module):
    """Compute (x - mean) / std for each color channel of images (b,3,h,w)."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, x):
        if x.ndim != 4 or x.shape[1] != 3 or not x.is_floating_point():
            raise ValueError(f"The network got {describe(x)}; it expects float images (b, 3, h, w) "
                             "from 0 to 1. Try x[None] for one image, x.float() / 255 for bytes.")
        return (x.to(self.mean.dtype) - self.mean) / self.std


class CourseNet(nn.Sequential):
    """Map images (b,3,h,w) from 0 to 1, at least 64 x 64, to logits (b,classes).

    AlexNet (Krizhevsky 2012) starts with stride 4 and a pooling layer; a 64 x 64 image can only
    afford stride 2. Batch norm and dropout, used in training, are folded away or left out.
    """

    def __init__(self, classes, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)):
        super().__init__(OrderedDict(
            normalize=Normalize(mean, std),
            conv1=nn.Conv2d(3, 32, 7, stride=2, padding=3),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(32, 64, 3, padding=1),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, stride=2, padding=1),
            conv3=nn.Conv2d(64, 128, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(128, 160, 3, padding=1),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(160, 192, 3, padding=1),
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(3, stride=2, padding=1),
            avgpool=nn.AdaptiveAvgPool2d(4),
            flatten=nn.Flatten(),
            fc6=nn.Linear(192 * 4 * 4, 512),
            relu6=nn.ReLU(),
            fc7=nn.Linear(512, 256),
            relu7=nn.ReLU(),
            fc8=nn.Linear(256, len(classes)),
        ))
        self.classes = list(classes)


def load_coursenet(name, *, trained=True):
    """Load "coursenet" or "coursenet-robust"; `metadata` says how it was trained."""
    tensors, metadata = read_weights(DATA / f"{name}.safetensors")
    net = CourseNet(metadata["classes"], metadata["mean"], metadata["std"])
    if trained:
        net.load_state_dict(tensors)
    net.metadata = metadata
    return net
