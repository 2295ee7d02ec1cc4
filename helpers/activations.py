"""What the layers of a network compute."""

from threading import get_ident

from torch import nn

from helpers.errors import describe, unknown

CHANGING = nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd      # layers that compute something else while training


class Enough(Exception):
    """Raised by the last hook, so that no layer after it runs."""


def check_net(net):
    if not isinstance(net, nn.Module):
        raise TypeError(f"Got {describe(net)}; expected a network. Try load_net('coursenet').")


def check_eval(net):
    """Raises TypeError unless net is a network, ValueError if an answer would depend on the batch or on chance, as while training."""
    check_net(net)
    changing = lambda module: isinstance(module, CHANGING) or type(module).__name__ == "StochasticDepth"       # the last is torchvision's
    if net.training and any(changing(module) and module.training for module in net.modules()):
        raise ValueError("Got a network in training mode, with batch norm or dropout; expected eval mode. Try net.eval().")


def layers(net):
    """The layers of a network, dict name -> module, in the order of the network."""
    check_net(net)
    return {name: module for name, module in net.named_modules() if name and name not in ("normalize", "flatten")}


def find_layer(net, name):
    """A layer by its name -> module; raises KeyError with the closest names if there is none."""
    known = layers(net)
    if name not in known:
        raise unknown("layer", name, known)
    return known[name]


def name_list(names):
    """One name, or several -> a list; what is neither becomes a name that `find_layer` does not know."""
    return list(names) if hasattr(names, "__iter__") and not isinstance(names, str) else [names]


def activations(net, x, names):
    """Outputs of some layers, images (b,3,h,w) -> dict name -> tensor.

    `names` is a list of layer names (see `layer_names`), or one name. The network stops after the last of them.
    Differentiable; of a layer that runs more than once, the first output. To change one in place, take a clone of it.
    Raises KeyError for an unknown layer, ValueError for a network in training mode.
    """
    check_eval(net)
    names, here = name_list(names), get_ident()
    modules, found, hooks = {name: find_layer(net, name) for name in names}, {}, []

    def keep(name):
        def hook(module, inputs, output):
            if get_ident() != here or name in found:    # a board or a player uses the same network in a thread of its own
                return
            # A copy, since a layer that follows may work in place; after the last none does, unless it only passed on what came in.
            last = len(found) + 1 == len(hooks) and output is not inputs[0]
            found[name] = output if last else output.clone()
            if len(found) == len(hooks):
                raise Enough
        return hook

    try:
        for name, module in modules.items():        # one by one: a list of them would be lost if it is interrupted
            hooks.append(module.register_forward_hook(keep(name)))
        net(x)
    except Enough:
        pass
    finally:
        here = None         # a hook that an interrupt leaves behind does nothing
        for hook in hooks:
            hook.remove()
    return {name: found[name] for name in names}
