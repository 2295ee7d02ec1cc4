"""The recipe that measures EfficientNet-Lite0, on made-up photographs."""

from pathlib import Path

import pytest
import torch

from helpers.images import save_image
from helpers.nets import load_net
from helpers.recipes import imagenet

CLASSES = ["house finch", "Cardigan", "crane bird", "bicycle-built-for-two", "cardigan", "crane"]


def paths(*names):
    return [Path(f"{name}.webp") for name in names]


def test_names_are_matched_whatever_their_spelling():
    files = paths("n01_House_Finch", "n02_crane_bird", "n03_bicycle_built-for_two", "n04_crane")
    assert imagenet.labels_of(files, CLASSES).tolist() == [0, 2, 3, 5]


def test_capitals_tell_the_dog_from_the_garment():
    assert imagenet.labels_of(paths("n01_Cardigan", "n02_cardigan"), CLASSES).tolist() == [1, 4]


def test_a_file_that_fits_no_class_is_named():
    with pytest.raises(SystemExit, match=r"n02_zebra.webp \(no class\); portrait.webp \(no class\). Expected"):
        imagenet.labels_of(paths("n01_house_finch", "n02_zebra", "portrait"), CLASSES)


def test_a_name_of_two_classes_is_told_by_the_order_of_the_wnids():
    """The bird's file may be called crane, as the machine; what follows it in the order of the wnids then comes before it."""
    with pytest.raises(SystemExit, match=r"n02_bicycle-built-for-two.webp \(bicycle-built-for-two\)"):
        imagenet.labels_of(paths("n01_crane", "n02_bicycle-built-for-two"), CLASSES)
    with pytest.raises(SystemExit, match=r"n01_CARDIGAN.webp \(no class\)"):
        imagenet.labels_of(paths("n01_CARDIGAN"), CLASSES)


class Fixed(torch.nn.Module):
    def forward(self, x):
        return torch.tensor([[0.0, 3.0, 2.0, 1.0]]).expand(len(x), -1)


def test_ranks_by_hand():
    assert imagenet.ranks(Fixed(), torch.rand(4, 3, 8, 8), torch.arange(4)).tolist() == [3, 0, 1, 2]


def test_table_by_hand():
    """Four photographs; ours names three and the other one at 224 pixels, of which each names one that the other does not."""
    ours, theirs = imagenet.NORMALISATIONS
    found = {(name, size): torch.tensor([9, 9, 9, 4]) for name in (ours, theirs) for size in imagenet.SIZES}
    found[ours, 224], found[theirs, 224] = torch.tensor([0, 0, 0, 5]), torch.tensor([1, 0, 4, 0])
    lines = imagenet.table(found).splitlines()
    assert lines[0] == "| | 192 px | 224 px | 256 px |"
    assert lines[2] == f"| {ours} | 0.0% / 25.0% | 75.0% / 75.0% | 0.0% / 25.0% |"
    assert lines[3] == f"| {theirs} | 0.0% / 25.0% | 50.0% / 100.0% | 0.0% / 25.0% |"
    assert f"Best: {ours}, at 224 pixels. There it alone names 2 photographs, and the other alone 1." in lines[-1]


def test_command_prints_and_writes(tmp_path, capsys, monkeypatch):
    """With random weights, so that no package is needed; the table lands between its marks and replaces what stood there."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("n01532829_house_finch", "n07920052_espresso"):
        save_image(torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(0)), folder / f"{name}.png")
    (folder / "notes.txt").write_text("no photograph")
    (tmp_path / "README.md").write_text("Before.\n<!-- imagenet -->\nold\n<!-- /imagenet -->\nAfter.\n")
    monkeypatch.setattr(imagenet, "DATA", tmp_path)
    monkeypatch.setattr(imagenet, "REPEATS", 1)
    monkeypatch.setattr(imagenet, "load_net", lambda name: load_net(name, weights=None))
    imagenet.main(["--photos", str(folder), "--write"])
    printed, written = capsys.readouterr().out, (tmp_path / "README.md").read_text()
    assert "of 2 photographs" in printed and "ms in channels last" in printed and "threads" in printed
    assert written == f"Before.\n<!-- imagenet -->\n{printed.strip()}\n<!-- /imagenet -->\nAfter.\n"


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(SystemExit, match="holds no photograph"):
        imagenet.main(["--photos", str(tmp_path)])
