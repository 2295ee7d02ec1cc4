"""What the basics cost on this machine, in median times; beside others, and beside what cannot be avoided, see peers.py."""

import time

import torch

from helpers.activations import activations
from helpers.attribution import occlusion, saliency
from helpers.nets import load_net
from helpers.optimize import descend
from helpers.param import PixelImage
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


if __name__ == "__main__":
    main()
