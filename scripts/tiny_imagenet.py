"""Read photographs in the layout of Tiny ImageNet (Stanford CS231n); a module for programs."""

import numpy as np
import torch
from PIL import Image


def read_images(paths):
    """Read image files of one size, (n,3,h,w) uint8."""
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def read_train(root):
    """Read the training photographs: images (n,3,64,64) uint8, labels (n,), class names."""
    lines = (root / "words.txt").read_text().splitlines()
    words = dict(line.split("\t") for line in lines)
    wnids = (root / "wnids.txt").read_text().split()
    folders = [sorted((root / "train" / wnid / "images").iterdir()) for wnid in wnids]
    images = torch.cat([read_images(paths) for paths in folders])
    counts = torch.tensor([len(paths) for paths in folders])
    labels = torch.arange(len(wnids)).repeat_interleave(counts)
    return images, labels, [words[wnid].split(",")[0].strip() for wnid in wnids]


def read_val(root):
    """Read the validation photographs: images (n,3,64,64) uint8, labels (n,), boxes (n,4)."""
    wnids = (root / "wnids.txt").read_text().split()
    lines = (root / "val/val_annotations.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines]    # file, wnid, left, top, right, bottom
    rows = [row for row in rows if row[1] in wnids]
    images = read_images([root / "val/images" / row[0] for row in rows])
    labels = torch.tensor([wnids.index(row[1]) for row in rows])
    return images, labels, torch.tensor([list(map(int, row[2:])) for row in rows])
