"""Load networks by name. All take images from 0 to 1 and normalize inside."""

from helpers.activations import layer_names
from helpers.networks.coursenet import CourseNet, Normalize
from helpers.networks.registry import (
    class_index,
    imagenet_classes,
    is_downloaded,
    load_net,
    random_network,
    top_classes,
)
from helpers.networks.weights import DATA, read_weights, write_weights
