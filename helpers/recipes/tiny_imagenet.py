"""Photographs in the layout of Tiny ImageNet (Stanford CS231n), to train and to measure on. Never shipped."""

from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.datasets.utils import download_url, extract_archive

from helpers.files import patience, whole

ADDRESS, MD5 = "http://cs231n.stanford.edu/tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de"


def download(folder):
    """Tiny ImageNet (248 MB), downloaded and unpacked into `folder` once -> its folder."""
    root = folder / "tiny-imagenet-200"
    if (root / "val/val_annotations.txt").exists():
        return root
    try:
        with patience():
            download_url(ADDRESS, folder, md5=MD5)
    except (OSError, RuntimeError, HTTPException) as error:
        raise SystemExit(f"Tiny ImageNet could not be downloaded from {ADDRESS} ({error}). "
                         "Fetch and unpack it by other means, and give its folder as --data.") from None
    with whole(root) as beside:      # so that what is there was unpacked to its end
        extract_archive(folder / Path(ADDRESS).name, beside.parent)
    return root


def pixels(paths):
    """Image files of one size -> (n,3,h,w) uint8."""
    return torch.from_numpy(np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])).permute(0, 3, 1, 2).contiguous()


def check_layout(root, wnids):
    """Ends with a sentence unless `root` has Tiny ImageNet's layout, and pictures of every class."""
    missing = [name for name in ("words.txt", "val/val_annotations.txt") if not (root / name).exists()]
    missing += [f"train/{wnid}/images" for wnid in wnids if not (root / "train" / wnid / "images").is_dir()]
    if missing:
        raise SystemExit(f"{root} has no {missing[0]}: --data expects the layout of Tiny ImageNet, and --classes wnids that are in it.")


def read_wnids(root, classes=None):
    file = Path(classes) if classes else Path(root) / "wnids.txt"
    if not file.exists():
        raise SystemExit(f"There is no {file}: --data expects the layout of Tiny ImageNet.")
    return file.read_text().split()


def read_train(root, classes=None):
    """Training photographs -> images (n,3,64,64) uint8, labels (n,), names of the classes."""
    root, wnids = Path(root), read_wnids(root, classes)
    check_layout(root, wnids)
    words = dict(line.split("\t") for line in (root / "words.txt").read_text().splitlines())
    files = [(path, k) for k, wnid in enumerate(wnids) for path in sorted((root / "train" / wnid / "images").iterdir())]
    return pixels([path for path, _ in files]), torch.tensor([k for _, k in files]), [words[w].split(",")[0].strip() for w in wnids]


def read_val(root, classes=None):
    """Validation photographs of the same classes -> images (n,3,64,64) uint8, labels (n,)."""
    root, wnids = Path(root), read_wnids(root, classes)
    check_layout(root, wnids)
    rows = val_rows(root, wnids)
    return pixels([root / "val/images" / name for name, *_ in rows]), torch.tensor([wnids.index(wnid) for _, wnid, *_ in rows])


def read_boxes(root, classes=None):
    """The objects' boxes on the validation photographs, in read_val's order -> [left, top, right, bottom] (n,4), last pixels within."""
    rows = val_rows(Path(root), read_wnids(root, classes))
    return torch.tensor([[int(value) for value in box] for _, _, *box in rows])


def val_rows(root, wnids):
    rows = [line.split("\t") for line in (root / "val/val_annotations.txt").read_text().splitlines()]
    return [row for row in rows if row[1] in wnids]
