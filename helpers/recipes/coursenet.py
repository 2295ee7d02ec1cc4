"""How CourseNet's weights were made:  python -m helpers.recipes.coursenet [--robust] [--data DIR]

Trains on photographs in the layout of Tiny ImageNet (some of its classes) together with rendered scenes. With
--robust, after some clean epochs, every image is attacked at each step (projected gradient ascent on the loss,
Madry 2018). Runs on one CPU, one GPU, or under torchrun on several; after an interruption --resume goes on.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from helpers.files import whole
from helpers.nets import CourseNet, fast, fold_batch_norms, save_weights
from helpers.optimize import project_l2, steepest
from helpers.recipes.checkpoints import resume_checkpoint, save_checkpoint
from helpers.recipes.tiny_imagenet import download, read_train, read_val
from helpers.world.scenes import SHAPES, render_scenes

SCENES = 8000
SEEDS = {False: 1, True: 2}     # each network has its own start and its own order of images


def arguments(argv=None):
    p = argparse.ArgumentParser(prog="python -m helpers.recipes.coursenet", description=__doc__.split("\n\n")[1],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--data", type=Path, help="a folder in the layout of Tiny ImageNet; without it, the original is downloaded (248 MB)")
    p.add_argument("--classes", type=Path, help="a file with the wnids to use, one a line; without it, the data's own wnids.txt")
    p.add_argument("--work", type=Path, default=Path("build/coursenet"), help="where checkpoints and rendered scenes go")
    p.add_argument("--out", type=Path, default=Path("data"), help="where the weights go")
    p.add_argument("--robust", action="store_true", help="train coursenet-robust")
    p.add_argument("--epochs", type=int, help="default 30; 20 if robust")
    p.add_argument("--clean", type=int, default=5, help="clean epochs before the attack begins, if robust")
    p.add_argument("--epsilon", type=float, default=1.0, help="l2 radius of the attack, in pixels of [0, 1]")
    p.add_argument("--attack-steps", type=int, default=2)
    p.add_argument("--lr", type=float, default=0.08, help="peak learning rate")
    p.add_argument("--weight-decay", type=float, default=5e-4)
    p.add_argument("--batch", type=int, default=128, help="images a step, over all devices")
    p.add_argument("--scenes", type=int, default=SCENES, help="rendered scenes to train on")
    p.add_argument("--seed", type=int, help="default 1; 2 if robust")
    p.add_argument("--resume", action="store_true", help="go on from the last whole epoch")
    args = p.parse_args(argv)
    args.epochs = args.epochs or (20 if args.robust else 30)
    args.seed = SEEDS[args.robust] if args.seed is None else args.seed
    args.name = "coursenet-robust" if args.robust else "coursenet"
    return args


# ---- data ----

def render_chunk(indices, seed):
    torch.set_num_threads(1)
    part = render_scenes(indices, seed=seed)
    return (part.images * 255).round().byte(), part.labels


def training_scenes(n, folder, seed=1):
    """n rendered scenes -> images (n,3,64,64) uint8, labels (n,). Another seed than the shipped ones, which only measure."""
    path = folder / f"scenes-{n}.pt"
    if not path.exists():
        chunks = [range(i, min(i + 100, n)) for i in range(0, n, 100)]
        with ProcessPoolExecutor(min(os.cpu_count(), len(chunks)), mp_context=get_context("spawn")) as pool:
            images, labels = zip(*pool.map(partial(render_chunk, seed=seed), chunks), strict=True)
        with whole(path) as beside:
            torch.save((torch.cat(images), torch.cat(labels)), beside)
    return torch.load(path, weights_only=True)


def augment(images, generator):
    """Random zoom, aspect, place and flip in one resampling, reflected at the borders: (b,3,h,w) -> the same shape."""
    draw = lambda low, high: low + (high - low) * torch.rand(len(images), generator=generator)
    zoom, stretch = draw(-0.22, 0.12).exp(), draw(-0.1, 0.1).exp()
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = zoom * stretch * (draw(-1, 1).sign())
    theta[:, 1, 1] = zoom / stretch
    theta[:, :, 2] = torch.stack([draw(-0.2, 0.2), draw(-0.2, 0.2)], 1)
    grid = F.affine_grid(theta.to(images.device), images.shape, align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


# ---- training ----

def attack(net, x, y, *, epsilon, steps, step_size, generator=None, exact=False):
    """Projected gradient ascent on the cross-entropy within an l2 ball round x and within [0, 1]: (b,3,h,w) -> the same."""
    start = steepest(torch.randn(x.shape, generator=generator), "l2") * torch.rand(len(x), 1, 1, 1, generator=generator)
    z = (x + epsilon * start.to(x.device)).clamp(0, 1)
    for _ in range(steps):
        z.requires_grad_()
        with fast(x.device, exact=exact):
            loss = F.cross_entropy(net(z.contiguous(memory_format=torch.channels_last)), y, reduction="sum")
        gradient, = torch.autograd.grad(loss, z)
        z = project_l2(z.detach() + step_size * steepest(gradient, "l2"), x, epsilon)
    return z


def accuracy(net, images, labels, *, epsilon=0.0, steps=20, batch=200, exact=False):
    """Share of uint8 images (n,3,h,w) that the network names right, top-1; attacked first if epsilon is not zero.

    In bf16 where that is fast, unless `exact`: then in float32, as the networks are used.
    """
    net.eval()
    device, right, generator = next(net.parameters()).device, 0, torch.Generator().manual_seed(0)
    for x, y in zip(images.split(batch), labels.split(batch), strict=True):
        x, y = x.to(device).float() / 255, y.to(device)
        if epsilon:
            x = attack(net, x, y, epsilon=epsilon, steps=steps, step_size=2.5 * epsilon / steps, generator=generator, exact=exact)
        with torch.no_grad(), fast(device, exact=exact):
            right += (net(x.contiguous(memory_format=torch.channels_last)).argmax(1) == y).sum().item()
    return right / len(images)


def train(args):
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    say = print if rank == 0 else lambda *_, **__: None
    args.work.mkdir(parents=True, exist_ok=True)
    for turn in range(2):   # what the first process fetches and renders is there for the others
        if (rank == 0) == (turn == 0):
            root, (scene_images, scene_labels) = args.data or download(args.work), training_scenes(args.scenes, args.work)
        if world > 1:
            dist.barrier()
    images, labels, names = read_train(root, args.classes)
    val_images, val_labels = read_val(root, args.classes)
    images, labels = torch.cat([images, scene_images]).to(device), torch.cat([labels, scene_labels + len(names)]).to(device)
    pixels = images[::4].float() / 255
    mean, std = [[round(v, 4) for v in s.tolist()] for s in (pixels.mean((0, 2, 3)), pixels.std((0, 2, 3)))]

    torch.manual_seed(args.seed)
    net = CourseNet([*names, *SHAPES], mean, std, for_training=True).to(device, memory_format=torch.channels_last)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    nn.init.normal_(net.fc8.weight, std=0.01)
    steps = len(images) // args.batch
    optimizer = torch.optim.SGD(net.parameters(), args.lr, momentum=0.9, nesterov=True, weight_decay=args.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=steps * args.epochs, pct_start=0.2)
    checkpoint, parts = args.work / f"{args.name}.pt", (net, optimizer, schedule)
    first, log = resume_checkpoint(checkpoint, device, *parts) if args.resume else (0, [])
    model = nn.parallel.DistributedDataParallel(net, [device] if device.type == "cuda" else None) if world > 1 else net

    for epoch in range(first, args.epochs):
        start, total = time.time(), 0.0
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1000 * args.seed + epoch))
        generator = torch.Generator().manual_seed(1_000_000 * (rank + 1) + 1000 * args.seed + epoch)
        torch.manual_seed(1_000_000 * (rank + 1) + 1000 * args.seed + epoch)   # for dropout, the same when resumed
        for step in range(steps):
            batch = order[step * args.batch:(step + 1) * args.batch][rank::world].to(device)
            x, y = augment(images[batch].float() / 255, generator), labels[batch]
            if args.robust and epoch >= args.clean:
                net.eval()      # the attack meets the network as it will be used
                x = attack(net, x, y, epsilon=args.epsilon, steps=args.attack_steps, generator=generator,
                           step_size=1.5 * args.epsilon / args.attack_steps)
            model.train()
            with fast(device):
                loss = F.cross_entropy(model(x.contiguous(memory_format=torch.channels_last)), y, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step(), schedule.step()
            total += loss.item()
        if rank == 0:
            log.append({"epoch": epoch + 1, "loss": round(total / steps, 4), "val": round(accuracy(net, val_images, val_labels), 4)})
            save_checkpoint(checkpoint, epoch + 1, log, *parts)
            pace = time.time() - start
            say(f"{args.name} epoch {epoch + 1}/{args.epochs}  loss {log[-1]['loss']:.3f}  val {log[-1]['val']:.1%}  "
                f"{pace:.0f} s, about {pace * (args.epochs - epoch - 1) / 60:.0f} min left", flush=True)
    if world > 1:
        dist.destroy_process_group()
    net = fold_batch_norms(net.cpu())
    net.log = log
    return net if rank == 0 else None


def main(argv=None):
    args = arguments(argv)
    net = train(args)
    if net is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        kept = {key: value for key, value in vars(args).items() if key not in ("data", "classes", "work", "out", "resume", "name")}
        save_weights(net, args.out / f"{args.name}.safetensors", recipe=kept, log=net.log)
        print(f"{args.name}: saved. Its figures: python -m helpers.recipes.measure")


if __name__ == "__main__":
    main()
