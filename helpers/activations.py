"""What the layers of a network compute."""

from threading import get_ident

from helpers.errors import unknown


class Enough(Exception):
    """Raised by the last hook, so that no layer after it runs."""


def layers(net):
    """The layers of a network, dict name -> module, in the order of the network."""
    return {name: module for name, module in net.named_modules() if name and name not in ("normalize", "flatten")}


def find_layer(net, name):
    """A layer by its name -> module; raises KeyError with the closest names if there is none."""
    known = layers(net)
    if name not in known:
        raise unknown("layer", name, known)
    return known[name]


def activations(net, x, names):
    """Outputs of some layers, images (b,3,h,w) -> dict name -> tensor.

    `names` is a list of layer names (see `layer_names`), or one name. The network stops after the last of them.
    Differentiable; of a layer that runs more than once, the first output. To change one in place, take a clone of it.
    Raises KeyError for an unknown layer.
    """
    names, here = [names] if isinstance(names, str) else list(names), get_ident()
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
