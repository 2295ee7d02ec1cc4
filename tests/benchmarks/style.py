"""What textures and styles cost on this machine, and whether bf16 gains anything here and gives the same."""

import time

import torch

from helpers.activations import activations
from helpers.art import draw_style
from helpers.images import photos, resize
from helpers.losses import content_loss, gram_matrix, style_loss, total_variation
from helpers.nets import has_bf16, load_net
from helpers.optimize import descend, last
from helpers.param import PixelImage
from helpers.style import load_transform_net, style_grams, style_transfer
from helpers.texture import efros_leung

LAYERS = ["relu1", "relu2", "relu3", "relu4", "relu5"]


def seconds(f):
    start = time.perf_counter()
    result = f()
    return time.perf_counter() - start, result


def transfer(content, style, *, bf16, steps):
    """Style transfer from the content with the robust network -> the last loss, in float32 whatever the steps ran in."""
    net = load_net("coursenet-robust").to(memory_format=torch.channels_last)
    grams = {layer: gram_matrix(f) for layer, f in activations(net, style, LAYERS).items()}
    wanted = activations(net, content, "relu3")["relu3"]

    def loss(x, bf16=bf16):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            a = activations(net, x, LAYERS)
        return (content_loss(a["relu3"], wanted) + 3 * style_loss(a, grams) + 0.3 * total_variation(x) / x[0, 0].numel()).sum()
    *_, step = descend(PixelImage(content), loss, steps=steps, optimizer=lambda p: torch.optim.Adam(p, lr=0.04))
    return loss(step.image, bf16=False).item()


def main():
    content, style, source = photos()["temple"].load(192), draw_style("strokes"), resize(draw_style("woodcut"), 128)[..., 20:84, 20:84]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; bf16 in this processor: {has_bf16('cpu')}")
    for window in (5, 11, 23):
        time_grown, _ = seconds(lambda w=window: efros_leung(source, window=w))
        print(f"{f'efros_leung, 128 x 128 from 64 x 64, window {window}':62} {time_grown:.1f} s")
    time_full, _ = seconds(lambda: transfer(content, style, bf16=False, steps=200))
    print(f"{'style transfer, 192 pixels, 200 steps, float32':62} {time_full:.1f} s")
    if has_bf16("cpu"):
        print(f"{'the same in bf16':62} {seconds(lambda: transfer(content, style, bf16=True, steps=200))[0]:.1f} s")
    # The agreement can be measured everywhere, on a smaller picture where bf16 must be emulated.
    small, steps = (content, 200) if has_bf16("cpu") else (resize(content, 64), 40)
    full, half = (transfer(small, style, bf16=bf16, steps=steps) for bf16 in (False, True))
    print(f"{f'final loss of {steps} steps at {small.shape[2]} pixels, bf16 to float32':62} {half / full:.3f} times")
    big, temple = load_net("efficientnet-lite0").to(memory_format=torch.channels_last), photos()["temple"].load((320, 480))
    grams, how = style_grams(big, draw_style("strokes", 384)), {"sizes": (96, 144, 216, 320), "steps": (80, 60, 50, 40)}
    first = lambda exact: last(style_transfer(big, temple, grams, exact=exact, **how))
    print(f"{'style by EfficientNet-Lite0, 320 x 480, coarse to fine, float32':62} {seconds(lambda: first(True))[0]:.1f} s")
    if has_bf16("cpu"):
        print(f"{'the same in bf16':62} {seconds(lambda: first(False))[0]:.1f} s")
    painter, x = load_transform_net().to(memory_format=torch.channels_last), resize(content, 256)
    with torch.no_grad():
        times = sorted(seconds(lambda: painter(x, "strokes"))[0] for _ in range(12))
    print(f"{'the style network at 256 pixels':62} {1 / times[6]:.1f} pictures a second")


if __name__ == "__main__":
    main()
