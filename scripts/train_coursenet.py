"""Train CourseNet on photographs and rendered scenes.

DATA has the layout of Tiny ImageNet. With --robust, after some clean epochs, every batch is
attacked by PGD on the loss (Madry 2018). Batch norm follows each layer while training, and is
folded into the layers at the end.

conv1 starts small. Because of its batch norm, the scale of its weights does not matter to the
output, but the larger they are, the smaller are their gradients: from the usual start, filters
hardly move, and still look like the noise that they started from.
"""

import argparse
import shutil
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from common import bf16_autocast, resume_checkpoint, save_checkpoint
from helpers.networks import DATA, CourseNet, write_weights
from helpers.optimization import normalize_gradient, project_l2
from helpers.scenes import SHAPES, render_scenes
from tiny_imagenet import read_train, read_val

SCENES = 8000
LEARNING_RATE = 0.08    # the peak of one cycle
CLEAN_EPOCHS = 4        # of a robust training
EPSILON = 1.0           # l2 radius of its attack
ATTACK_STEPS = 1


def training_scenes():
    """Render scenes with another seed than the shipped ones: (n,3,64,64) uint8, (n,)."""
    scenes = render_scenes(SCENES, seed=1)
    return (scenes.images * 255).round().byte(), scenes.labels


def augment(images, generator):
    """Zoom, stretch, shift, and flip images (b,3,h,w) at random, with reflection at the borders."""
    draw = lambda low, high: low + (high - low) * torch.rand(len(images), generator=generator)
    zoom = draw(-0.22, 0.12).exp()
    stretch = draw(-0.1, 0.1).exp()
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = zoom * stretch * draw(-1, 1).sign()
    theta[:, 1, 1] = zoom / stretch
    theta[:, :, 2] = torch.stack([draw(-0.2, 0.2), draw(-0.2, 0.2)], 1)
    grid = F.affine_grid(theta.to(images.device), images.shape, align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def with_batch_norm(net):
    """Return the layers of a CourseNet with batch norm after all but the last, and dropout."""
    layers = OrderedDict()
    for name, layer in net.named_children():
        layers[name] = layer
        number = name[-1]
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and name != "fc8":
            layer.bias = None       # batch norm has one
            norm = nn.BatchNorm2d if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d
            layers[f"bn{number}"] = norm(len(layer.weight))
        if name in ("relu6", "relu7"):
            layers[f"drop{number}"] = nn.Dropout(0.25)
    return nn.Sequential(layers)


def initialize(net, conv1_scale):
    """Initialize as He 2015, with a smaller conv1 (see above) and a smaller last layer."""
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    nn.init.normal_(net.fc8.weight, std=0.01)
    net.conv1.weight.data *= conv1_scale


def fold(net, coursenet):
    """Fold batch norms into the layers before them, and put these into a CourseNet."""
    for name, norm in net.named_children():
        if name.startswith("bn"):
            conv = name in ("bn1", "bn2", "bn3", "bn4", "bn5")
            layer = name.replace("bn", "conv" if conv else "fc")
            fuse = fuse_conv_bn_eval if conv else fuse_linear_bn_eval
            setattr(coursenet, layer, fuse(net.get_submodule(layer), norm))
    return coursenet.eval().requires_grad_(False)


def keep_filters(net, path, epoch):
    """Add conv1's weights after an epoch (0: the start) to a small file, as float16."""
    kept = load_file(path) if epoch and path.exists() else {}
    kept[f"epoch{epoch}"] = net.conv1.weight.detach().half().cpu().contiguous()
    save_file(kept, path)


def attack(net, x, y, *, epsilon, steps, step, generator):
    """Ascend the cross-entropy within an l2 ball around x by PGD, (b,3,h,w) -> (b,3,h,w)."""
    direction = normalize_gradient(torch.randn(x.shape, generator=generator), "l2")
    start = direction * torch.rand(len(x), 1, 1, 1, generator=generator)
    z = (x + epsilon * start.to(x.device)).clamp(0, 1)
    for _ in range(steps):
        z.requires_grad_()
        loss = F.cross_entropy(net(z), y, reduction="sum")
        gradient, = torch.autograd.grad(loss, z)
        z = project_l2(z.detach() + step * normalize_gradient(gradient, "l2"), x, epsilon)
    return z


def accuracy(net, images, labels, *, epsilon=0.0, steps=20, batch=200):
    """Measure the top-1 accuracy on uint8 images (n,3,h,w), attacked first if epsilon is not 0."""
    device = next(net.parameters()).device
    generator = torch.Generator().manual_seed(0)
    correct = 0
    for x, y in zip(images.split(batch), labels.split(batch)):
        x, y = x.to(device).float() / 255, y.to(device)
        if epsilon:
            x = attack(net, x, y, epsilon=epsilon, steps=steps, step=2.5 * epsilon / steps,
                       generator=generator)
        with torch.no_grad():
            correct += (net(x).argmax(1) == y).sum().item()
    return correct / len(images)


def train_epoch(net, optimizer, schedule, images, labels, epoch, args):
    """Train one epoch, and return its mean loss."""
    seed = 1000 * args.seed + epoch
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    torch.manual_seed(1_000_000 + seed)     # for dropout, the same after --resume

    def forward(x):
        with bf16_autocast(x.device):
            return net(x.contiguous(memory_format=torch.channels_last)).float()

    losses = []
    for batch in order.split(args.batch)[:len(images) // args.batch]:
        batch = batch.to(images.device)
        x = augment(images[batch].float() / 255, generator)
        y = labels[batch]
        if args.robust and epoch >= CLEAN_EPOCHS:
            net.eval()
            x = attack(forward, x, y, epsilon=EPSILON, steps=ATTACK_STEPS,
                       step=1.5 * EPSILON / ATTACK_STEPS, generator=generator)
        net.train()
        loss = F.cross_entropy(forward(x), y, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
    net.eval()
    return torch.stack(losses).mean().item()


def one_cycle(net, steps):
    """Make the optimizer and its schedule, one cycle of the learning rate (Smith 2018)."""
    optimizer = torch.optim.SGD(net.parameters(), LEARNING_RATE, momentum=0.9, nesterov=True,
                                weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR
    return optimizer, schedule(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.2)


def train(args):
    """Train, with a checkpoint after each epoch, and return the folded network and the log."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    photographs, labels, names = read_train(args.data)
    scenes, shapes = training_scenes()
    val_images, val_labels, _ = read_val(args.data)
    images = torch.cat([photographs, scenes]).to(device)
    labels = torch.cat([labels, shapes + len(names)]).to(device)
    pixels = images[::4].float() / 255
    mean = [round(value, 4) for value in pixels.mean((0, 2, 3)).tolist()]
    std = [round(value, 4) for value in pixels.std((0, 2, 3)).tolist()]
    torch.manual_seed(args.seed)
    folded = CourseNet([*names, *SHAPES], mean, std)
    net = with_batch_norm(folded)
    initialize(net, args.conv1_scale)
    net.to(device, memory_format=torch.channels_last)
    parts = (net, *one_cycle(net, len(images) // args.batch * args.epochs))
    checkpoint = args.work / f"{args.name}.pt"
    filters = args.work / f"{args.name}-filters.safetensors"
    first, log = resume_checkpoint(checkpoint, device, *parts) if args.resume else (0, [])
    if first == 0:
        keep_filters(net, filters, 0)
    for epoch in range(first, args.epochs):
        loss = train_epoch(*parts, images, labels, epoch, args)
        top1 = accuracy(net, val_images, val_labels)
        log.append({"epoch": epoch + 1, "loss": round(loss, 4), "val": round(top1, 4)})
        if epoch + 1 in (1, 3, 10, args.epochs):
            keep_filters(net, filters, epoch + 1)
        save_checkpoint(checkpoint, epoch + 1, log, *parts)
        print(args.name, log[-1], flush=True)
    return fold(net.cpu().eval(), folded), log


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/coursenet"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=DATA, help="weights")
    parser.add_argument("--robust", action="store_true")
    parser.add_argument("--epochs", type=int, help="default: 30, or 24 if robust")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--conv1-scale", type=float, default=0.05)
    parser.add_argument("--resume", action="store_true", help="go on from the last whole epoch")
    args = parser.parse_args(argv)
    args.name = "coursenet-robust" if args.robust else "coursenet"
    args.epochs = args.epochs or (24 if args.robust else 30)
    args.seed = 2 if args.robust else 1     # each has its own start and its own order of images
    args.work.mkdir(parents=True, exist_ok=True)
    net, log = train(args)
    recipe = {key: getattr(args, key) for key in ("epochs", "batch", "conv1_scale", "seed")}
    metadata = {"classes": net.classes, "mean": net.normalize.mean.flatten().tolist(),
                "std": net.normalize.std.flatten().tolist(), "recipe": recipe, "log": log}
    write_weights(net.state_dict(), args.out / f"{args.name}.safetensors", **metadata)
    shutil.copy(args.work / f"{args.name}-filters.safetensors", args.out)


if __name__ == "__main__":
    main()
