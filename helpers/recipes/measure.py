"""The figures of the networks:  python -m helpers.recipes.measure [--data DIR] [--photos DIR] [--write]

Prints those of CourseNet (on --data) and of EfficientNet-Lite0 (on --photos), and with --write puts them into data/README.md, and
CourseNet's into the metadata of its weights.
"""

import argparse
from pathlib import Path

from helpers.ascent import class_pictures, named
from helpers.nets import DATA, OURS, load_net, save_weights
from helpers.optimize import NormalizedGradient
from helpers.recipes import imagenet
from helpers.recipes.coursenet import accuracy
from helpers.recipes.marks import write_between
from helpers.recipes.tiny_imagenet import read_val
from helpers.world.scenes import scenes


def all_classes(net):
    """Plain gradient ascent on each class's score, from grey noise, without a regulariser: -> (classes,3,64,64)."""
    return class_pictures(net, range(len(net.classes)), steps=100, optimizer=lambda p: NormalizedGradient(p, lr=0.5))


def share(judge, pictures, k):
    """Share of class pictures (one of each class, in order) whose class is among the judge's k likeliest."""
    return named(judge, pictures, range(len(pictures)), k).float().mean().item()


def figures(nets, images, labels, world):
    """Every figure of the model cards, name of the network -> name of the figure -> number."""
    out, bytes_of = {}, lambda x: (x * 255).round().byte()
    pictures = {name: all_classes(net) for name, net in nets.items()}
    for name, net in nets.items():
        other, = (n for n in nets if n != name)
        out[name] = {
            "photographs, top-1": accuracy(net, images, labels, exact=True),
            "photographs, top-1, after a 20-step l2 attack of 1.0": accuracy(net, images, labels, epsilon=1.0, exact=True),
            "shipped scenes, top-1": accuracy(net, bytes_of(world.images), world.labels + len(net.classes) - 8, exact=True),
            f"its class pictures named by {other}, top-1": share(nets[other], pictures[name], 1),
            f"its class pictures named by {other}, top-5": share(nets[other], pictures[name], 5),
            "parameters": sum(p.numel() for p in net.parameters()),
        }
    return out


def card(measured):
    """The figures as a Markdown table."""
    rows = [f"| | {' | '.join(measured)} |", "|---" * (len(measured) + 1) + "|"]
    plain = lambda key: key.replace("coursenet-robust", "the other").replace("coursenet", "the other")
    columns = [{plain(key): value for key, value in column.items()} for column in measured.values()]
    for key in columns[0]:
        rows.append(f"| {key} | " + " | ".join(f"{c[key]:,}" if isinstance(c[key], int) else f"{c[key]:.1%}" for c in columns) + " |")
    return "\n".join(rows)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.measure", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder in the layout of Tiny ImageNet")
    parser.add_argument("--photos", type=Path, help="a folder of photographs named as n01532829_house_finch.webp")
    parser.add_argument("--classes", type=Path, help="a file with the wnids that the networks know")
    parser.add_argument("--write", action="store_true", help="store the figures with the weights and in data/README.md")
    args = parser.parse_args(argv)
    if not args.data and not args.photos:
        parser.error("expected --data, --photos, or both")
    if args.photos:
        imagenet.main(["--photos", str(args.photos), *["--write"] * args.write])
    if args.data:
        nets = {name: load_net(name) for name in OURS}
        measured = figures(nets, *read_val(args.data, args.classes), scenes())
        print(card(measured))
        if args.write:
            for name, net in nets.items():
                save_weights(net, DATA / f"{name}.safetensors", **(net.facts | {"figures": measured[name]}))
            write_between(DATA / "README.md", "figures", card(measured))


if __name__ == "__main__":
    main()
