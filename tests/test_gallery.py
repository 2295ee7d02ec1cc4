import tarfile

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import Imagenette

from helpers.gallery import crops, imagenette
from helpers.patches import top_patches


def test_crops_are_parts_of_the_image():
    image = torch.rand(1, 3, 40, 60)
    found = crops(image, [20], size=20)
    assert found.shape == (3 * 5, 3, 20, 20)
    torch.testing.assert_close(found[0], image[0, :, :20, :20], rtol=0, atol=1e-5)
    torch.testing.assert_close(found[6], image[0, :, 10:30, 10:30], rtol=0, atol=1e-5)


def test_crops_at_several_scales_have_one_size():
    assert crops(torch.rand(1, 3, 40, 60), (40, 20), size=16).shape == (2 + 15, 3, 16, 16)


@pytest.mark.parametrize("side", [1, 41])
def test_crops_fit_in(side):
    with pytest.raises(ValueError, match="Try 2 to 40"):
        crops(torch.rand(1, 3, 40, 60), [side])


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive in the shape of Imagenette's, in place of the one that is downloaded."""
    pictures = tmp_path / "imagenette2-160" / "val" / "n01440764"
    pictures.mkdir(parents=True)
    for grey in range(5):
        Image.new("L" if grey == 1 else "RGB", (200, 160), 50 * grey if grey == 1 else (50 * grey,) * 3).save(pictures / f"{grey}.JPEG")
        (pictures / f"{grey}.JPEG").rename(pictures / f"{grey}.jpeg")
    packed = tmp_path / "imagenette2-160.tgz"
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(tmp_path / "imagenette2-160", "imagenette2-160")
    monkeypatch.setattr(Imagenette, "_ARCHIVES", Imagenette._ARCHIVES | {"160px": (packed.as_uri(), None)})
    return packed


def test_imagenette_is_fetched_once_and_searched(archive, tmp_path, random_net, capsys):
    (tmp_path / "here").mkdir()
    archive.rename(tmp_path / "here" / archive.name)        # what has come is not fetched again
    found = imagenette(tmp_path / "here", size=64)
    assert len(found) == 5 and found[3][0].shape == (3, 64, 64)
    assert "99 MB" in capsys.readouterr().out
    (tmp_path / "here" / archive.name).unlink()
    again = imagenette(tmp_path / "here")
    assert "99 MB" not in capsys.readouterr().out
    assert top_patches(random_net, DataLoader(again, batch_size=2), "conv2", 3).indices.max() < 5


def test_without_a_network_it_says_how_to_go_on(archive, tmp_path):
    archive.unlink()
    with pytest.raises(ConnectionError, match="works without it"):
        imagenette(tmp_path / "nothing")
    with pytest.raises(RuntimeError, match="not found"):
        imagenette(tmp_path / "nothing", download=False)
