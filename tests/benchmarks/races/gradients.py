"""Rows for notebook 2: guided backprop, Grad-CAM, one unit's gradient, class pictures, inversion."""

import torch
import torch.nn.functional as F
from races.common import LAST, alive, cat, error, in_half, network, ranks, world
from races.race import Race, close

from helpers.activations import activations
from helpers.ascent import ascend
from helpers.attribution import grad_cam, input_gradient, relu_backward
from helpers.inversion import invert
from helpers.losses import relative, total_variation
from helpers.nets import fast
from helpers.optimize import NormalizedGradient, descend, last
from helpers.param import FourierImage, PixelImage
from helpers.patches import top_patches, unit_gradient

ADAM = lambda p: torch.optim.Adam(p, lr=0.05)
STEPS = lambda p: NormalizedGradient(p, lr=1.0)     # Adam makes a large step of a rounding: results could not be compared


def maps():
    from captum.attr import GuidedBackprop, LayerGradCam
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net, x, rows, y = network("coursenet"), world(32), torch.arange(32), torch.arange(32) % 8 + 64
    score = lambda z: net(z)[rows, y]

    def guided():
        with relu_backward("guided"):
            return input_gradient(score, x)

    def bare():
        z = x.clone().requires_grad_()
        torch.autograd.grad(score(z).sum(), z)

    yield Race("guided backprop, coursenet, 32 pictures", guided, {"Captum": lambda: GuidedBackprop(net).attribute(x, target=y)},
               bare=bare, half=in_half(guided), agree=lambda a, b: ranks(a.abs().amax(1), b.abs().amax(1)))

    cam = lambda: grad_cam(net, x, "relu5", lambda out: out[rows, y])
    body, head = torch.nn.Sequential(*list(net)[:index_of(net, "relu5")]), torch.nn.Sequential(*list(net)[index_of(net, "relu5"):])

    def captum():
        small = LayerGradCam(net, net.relu5).attribute(x, target=y, relu_attributions=True)
        return F.interpolate(small, x.shape[2:], mode="bilinear")[:, 0]

    def others():
        live = alive("coursenet")
        with GradCAM(live, [live.relu5]) as made:
            return torch.from_numpy(made(x, [ClassifierOutputTarget(k) for k in y.tolist()]))

    def head_alone():
        with torch.no_grad():
            maps = body(x)
        maps.requires_grad_()
        torch.autograd.grad(head(maps)[rows, y].sum(), maps)

    def stretched(ours, theirs):        # theirs are from 0 to 1, and enlarged by OpenCV
        low, high = ours.amin((1, 2), keepdim=True), ours.amax((1, 2), keepdim=True)
        close((ours - low) / (high - low).clamp(min=1e-7), theirs, atol=0.02)

    yield Race("Grad-CAM, coursenet, 32 pictures", cam, {"Captum": captum, "pytorch-grad-cam": others}, {"pytorch-grad-cam": 2},
               head_alone, in_half(cam), {"pytorch-grad-cam": stretched}, ranks)


def index_of(net, layer):
    """How many modules a sequence has up to and with this one."""
    return list(dict(net.named_children())).index(layer) + 1


def units():
    """The guided gradient of one channel's strongest unit in its nine best patches: by whole pictures, and of what the unit sees alone."""
    pictures = torch.cat([cat(224).roll((31 * n, 17 * n), (2, 3)) for n in range(12)])
    for name, layer, channel in [("vgg16", "conv3_3", 5), ("efficientnet-lite0", "block5", 3)]:
        net = network(name)
        tops = top_patches(net, pictures, layer, batch=4)
        x, at = pictures[tops.indices[channel]], tops.units[channel]

        def ours(net=net, x=x, at=at, layer=layer, channel=channel):
            with relu_backward("guided"):
                return unit_gradient(net, x, layer, channel, at)

        def whole(net=net, x=x, at=at, layer=layer, channel=channel):
            unit = lambda z: activations(net, z, layer)[layer][torch.arange(len(z)), channel, *at.T]
            with relu_backward("guided"):
                return input_gradient(unit, x)

        def same(ours, theirs):
            assert (ours - theirs).norm() <= 1e-5 * theirs.norm(), (ours - theirs).norm() / theirs.norm()

        yield Race(f"guided gradient of one unit of {name}'s {layer}, nine pictures of 224 px", ours, {"whole pictures": whole},
                   {"whole pictures": 8}, same=same)


def ascents():
    """Ten steps with the same parametrisation, optimizer and loss; lucent has the network as it comes, and frozen as ours is."""
    from lucent.optvis import objectives
    from lucent.optvis.render import render_vis

    def lucent(net, objective, start):
        image = start()
        size = image().shape[2]
        made = render_vis(net, objective, lambda: (list(image.parameters()), image), ADAM, transforms=[], thresholds=(10,),
                          preprocess=False, progress=False, show_image=False, fixed_image_size=size if size < 224 else None)
        for module in net.modules():        # its hooks stay
            module._forward_hooks.clear()
        return torch.from_numpy(made[0]).permute(0, 3, 1, 2)

    def of_layer(name, layer, loss):
        def ours(image, exact):
            def whole(x):
                with fast(x.device, exact=exact):
                    return loss(activations(network(name), x.contiguous(**LAST), layer)[layer].float())
            return last(descend(image, whole, steps=10, optimizer=ADAM)).image
        return ours

    def of_class(image, exact):
        return last(ascend(network("coursenet"), [3], image=image, steps=10, optimizer=ADAM, exact=exact)).image

    rows = [("class picture", "coursenet", 64, objectives.channel("fc8", 3), 1.2, of_class),
            ("channel of conv3_3", "vgg16", 224, objectives.channel("conv3_3", 5), 1.6,
             of_layer("vgg16", "conv3_3", lambda a: -a[:, 5].mean())),
            ("DeepDream of block6", "efficientnet-lite0", 224, lambda T: -T("block6").square().mean(), 1.6,
             of_layer("efficientnet-lite0", "block6", lambda a: -a.square().mean()))]
    for work, name, size, objective, asked, ours in rows:
        start = lambda size=size: FourierImage.noise(size, size, generator=torch.Generator().manual_seed(0))
        peers = {"lucent": lambda name=name, objective=objective, start=start: lucent(alive(name), objective, start),
                 "lucent, parameters frozen": lambda name=name, objective=objective, start=start: lucent(network(name), objective, start)}
        yield Race(f"{work}, {name}, {size} px, 10 steps", lambda ours=ours, start=start: ours(start(), True), peers, {"lucent": asked},
                   half=lambda ours=ours, start=start: ours(start(), False), same=alike, agree=error)


def alike(ours, theirs):
    """Pictures after some steps, on which roundings grow: to 1% of their length."""
    apart = ((ours - theirs).norm() / ours.norm()).item()
    assert apart < 0.01, f"They are {apart:.1%} apart."


def inversions():
    """Ten steps; the plain loop runs the whole network, keeps a layer by a hook, and its backward() reaches live parameters."""
    for name, layer, size in [("coursenet", "relu3", 64), ("efficientnet-lite0", "block5", 224)]:
        x = cat(size)
        start = lambda size=size: PixelImage.noise(size, size, generator=torch.Generator().manual_seed(0))
        ours = lambda name=name, layer=layer, x=x, start=start: last(
            invert(network(name), x, layer, image=start(), steps=10, optimizer=STEPS)).image

        def loop(name=name, layer=layer, x=x, start=start):
            with torch.no_grad():
                target = activations(network(name), x, layer)[layer]
            loss = lambda found, z: relative(found[layer] - target, target) + 3e-4 * total_variation(z)
            return plain_loop(name, [layer], start(), loss)

        yield Race(f"inversion of {layer}, {name}, {size} px, 10 steps", ours, {"a plain loop": loop}, {"a plain loop": 1.5},
                   same=alike)


def plain_loop(name, layers, image, loss, steps=10):
    """What is often done: the whole network runs, hooks keep the layers, and backward() reaches the parameters too."""
    net, found = alive(name), {}
    modules = dict(net.named_modules())
    hooks = [modules[layer].register_forward_hook(lambda module, inputs, output, layer=layer: found.update({layer: output}))
             for layer in layers]
    optimizer = STEPS(image.parameters())
    for _ in range(steps):
        image.zero_grad(), net.zero_grad()
        z = image()
        net(z)
        loss(found, z).sum().backward()
        optimizer.step()
        image.project()
    for hook in hooks:
        hook.remove()
    return image().detach()


RACES = [maps, units, ascents, inversions]
