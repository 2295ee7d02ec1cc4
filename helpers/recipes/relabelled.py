"""Are adversarial changes features?  python -m helpers.recipes.relabelled [--scenes N] [--epochs N] [--write]

Scenes get labels drawn at random, and each picture is moved a little towards its new label, by the score of some network. On these
wrong labels alone three things are trained, and asked about the shipped scenes as they are: a fresh CourseNet, and linear readouts of
what the pair has at relu7. Ilyas 2019, "Adversarial examples are not bugs, they are features", section 3.2. With --write the figures
go into data/relabelled.json, which the notebook shows.
"""

import argparse
import json
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from helpers.adversarial import perturb
from helpers.features import codes
from helpers.files import write_text
from helpers.nets import DATA, OURS, PHOTOGRAPHS, CourseNet, fast, load_net
from helpers.recipes.coursenet import accuracy, training_scenes
from helpers.rivals import untrained
from helpers.world.scenes import SHAPES, scenes


def towards(net, x, goals, epsilon, batch=100):
    """Images moved towards classes within an l2 ball, ten steps of projected ascent: (n,3,h,w) and (n,) -> uint8 (n,3,h,w)."""
    done = []
    for part, goal in zip(x.split(batch), goals.split(batch), strict=True):
        score = lambda z, goal=goal: net(z).log_softmax(1).gather(1, goal[:, None])[:, 0]
        done.append(perturb(score, part.float().div(255).contiguous(memory_format=torch.channels_last), epsilon=epsilon))
    return torch.cat(done).mul(255).round().byte()


def at_random(x, epsilon, generator):
    """Images moved by `epsilon` in directions drawn by chance, uint8 (n,3,h,w) -> the same."""
    noise = torch.randn(x.shape, generator=generator)
    noise *= epsilon / noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    return (x.float() / 255 + noise).clamp(0, 1).mul(255).round().byte()


def trained(images, labels, *, epochs, seed, batch=100, lr=0.05):
    """A CourseNet of the eight shapes from random weights, trained on uint8 images and labels; mirrored by chance, no more."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = CourseNet(SHAPES, for_training=True).to(memory_format=torch.channels_last)
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(net.fc8.weight, std=0.01)
        optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * -(-len(images) // batch), pct_start=0.2)
        for _ in range(epochs):
            net.train()
            for part in torch.randperm(len(images)).split(batch):
                x = images[part].float() / 255
                x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x).contiguous(memory_format=torch.channels_last)
                with fast(x.device):
                    loss = F.cross_entropy(net(x), labels[part])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step(), schedule.step()
    return net.eval()


def readout(net, images, labels, asked, truth):
    """The share that a linear readout of relu7 names right, trained on uint8 images and labels: logistic regression."""
    z, unseen = (codes(net, x.float() / 255, "relu7")["relu7"].numpy() for x in (images, asked))
    fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)).fit(z, labels.numpy())
    return fitted.score(unseen, truth.numpy())


def sets(images, goals, epsilon, generator):
    """What the fresh networks are trained on beside the true labels: name -> (images, the share that its maker calls as relabelled)."""
    makers = {"moved by coursenet": load_net("coursenet"), "moved by coursenet-robust": load_net("coursenet-robust"),
              "moved by an untrained network": untrained("coursenet")}
    yield "not moved", images, None
    yield "moved at random", at_random(images, epsilon, generator), None
    for name, net in makers.items():
        moved = towards(net.to(memory_format=torch.channels_last), images, goals + PHOTOGRAPHS, epsilon)
        yield name, moved, accuracy(net, moved, goals + PHOTOGRAPHS)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.recipes.relabelled", description=__doc__.split("\n\n")[0])
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--epsilon", type=float, default=1.0, help="how far a picture is moved, l2 in pixels of [0, 1]")
    parser.add_argument("--work", type=Path, default=Path("build/relabelled"), help="where rendered scenes go")
    parser.add_argument("--write", action="store_true", help="put the figures into data/relabelled.json")
    args = parser.parse_args(argv)
    args.work.mkdir(parents=True, exist_ok=True)
    images, truth = training_scenes(args.scenes, args.work)
    generator = torch.Generator().manual_seed(0)
    goals = torch.randint(len(SHAPES), truth.shape, generator=generator)        # of all eight, so that they say nothing of the truth
    world = scenes()
    asked, found = (world.images * 255).round().byte(), {}

    def judge(name, images, labels, called):
        start = time.perf_counter()
        fresh = trained(images, labels, epochs=args.epochs, seed=0)
        row = {"fresh": accuracy(fresh, asked, world.labels), "fresh, on what it was taught": accuracy(fresh, images, labels)}
        row |= {f"readout of {of}": readout(load_net(of), images, labels, asked, world.labels) for of in OURS}
        found[name] = row | {"called by its maker": called}
        print(f"{name:30}", ", ".join(f"{what} {v:.1%}" for what, v in found[name].items() if v is not None),
              f"  {time.perf_counter() - start:.0f} s", flush=True)

    print(f"{args.scenes} scenes, {args.epochs} epochs, moved by {args.epsilon}; right of {len(world)} scenes as they are (chance 12.5%):")
    judge("true labels", images, truth, None)
    for name, moved, called in sets(images, goals, args.epsilon, generator):
        judge(name, moved, goals, called)
    if args.write:
        command = f"python -m helpers.recipes.relabelled --scenes {args.scenes} --epochs {args.epochs} --write"
        write_text(DATA / "relabelled.json", json.dumps({"command": command, "epsilon": args.epsilon, "sets": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
