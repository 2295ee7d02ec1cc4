"""From which map should GrabCut take its seeds?  python -m helpers.recipes.seeds [--scenes N] [--write]

Masks of scenes by GrabCut, from maps of the pair and from maps that know nothing, with the open pixels started as ground and as object;
on scenes as they are, whose objects stand near the middle, and on others whose objects stand in a corner. With --write the
figures go into data/seeds.json, which the notebook shows.
"""

import argparse
import time
import warnings
from functools import partial

import torch

from helpers.attribution import grad_cam, occlusion, saliency, smooth_grad
from helpers.evaluation import bootstrap, mask_iou
from helpers.nets import DATA, PHOTOGRAPHS, load_net
from helpers.recipes.league import own
from helpers.recipes.marks import write_figures
from helpers.rivals import centre, edges, untrained
from helpers.segmentation import grabcut
from helpers.transforms import blur_maps, gaussian_blur
from helpers.world.scenes import render_scenes, scenes


def in_corners(n):
    """Scenes whose object stands in one of the four corners, drawn by chance."""
    across, down = torch.randint(2, (2, n), generator=torch.Generator().manual_seed(0)).float().tolist()
    return render_scenes(range(20_000, 20_000 + n), seed=3, left=across, top=down)


def of_five(net, x):
    """The sum of the maps of the network's five likeliest classes, (b,3,h,w) -> (b,h,w)."""
    likely = net(x).topk(5).indices
    return sum(saliency(own(net, k), x) for k in likely.T)


def at_most_one(maps):
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)


def maps_of(nets, x, k):
    """All maps for images (b,3,h,w) and their classes (b,), dict name -> (b,h,w)."""
    found = {"the middle": centre(x), "edges, blurred": blur_maps(edges(x), 2)}
    for name, net in nets.items():
        score = own(net, k)
        found[f"{name}: gradient"] = m = saliency(score, x)
        found[f"{name}: gradient, blurred"] = blur_maps(m, 2)
        if name == "untrained":
            continue
        found[f"{name}: gradient, blurred, times the middle"] = at_most_one(blur_maps(m, 3)) * centre(x)
        found[f"{name}: SmoothGrad, blurred"] = blur_maps(smooth_grad(score, x, samples=16, sigma=0.15), 2)
        found[f"{name}: five classes, blurred"] = blur_maps(of_five(net, x), 2)
        found[f"{name}: Grad-CAM"] = grad_cam(net, x, "relu5", own(lambda y: y, k))
        log_probability = own(net, k, partial(torch.log_softmax, dim=1))
        found[f"{name}: occlusion"] = occlusion(log_probability, x, window=16, stride=4, baseline=gaussian_blur(x, 4)).clamp(min=0)
    return found


def cut_out(images, maps, start):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")         # where a map has no seeds, its brightest part is the mask
        return torch.cat([grabcut(x[None], m[None], unknown=start) for x, m in zip(images, maps, strict=True)])


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.seeds", description=__doc__.split("\n\n")[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="put the figures into data/seeds.json")
    args = parser.parse_args(argv)
    nets = {"untrained": untrained("coursenet"), "coursenet": load_net("coursenet"), "robust": load_net("coursenet-robust")}
    worlds, found = {"as they are": scenes()[list(range(args.scenes))], "in a corner": in_corners(args.scenes)}, {}
    for place, world in worlds.items():
        begin, parts = time.perf_counter(), {}
        for x, k in zip(world.images.split(20), (world.labels + PHOTOGRAPHS).split(20), strict=True):
            for name, m in maps_of(nets, x, k).items():
                parts.setdefault(name, []).append(m)
        iou = {name: torch.stack([mask_iou(cut_out(world.images, torch.cat(m), start), world.masks) for start in ("ground", "object")])
               for name, m in parts.items()}
        for name, values in iou.items():
            gain = values - iou["the middle"]
            found.setdefault(name, {})[place] = {
                start: {"mean": v.mean().item(), "better than the middle": [g.mean().item(), low.item(), high.item()]}
                for start, v, g, low, high in zip(("ground", "object"), values, gain, *bootstrap(gain), strict=True)}
        print(f"\n{place}: {args.scenes} scenes, {time.perf_counter() - begin:.0f} s")
        for name in iou:
            print(f"{name:44}" + "".join(f"{start} {f['mean']:.2f}   " for start, f in found[name][place].items()), flush=True)
    if args.write:
        command = f"python -m helpers.recipes.seeds --scenes {args.scenes} --write"
        write_figures(DATA / "seeds.json", {"command": command, "scenes": args.scenes, "maps": found})


if __name__ == "__main__":
    main()
