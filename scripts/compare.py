"""Compare our methods with Captum's or a plain loop: results, then medians of alternating runs."""

import argparse
import time
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop, LayerGradCam, Occlusion, Saliency

from helpers.activations import activations
from helpers.attribution import grad_cam, occlusion, relu_backward, saliency
from helpers.losses import content_loss, style_loss, total_variation
from helpers.networks import load_net
from helpers.optimization import last
from helpers.scenes import scenes
from helpers.style import style_features, style_grams, style_transfer
from helpers.transforms import reflect_pad_crop

K = 70      # the class whose score is explained
close = partial(torch.testing.assert_close, rtol=1e-3, atol=1e-4)


def occlusion_row(net, x):
    windows = {"sliding_window_shapes": (3, 8, 8), "strides": (3, 4, 4), "baselines": 0.5}
    captum = lambda batch: lambda: Occlusion(net).attribute(
        x[:1], **windows, target=K, perturbations_per_eval=batch)[:, 0]
    ours = lambda: occlusion(lambda z: net(z)[:, K], x[:1])
    return ours, {"Captum": captum(1), "Captum, 16 at once": captum(16)}, close


def saliency_row(net, x, rule="plain", method=Saliency):
    def ours():
        with relu_backward(rule):
            return saliency(lambda z: net(z)[:, K], x)

    leaf = x.clone().requires_grad_()
    captum = lambda: method(net).attribute(leaf, target=K).abs().amax(1)
    return ours, {"Captum": captum}, close


def grad_cam_row(net, x):
    def captum():
        maps = LayerGradCam(net, net.relu5).attribute(x, target=K, relu_attributions=True)
        return F.interpolate(maps, x.shape[2:], mode="bilinear")[:, 0]

    return lambda: grad_cam(net, x, "relu5", K), {"Captum": captum}, close


def style_row(net, x, steps=10):
    layers = ["pixels", "relu1", "relu3"]
    content = x[:1]
    grams = style_grams(net, x[1:2], layers)

    def plain_loop():
        generator = torch.Generator().manual_seed(0)
        z = content.clone().requires_grad_()
        adam = torch.optim.Adam([z], lr=0.01)
        for _ in range(steps):
            seen, original = reflect_pad_crop(z, content, border=16, generator=generator)
            features = style_features(net, seen, layers)
            loss = content_loss(features["relu3"], activations(net, original, "relu3"))
            loss = loss + 10 * style_loss(features, grams)
            loss = loss + 0.3 * total_variation(z) / z[0, 0].numel()
            adam.zero_grad()
            loss.sum().backward()
            adam.step()
            z.data.clamp_(0, 1)
        return z.detach()

    options = {"content_layer": "relu3", "steps": steps}
    ours = lambda: last(style_transfer(net, content, grams, **options)).image
    return ours, {"plain loop": plain_loop}, close


ROWS = {
    "occlusion": occlusion_row,
    "saliency": saliency_row,
    "guided backprop": partial(saliency_row, rule="guided", method=GuidedBackprop),
    "Grad-CAM": grad_cam_row,
    "style transfer": style_row,
}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args(argv).repeats
    net = load_net("coursenet")
    for title, row in ROWS.items():
        ours, others, agree = row(net, scenes().images[:16])
        for name, theirs in others.items():
            agree(ours(), theirs())
            times = {ours: [], theirs: []}
            for run in [ours, theirs] * repeats:
                start = time.perf_counter()
                run()
                times[run].append(1000 * (time.perf_counter() - start))
            medians = [median(times[run]) for run in (ours, theirs)]
            print(f"{title}: {medians[0]:.1f} ms; {name}: {medians[1]:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
