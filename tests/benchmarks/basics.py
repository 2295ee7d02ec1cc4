"""What the basics cost on this machine: median times, and what our code adds to what cannot be avoided."""

import time

import torch

from helpers.activations import activations
from helpers.attribution import occlusion, saliency
from helpers.features import codes, nearest_neighbors
from helpers.nets import load_net
from helpers.optimize import NormalizedGradient, descend
from helpers.param import PixelImage
from helpers.patches import top_patches
from helpers.world.scenes import render_scenes, scenes


def median(f, repeats=15):
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return sorted(times[2:])[repeats // 2]


def main():
    net, x = load_net(), torch.rand(64, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    score, start = lambda x: net(x)[:, 0], torch.full((1, 3, 64, 64), 0.5)
    jobs = {
        "render 8 scenes": lambda: render_scenes(8, seed=9),
        "load the 1,504 shipped scenes": scenes,
        "load_net": load_net,
        "forward, 1 picture": lambda: net(x[:1]),
        "forward, 64 pictures": lambda: net(x),
        "activations up to conv1, 64 pictures": lambda: activations(net, x, "conv1"),
        "saliency, 1 picture": lambda: saliency(score, x[:1]),
        "saliency, 64 pictures": lambda: saliency(score, x),
        "occlusion, 1 picture, window 8, stride 4": lambda: occlusion(score, x[:1]),
        "10 steps of ascent": lambda: list(descend(PixelImage(start), lambda x: -score(x).mean(), steps=10)),
    }
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name, job in jobs.items():
        print(f"{name:42} {1000 * median(job):8.1f} ms")

    # In turns, so that both meet the same machine. Targets: 1.5 times the product, 1.05 times the forward passes.
    world = scenes().images
    spaces = {"pixels": world.flatten(1), **codes(net, world, ["relu5", "relu7"])}
    for name, f in spaces.items():
        compare(f"neighbours of {len(f)} in {len(f)}, {name}, to the product", lambda f=f: f @ f.T, lambda f=f: nearest_neighbors(f, f, 5))
    for layer in ("relu1", "relu3", "relu5"):
        compare(f"top_patches at {layer}, 256 pictures, to the forward passes",
                lambda layer=layer: [activations(net, part, layer) for part in world[:256].split(32)],
                lambda layer=layer: top_patches(net, world[:256], layer))
    # Target: 0.7. The network stops at the layer asked for, and its parameters are frozen.
    alive, inner = load_net().requires_grad_(), lambda x: -activations(net, x, "relu3")["relu3"][:, 0].mean()
    climb = lambda loss: list(descend(PixelImage(start), loss, steps=5))
    compare("5 steps of ascent on relu3, to those on the whole network with live parameters",
            lambda: whole_and_live(alive, start), lambda: climb(inner))


def whole_and_live(net, start):
    """What is often done: the whole network runs, a hook keeps a layer, and backward() reaches the parameters too."""
    found, x = [], start.clone().requires_grad_()
    hook = net.relu3.register_forward_hook(lambda module, inputs, output: found.append(output))
    optimizer = NormalizedGradient([x])
    with torch.enable_grad():
        for _ in range(5):
            x.grad = None
            found.clear()
            net(x)
            (-found[0][:, 0].mean()).backward()
            optimizer.step()
            x.data.clamp_(0, 1)
    hook.remove()


def compare(name, bare, ours, repeats=5):
    with torch.no_grad():
        pairs = [(median(bare, 1), median(ours, 1)) for _ in range(repeats)]
    print(f"{name:62} {sorted(b / a for a, b in pairs)[repeats // 2]:.2f} times")


if __name__ == "__main__":
    main()
