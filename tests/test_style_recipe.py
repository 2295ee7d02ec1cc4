"""The recipe of the style network on made-up photographs: it trains, resumes to the same weights, and saves."""

import pytest
import torch

from helpers.images import save_image
from helpers.recipes import style
from helpers.transform_net import load_transform_net


@pytest.fixture
def options(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(2):
        save_image(torch.rand(1, 3, 40 + 8 * k, 56, generator=torch.Generator().manual_seed(k)), folder / f"{k}.png")
    (folder / "notes.txt").write_text("no photograph")
    return ["--photos", str(folder), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "style.safetensors"),
            "--styles", "waves", "dahlia", "--steps", "2", "--batch", "2", "--size", "32", "--every", "1"]


def weights(path):
    return load_transform_net(path).state_dict()


def test_two_steps(options, tmp_path, capsys):
    style.main(options)
    net = load_transform_net(tmp_path / "style.safetensors")
    assert net.styles == ["waves", "dahlia"] and [row["step"] for row in net.facts["log"]] == [1, 2]
    assert net.facts["recipe"]["size"] == 32 and "photos" not in str(net.facts)
    assert net(torch.rand(1, 3, 30, 41), "dahlia").shape == (1, 3, 30, 41)
    assert (tmp_path / "style.safetensors").stat().st_size < 4e6
    assert capsys.readouterr().out.count("min left") == 2


def test_resumes_to_the_same_weights(options, tmp_path, capsys, monkeypatch):
    style.main(options)
    whole = weights(tmp_path / "style.safetensors")

    def interrupted(temporary, checkpoint):
        temporary.rename(checkpoint)
        raise KeyboardInterrupt
    options[options.index(str(tmp_path / "work"))] = str(tmp_path / "other")
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):      # right after the first step was kept
        m.setattr(style.os, "replace", interrupted)
        style.main(options)
    (tmp_path / "style.safetensors").unlink()
    style.main([*options, "--resume"])
    assert "resumed after step 1" in capsys.readouterr().out
    resumed = weights(tmp_path / "style.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_crops_are_of_the_size_and_from_the_seed(options):
    args = style.arguments(options)
    images = style.read_photos(args.photos)
    assert images.shape == (2, 3, 256, 256) and images.dtype == torch.uint8
    first, again, other = (style.batch(images, args, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert first.shape == (2, 3, 32, 32) and torch.equal(first, again) and not torch.equal(first, other)
    assert 0 <= first.min() and first.max() <= 1


def test_a_folder_without_photographs(tmp_path):
    with pytest.raises(SystemExit, match="holds no photograph"):
        style.read_photos(tmp_path)
