"""All attribution methods under one signature, and all methods of the course on one image.

A method is a function of a network, images (b,3,h,w), and the class of each (b,), and gives maps
(b,h,w). Windows and blurs grow with the images.
"""

from functools import partial

import torch

from helpers import attribution
from helpers.activations import activations
from helpers.adversarial import minimal_adversarial
from helpers.attribution import class_score
from helpers.drawing import heat, make_grid, overlay
from helpers.feature_visualization import maximize_class
from helpers.optimization import last
from helpers.parametrization import FourierImage
from helpers.segmentation import grabcut
from helpers.transforms import blur_maps, gaussian_blur, random_crop

LAYERS = [("relu3", "relu5"), ("block6", "block16")]     # a layer in the middle, and the last maps


def layers_of(net):
    """Return the names of two layers, one for activation maps and one for Grad-CAM."""
    return next(names for names in LAYERS if hasattr(net, names[0]))


def smooth_grad(net, x, classes):
    return attribution.smooth_grad(class_score(net, classes), x, samples=16, sigma=0.15,
                                   batch=2)


def integrated_gradients(net, x, classes):
    mean_color = x.mean((2, 3), keepdim=True)
    score = class_score(net, classes)
    parts = attribution.integrated_gradients(score, x, baseline=mean_color, steps=16, batch=2)
    return parts.sum(1).abs()


def guided_backprop(net, x, classes):
    with attribution.relu_backward("guided"):
        return attribution.saliency(class_score(net, classes), x)


def occlusion(net, x, classes):
    side = x.shape[-1]
    score = class_score(net, classes, partial(torch.log_softmax, dim=1))
    blurred = gaussian_blur(x, side / 14).clamp(0, 1)
    window = side * 3 // 32
    return attribution.occlusion(score, x, window=window, stride=window // 2, baseline=blurred,
                                 batch=8)


METHODS = {
    "saliency": lambda net, x, classes: attribution.saliency(class_score(net, classes), x),
    "SmoothGrad": smooth_grad,
    "integrated gradients": integrated_gradients,
    "guided backprop": guided_backprop,
    "Grad-CAM": lambda net, x, classes: attribution.grad_cam(net, x, layers_of(net)[1], classes),
    "occlusion": occlusion,
}


def all_methods(net, x, label):
    """Apply the methods to an image (1,3,h,w) and a class (1,), and yield (picture, caption)."""
    shown = layers_of(net)[0]
    maps = activations(net, x, shown)[0]
    strongest = maps[maps.mean((1, 2)).topk(9).indices]
    yield make_grid(torch.cat([heat(a) for a in strongest]), columns=3), f"maps of {shown}"
    found = {}
    for name, method in METHODS.items():
        m = found[name] = method(net, x, label)
        yield overlay(x, m.clamp(max=m.quantile(0.995))), name  # a few pixels leave the rest dark
    smooth = blur_maps(found["SmoothGrad"], x.shape[-1] / 32)
    mask = grabcut(x, smooth, unknown="foreground")
    yield torch.where(mask[:, None], x, 1.0), "GrabCut on SmoothGrad"
    yield visualize_class(net, label, x.shape[-1]), f"class visualization: {net.classes[label]}"
    attacked = minimal_adversarial(net, x, net(x).argmax(1), step_size=x.shape[-1] / 320)
    name = net.classes[net(attacked).argmax(1)]
    yield attacked, f"adversarial, l2 {(attacked - x).norm():.1f}: {name}"


def visualize_class(net, label, side):
    """Visualize a class (1,) in the Fourier parametrization, seen in random crops with noise."""
    generator = torch.Generator().manual_seed(0)
    image = FourierImage.noise(side, side, generator=generator, device=label.device)

    def transform(x):
        seen = random_crop(x, 0.35, size=side * 6 // 7, generator=generator)
        return seen + 0.05 * torch.randn(seen.shape, generator=generator).to(x)

    adam = partial(torch.optim.Adam, lr=0.25)
    steps = maximize_class(net, label, steps=64, image=image, transform=transform, optimizer=adam)
    return last(steps).image
