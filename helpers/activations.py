"""Read the output of any layer with a forward hook."""

from contextlib import ExitStack, suppress

from torch import nn

from helpers.errors import describe, unknown_name

# Layers that compute something else while training.
CHANGE_IN_TRAINING = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


class StopForward(Exception):
    """Raised by the last hook, so that no later layer runs."""


def layer_names(net):
    """Return the names of a network's layers in order: ["conv1", "relu1", ...]."""
    return [name for name, _ in net.named_modules() if name not in ("", "normalize", "flatten")]


def find_layer(net, name):
    """Return the module with this name; raises KeyError with the closest names if there is none."""
    if name not in layer_names(net):
        raise unknown_name("layer", name, layer_names(net))
    return net.get_submodule(name)


def check_eval(net):
    """Raise ValueError if batch norm or dropout of a network is in training mode."""
    for module in net.modules():
        if module.training and isinstance(module, CHANGE_IN_TRAINING):
            raise ValueError("Got a network in training mode, with batch norm or dropout; "
                             "expected eval mode. Try net.eval().")


def activations(net, x, layers):
    """Compute the outputs of layers for images (b,3,h,w): one name gives a tensor, several a dict.

    Differentiable. The network stops after the last of these layers. If a layer runs more than
    once, its first output counts. Raises KeyError for an unknown layer, ValueError for a network in
    training mode and for a layer whose output is neither (b,c,h,w) nor (b,d).
    """
    check_eval(net)
    names = [layers] if isinstance(layers, str) else list(layers)
    found = {}

    def keep(name):
        def hook(module, inputs, output):
            if name not in found:
                if getattr(output, "ndim", None) != 2:
                    check_maps(output, x, name)
                found[name] = output.clone()        # a later layer may work in place
            if len(found) == len(set(names)):
                raise StopForward
        return hook

    with ExitStack() as hooks, suppress(StopForward):
        for name in names:
            hooks.enter_context(find_layer(net, name).register_forward_hook(keep(name)))
        net(x)
    return found[layers] if isinstance(layers, str) else {name: found[name] for name in names}


def check_maps(output, x, layer):
    """Raise ValueError unless a layer's output is maps (b,c,h,w), shaped like the images."""
    if getattr(output, "ndim", None) == 4:
        aspect = output.shape[2] / output.shape[3]
        of_images = x.shape[2] / x.shape[3]
        if aspect == 1 or 2 / 3 < aspect / of_images < 3 / 2:   # false for most (b,h,w,channels)
            return
    raise ValueError(f"Layer {layer!r} gave {describe(output)}; expected feature maps "
                     "(b, channels, h, w). Try the last convolution.")
