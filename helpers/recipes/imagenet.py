"""What EfficientNet-Lite0 expects of its input, measured:  python -m helpers.recipes.imagenet --photos DIR [--write]

Names the photographs of a folder with two normalisations at three sizes, and with --write puts the table into data/README.md.
"""

import argparse
import copy
import re
import time
from pathlib import Path

import torch

from helpers.efficientnet import MEAN, STD
from helpers.images import load_image
from helpers.nets import DATA, IMAGENET, Normalize, fast, has_bf16, load_net
from helpers.recipes.marks import write_between

NORMALISATIONS = {"mean 0.498, standard deviation 0.502": (MEAN, STD), "ImageNet's mean and standard deviation": IMAGENET}
SIZES, REPEATS = (192, 224, 256), 15
ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}


def labels_of(paths, classes):
    """The class that each file is named after, n01532829_house_finch.webp -> its number; raises SystemExit for all that fit none.

    Capitals count only where they must: the Cardigan is a dog, the cardigan a garment. Where a name alone misleads, as with the
    two kinds of crane, the wnid before it shows that: the classes stand in the order of their wnids.
    """
    letters = lambda name: re.sub(r"[\W_]", "", name)
    labels, wrong = [], []
    for path in paths:
        name = letters(path.stem.partition("_")[2])
        fits = [k for k, known in enumerate(classes) if letters(known).lower() == name.lower()]
        fits = [k for k in fits if letters(classes[k]) == name] if len(fits) > 1 else fits
        if len(fits) != 1 or labels and fits[0] < max(labels):
            wrong.append(f"{path.name} ({', '.join(classes[k] for k in fits) or 'no class'})")
        else:
            labels += fits
    if wrong:
        raise SystemExit(f"These do not fit exactly one class, in the order of the wnids: {'; '.join(wrong)}. "
                         "Expected names such as n01532829_house_finch.webp. Try to rename or remove them.")
    return torch.tensor(labels)


@torch.no_grad()
def ranks(net, images, labels):
    """How many classes the network finds likelier than the right one, (b,3,h,w) and (b,) -> (b,): 0 where it is right."""
    scores = torch.cat([net(x) for x in images.split(32)])
    return (scores > scores.gather(1, labels[:, None])).sum(1)


def measured(net, paths, labels):
    """The ranks of the right classes, dict (normalisation, size) -> (n,); the network gets its own normalisation back."""
    own, found = net.normalize, {}
    for size in SIZES:
        images = torch.cat([load_image(path, size=size) for path in paths])
        for name, statistics in NORMALISATIONS.items():
            net.normalize = Normalize(*statistics)
            found[name, size] = ranks(net, images, labels)
    net.normalize = own
    return found


def table(found):
    """Top-1 and top-5 as a Markdown table, and a sentence that says which is best, and by how many photographs."""
    rows = [f"| | {' | '.join(f'{size} px' for size in SIZES)} |", "|---" * (len(SIZES) + 1) + "|"]
    for name in NORMALISATIONS:
        cells = [f"{(found[name, size] < 1).float().mean():.1%} / {(found[name, size] < 5).float().mean():.1%}" for size in SIZES]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    name, size = max(found, key=lambda key: (found[key] < 1).sum())
    other, = (n for n in NORMALISATIONS if n != name)
    right, rival = found[name, size] < 1, found[other, size] < 1
    return "\n".join([*rows, "", f"Top-1 / top-5 of {len(right)} photographs, one row a normalisation. Best: {name}, at {size} pixels. "
                      f"There it alone names {(right & ~rival).sum()} photographs, and the other alone {(rival & ~right).sum()}."])


@torch.no_grad()
def speed(net, x):
    """Milliseconds for one image, (1,3,h,w) -> dict name -> the least of REPEATS; bf16 only where the processor has it."""
    last = copy.deepcopy(net).to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    ways = {"float32": (net, x, True), "channels last": (*last, True), "channels last and bf16": (*last, False)}
    return {name: 1000 * min(seconds(*way) for _ in range(REPEATS)) for name, way in ways.items() if way[2] or has_bf16(x.device)}


def seconds(net, x, exact):
    start = time.perf_counter()
    with fast(x.device, exact=exact):
        net(x)
    return time.perf_counter() - start


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.imagenet", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photographs named as n01532829_house_finch.webp")
    parser.add_argument("--write", action="store_true", help="put the table into data/README.md")
    args = parser.parse_args(argv)
    paths = sorted(path for path in args.photos.glob("*") if path.suffix.lower() in ENDINGS)
    if not paths:
        raise SystemExit(f"{args.photos} holds no photograph; --photos expects files that end in {', '.join(sorted(ENDINGS))}.")
    start = time.perf_counter()
    net, image = load_net("efficientnet-lite0"), load_image(paths[0], size=224)
    ranks(net, image, torch.tensor([0]))
    first = time.perf_counter() - start
    card = table(measured(net, paths, labels_of(paths, net.classes)))
    spent = ", ".join(f"{ms:.0f} ms in {name}" for name, ms in speed(net, image).items())
    card += (f"\n\nFrom loading to the first answer {first:.1f} s; then one photograph of 224 pixels takes, at best, {spent} "
             f"({torch.get_num_threads()} threads, torch {torch.__version__}).")
    print(card)
    if args.write:
        write_between(DATA / "README.md", "imagenet", card)


if __name__ == "__main__":
    main()
