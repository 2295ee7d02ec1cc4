"""Train the style network: one image transformation network for nine styles.

Each batch gets a random style (Johnson 2016, with the conditional instance norm of
Dumoulin 2017). PHOTOS holds photographs of any number and size.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

from common import bf16_autocast, resume_checkpoint, save_checkpoint
from helpers.activations import activations
from helpers.images import load_image, rescale
from helpers.losses import checkerboard_loss, content_loss, style_loss, total_variation
from helpers.networks import DATA, load_net, read_weights, write_weights
from helpers.style import CONTENT, STYLES, TransformNet, style_features, style_grams, style_image
from helpers.transforms import reflect_pad_crop

STYLE_WEIGHT = 10.0         # against a content weight of 1; both losses are relative
TV_WEIGHT = 0.3             # of the total variation per pixel
CHECKERBOARD_WEIGHT = 100_000.0


def read_photos(folder):
    """Load the photographs of a folder, cropped to squares, (n,3,256,256)."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".jpg", ".png", ".webp")]
    return torch.cat([load_image(path, size=256) for path in files])


def random_crop(image, size, generator):
    """Scale, crop, recolor, and flip one image (1,3,h,w) at random: (1,3,size,size).

    Some noise is added; without it, a network never learns what to do with a flat sky.
    """
    draw = lambda low, high, *shape: low + (high - low) * torch.rand(shape, generator=generator)
    side = int(draw(size, size * 3 // 2 + 1))
    x = rescale(image, side, "bilinear").clamp(0, 1)
    top, left = torch.randint(side - size + 1, (2,), generator=generator).tolist()
    x = x[..., top:top + size, left:left + size]
    x = draw(0.75, 1.25, 3, 1, 1) * x ** draw(-0.5, 0.5).exp()
    x = x + draw(0, 0.06) * torch.randn(x.shape, generator=generator)
    return x.flip(3) if draw(0, 1) < 0.5 else x


def losses(net, feature_net, x, style, grams, generator):
    """Compute the content loss, the style loss, and the sum of all losses of one batch."""
    with bf16_autocast(x.device):
        y = net(x, F.one_hot(style, len(STYLES)))
        seen, original = reflect_pad_crop(y, x, generator=generator)
        features = style_features(feature_net, seen)
        with torch.no_grad():
            target = activations(feature_net, original, CONTENT)
    content = content_loss(features[CONTENT], target).mean()
    style = style_loss(features, {layer: gram[style] for layer, gram in grams.items()}).mean()
    smoothness = total_variation(y.float()).mean() / y[0, 0].numel()
    artifact = checkerboard_loss(y.float().mean(0, keepdim=True))[0]    # what the batch shares
    total = content + STYLE_WEIGHT * style + TV_WEIGHT * smoothness
    return content, style, total + CHECKERBOARD_WEIGHT * artifact


def train(args):
    """Train, with a checkpoint every 100 steps, and return the network and the log."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    photos = read_photos(args.photos)
    feature_net = load_net("efficientnet-lite0").to(device, memory_format=torch.channels_last)
    styles = torch.cat([style_image(name, args.style_size) for name in STYLES]).to(device)
    grams = style_grams(feature_net, styles)        # layer -> (styles,c,c)
    torch.manual_seed(0)
    net = TransformNet(STYLES).to(device, memory_format=torch.channels_last)
    if args.weights:
        net.load_state_dict(read_weights(args.weights)[0])
    optimizer = torch.optim.Adam(net.parameters(), args.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, total_steps=args.steps, pct_start=0.05)
    parts = (net, optimizer, schedule)
    first, log = resume_checkpoint(args.checkpoint, device, *parts) if args.resume else (0, [])
    for step in range(first + 1, args.steps + 1):
        generator = torch.Generator().manual_seed(step)
        index = torch.randint(len(photos), (args.batch,), generator=generator)
        crops = [random_crop(photos[k:k + 1], args.size, generator) for k in index.tolist()]
        x = torch.cat(crops).clamp(0, 1).to(device, memory_format=torch.channels_last)
        style = torch.randint(len(STYLES), (1,), generator=generator).to(device)
        style = style.expand(args.batch)
        content, style, total = losses(net, feature_net, x, style, grams, generator)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == args.steps:
            log.append({"step": step, "content": content.item(), "style": style.item()})
            save_checkpoint(args.checkpoint, step, log, *parts)
            print(log[-1], flush=True)
    return net.cpu().eval(), log


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--checkpoint", type=Path, default=Path("build/style.pt"))
    parser.add_argument("--out", type=Path, default=DATA / "style.safetensors")
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=192, help="side of the crops in pixels")
    parser.add_argument("--style-size", type=int, default=448, help="side of the styles")
    parser.add_argument("--lr", type=float, default=2e-3, help="the highest learning rate")
    parser.add_argument("--weights", type=Path, help="weights to start from")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    args = parser.parse_args(argv)
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    net, log = train(args)
    recipe = {name: getattr(args, name) for name in ("steps", "batch", "size", "style_size", "lr")}
    metadata = {"styles": STYLES, "shape": net.shape, "recipe": recipe, "log": log}
    write_weights(net.state_dict(), args.out, **metadata)


if __name__ == "__main__":
    main()
