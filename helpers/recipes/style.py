"""How the style network's weights were made:  python -m helpers.recipes.style --photos DIR

Trains one TransformNet for several styles on a folder of photographs, each picture of a batch in a style drawn at random
(Johnson 2016 with the conditional instance norm of Dumoulin 2017). After an interruption --resume goes on.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from helpers.activations import activations
from helpers.art import STYLES, style_image
from helpers.images import load_image
from helpers.losses import content_loss, phase_variance, style_loss, total_variation
from helpers.nets import fast, load_net
from helpers.recipes.checkpoints import resume_checkpoint, save_checkpoint
from helpers.style import CONTENT, FILE, TransformNet, style_features, style_grams
from helpers.transforms import mirror_crop
from helpers.weights import write_weights

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def arguments(argv=None):
    p = argparse.ArgumentParser(prog="python -m helpers.recipes.style", description=__doc__.split("\n\n")[1],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--photos", type=Path, required=True, help="a folder of photographs, any number and size")
    p.add_argument("--styles", nargs="+", default=[*STYLES, "dahlia", "hubble"], help="drawn ones, or photographs by name")
    p.add_argument("--work", type=Path, default=Path("build/style"), help="where checkpoints go")
    p.add_argument("--out", type=Path, default=FILE, help="where the weights go")
    p.add_argument("--steps", type=int, default=7000)
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--size", type=int, default=192, help="side of the crops, in pixels")
    p.add_argument("--style-size", type=int, default=448, help="side of the styles, in pixels: how large strokes become")
    p.add_argument("--style-weight", type=float, default=10.0, help="against a content weight of 1; both losses are relative")
    p.add_argument("--tv-weight", type=float, default=0.3, help="of the total variation a pixel")
    p.add_argument("--phase-weight", type=float, default=2000.0, help="against a lattice of the painter's strides")
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--every", type=int, default=100, help="steps between two checkpoints")
    p.add_argument("--until", type=int, default=None, help="stop after so many steps, whatever the schedule has left")
    p.add_argument("--start", type=Path, default=None, help="a checkpoint of another run, whose weights to begin with")
    p.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    return p.parse_args(argv)


def read_photos(folder, size=256):
    """Photographs of a folder, cropped to squares -> (n,3,size,size) uint8."""
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in ENDINGS)
    if not files:
        raise SystemExit(f"{folder} holds no photograph; --photos expects a folder of files that end in {', '.join(sorted(ENDINGS))}.")
    return torch.cat([(load_image(path, size=size) * 255).round().byte() for path in files])


def batch(images, args, generator):
    """Random photographs, mirrored or not, scaled to the crop's size or larger, cropped, in other colours and with noise: (b,3,size,size).

    Without noise a painter never learns what to do with a flat sky, and repeats itself there.
    """
    def draw_int(low, high):
        return int(torch.randint(low, high + 1, (), generator=generator))

    def draw(low, high, *shape):
        return low + (high - low) * torch.rand(shape, generator=generator)

    crops = []
    for _ in range(args.batch):
        x, side = images[draw_int(0, len(images) - 1)].float()[None] / 255, draw_int(args.size, args.size * 3 // 2)
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
        top, left = draw_int(0, side - args.size), draw_int(0, side - args.size)
        x = x[..., top:top + args.size, left:left + args.size]
        x = draw(0.75, 1.25, 3, 1, 1) * x ** draw(-0.5, 0.5, 1).exp()
        x = x + draw(0, 0.06, 1) * torch.randn(x.shape, generator=generator)
        crops.append(x.flip(3) if draw_int(0, 1) else x)
    return torch.cat(crops).clamp(0, 1)


def train(args):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images, feature_net = read_photos(args.photos), load_net("efficientnet-lite0").to(device, memory_format=torch.channels_last)
    styles = torch.cat([style_image(name, args.style_size) for name in args.styles]).to(device)
    grams = style_grams(feature_net, styles)       # (styles, c, c) for each layer
    torch.manual_seed(args.seed)
    net = TransformNet(args.styles).to(device, memory_format=torch.channels_last)
    if args.start:
        net.load_state_dict(torch.load(args.start, map_location=device, weights_only=True)["states"][0])
    optimizer = torch.optim.Adam(net.parameters(), args.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.steps, pct_start=0.05)
    args.work.mkdir(parents=True, exist_ok=True)
    checkpoint, parts = args.work / "style.pt", (net, optimizer, schedule)
    first, log = resume_checkpoint(checkpoint, device, *parts) if args.resume else (0, [])

    total, start = torch.zeros(2), time.time()
    last = min(args.steps, args.until or args.steps)
    for step in range(first + 1, last + 1):
        generator = torch.Generator().manual_seed(1_000_000 * args.seed + step)     # the same pictures when resumed
        x = batch(images, args, generator).to(device, memory_format=torch.channels_last)
        style = torch.randint(len(args.styles), (args.batch,), generator=generator).to(device)
        with fast(device):
            y = net(x, F.one_hot(style, len(args.styles)))
            seen, original = mirror_crop(y, x, generator=generator)
            found = style_features(feature_net, seen)
            with torch.no_grad():
                wanted = activations(feature_net, original, [CONTENT])
        losses = torch.stack([content_loss(found[CONTENT], wanted[CONTENT]).mean(),
                              style_loss(found, {layer: g[style] for layer, g in grams.items()}).mean()])
        loss = losses[0] + args.style_weight * losses[1] + args.tv_weight * total_variation(y.float()).mean() / args.size ** 2
        loss = loss + args.phase_weight * phase_variance(y.float()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(), schedule.step()
        total += losses.detach().cpu()
        if step % args.every == 0 or step == last:
            content, style = (total / (step - (log[-1]["step"] if log else 0))).tolist()
            log.append({"step": step, "content": round(content, 4), "style": round(style, 4)})
            save_checkpoint(checkpoint, step, log, *parts)
            pace, total = (time.time() - start) / (step - first), torch.zeros(2)
            print(f"step {step}/{args.steps}  content {content:.3f}  style {style:.3f}  "
                  f"about {pace * (last - step) / 60:.0f} min left", flush=True)
    net.log = log
    return net.cpu().eval()


def main(argv=None):
    args = arguments(argv)
    net = train(args)
    kept = {key: value for key, value in vars(args).items() if key not in ("photos", "work", "out", "resume", "start", "styles", "every")}
    write_weights(net.state_dict(), args.out, styles=net.styles, shape=net.shape, recipe=kept, log=net.log)
    print(f"saved as {args.out}")


if __name__ == "__main__":
    main()
