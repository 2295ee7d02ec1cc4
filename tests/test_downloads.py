"""Downloads and caches: a server that stops, lies, loops or keeps silent, played here; files that somebody has left half; no rights."""

import hashlib
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.datasets import Imagenette

from helpers import images, nets
from helpers.files import patience
from helpers.images import imagenette
from helpers.nets import at_hand, load_net
from helpers.patches import top_patches
from tests.test_faults import ALL, as_anyone, needs_rights, shared  # noqa: F401

BAD = ["half", "half, no length", "a page", "other bytes", "404", "loop", "silent", "stalls", "closed"]


@pytest.fixture
def server(monkeypatch):
    """Serves `server.content` in the manner `server.how`; counts in `server.asked` how often it was asked."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked, how, content = server.asked + 1, server.how, server.content
            if how == "closed":
                return self.connection.shutdown(socket.SHUT_RDWR)
            if how == "silent":
                return done.wait(20)
            moved = how == "loop" or how == "moved" and self.path != "/new"
            self.send_response(404 if how == "404" else 302 if moved else 200)
            self.send_header("Location", self.path if how == "loop" else "/new")
            content = b"<html>Sign in</html>" if moved or how in ("404", "a page") else content
            content = content[:-4] + b"else" if how == "other bytes" else content
            if how != "half, no length":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:len(content) // 2] if how.startswith("half") or how == "stalls" else content)
            if how == "stalls":
                done.wait(20)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "*")
    for module in (nets, images):
        monkeypatch.setattr(module, "patience", lambda: patience(0.3 if server.how in ("silent", "stalls") else 20))
    done, server = threading.Event(), ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.how, server.asked, server.daemon_threads = "whole", 0, True
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    done.set(), server.shutdown(), server.server_close()


# ---- torchvision's weights ----

@pytest.fixture
def weights(server, tmp_path, monkeypatch):
    """Weights of SqueezeNet on the server, in place of torchvision's -> the file that they become in the cache."""
    with torch.random.fork_rng():
        torch.save(models.squeezenet1_1().state_dict(), tmp_path / "weights")
    return offered(server, (tmp_path / "weights").read_bytes(), tmp_path, monkeypatch)


def offered(server, content, folder, monkeypatch):
    server.content, name = content, f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(models.SqueezeNet1_1_Weights.IMAGENET1K_V1.value, "url", f"{server.address}/{name}")
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    return folder / "torch" / "hub" / "checkpoints" / name


@pytest.mark.parametrize("how", BAD)
def test_weights_that_do_not_come(how, server, weights, tries):
    """Downloading weights: cut, a page in their place, other bytes, refused, a loop, silence, closed"""
    server.how = how
    with pytest.raises(ValueError, match="^The weights of squeezenet1_1 .* could not be downloaded: .+ Try load_net") as said:
        load_net("squeezenet1_1")
    assert "\n" not in str(said.value)
    assert list(weights.parent.iterdir()) == [] and not at_hand("squeezenet1_1")
    assert socket.getdefaulttimeout() is None and patience.__wrapped__.__defaults__ == (60,)
    tries("could not be downloaded: " + str(said.value).split("downloaded: ")[1].split(". Try")[0])
    server.how = "moved"                    # which is no fault
    assert not load_net("squeezenet1_1").training and at_hand("squeezenet1_1")
    asked = server.asked
    assert load_net("squeezenet1_1") and server.asked == asked


def test_weights_half_in_the_cache(server, weights, tries):
    """Weights that somebody has left half, or damaged, in torchvision's cache"""
    weights.parent.mkdir(parents=True)
    content = server.content
    for left in (b"", content[:100], content[:-1], content[:-1] + b"x", b"<html></html>"):
        weights.write_bytes(left)
        with pytest.raises(ValueError, match=f"{weights.name} is damaged: its SHA-256 is .* Delete it"):
            load_net("squeezenet1_1")
        tries("is damaged ... Delete it, and the same call downloads it again")
    assert server.asked == 0
    weights.unlink()
    assert load_net("squeezenet1_1")


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_weights_that_would_run_something(server, tmp_path, monkeypatch, tries):
    """Weights with a right hash that are a pickle which runs something"""
    for what in ({"features.0.weight": Evil(tmp_path / "run")}, Evil(tmp_path / "run")):
        offered(server, pickle.dumps(what, protocol=2), tmp_path, monkeypatch)
        with pytest.raises(ValueError, match="holds more than weights; it was not run") as said:
            load_net("squeezenet1_1")
        assert not (tmp_path / "run").exists() and "\n" not in str(said.value)
        tries("unreadable")
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@needs_rights
def test_a_cache_without_rights(server, weights, shared, monkeypatch, tries):  # noqa: F811
    """A cache that may not be written, or not be looked into"""
    monkeypatch.setenv("TORCH_HOME", str(shared / "torch"))
    (shared / "torch" / "hub").mkdir(parents=True)
    for rights in (0o755, 0):
        (shared / "torch" / "hub").chmod(rights)
        with as_anyone(), pytest.raises(ValueError, match="could not be downloaded: .*Permission denied"):
            assert not at_hand("squeezenet1_1")
            load_net("squeezenet1_1")
        tries("could not be downloaded: Permission denied")


EVERYTHING = """
import matplotlib.pyplot
from helpers.images import photos
from helpers.nets import at_hand, load_net
load_net("coursenet")(photos()["cat"].load(64)), at_hand("vgg16")
"""


@pytest.mark.skipif(not ALL, reason="takes long: Matplotlib looks for its fonts anew")
def test_no_folder_to_keep_anything_in(tmp_path, tries):
    """A home, and caches of PyTorch and Matplotlib, that may not be written"""
    names = "HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TORCH_HOME"
    nowhere = {name: os.path.join(os.devnull, "none") for name in names}
    done = subprocess.run([sys.executable, "-c", EVERYTHING], cwd=Path(__file__).parents[1], env=os.environ | nowhere,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tries("everything runs")


# ---- Imagenette ----

@pytest.fixture
def archive(server, tmp_path, monkeypatch):
    """A small archive in the shape of Imagenette's, on the server."""
    pictures = tmp_path / "packed" / "imagenette2-160" / "val" / "n01440764"
    pictures.mkdir(parents=True)
    for grey in range(3):
        Image.new("RGB", (200, 160), (50 * grey,) * 3).save(pictures / f"{grey}.jpeg", "JPEG")
    with tarfile.open(tmp_path / "packed.tgz", "w:gz") as tar:
        tar.add(tmp_path / "packed" / "imagenette2-160", "imagenette2-160")
    server.content = (tmp_path / "packed.tgz").read_bytes()
    where = f"{server.address}/imagenette2-160.tgz", hashlib.md5(server.content).hexdigest()
    monkeypatch.setattr(Imagenette, "_ARCHIVES", Imagenette._ARCHIVES | {"160px": where})
    return tmp_path / "here" / "imagenette2-160.tgz"


@pytest.mark.parametrize("how", BAD)
def test_photographs_that_do_not_come(how, server, archive, tries):
    """Downloading Imagenette: the same"""
    server.how = how
    with pytest.raises(ConnectionError, match="^Imagenette could not be downloaded: .+ Everything else here works without it") as said:
        imagenette(archive.parent)
    assert not archive.with_suffix("").exists() and "\n" not in str(said.value)
    tries("could not be downloaded: " + str(said.value).split("downloaded: ")[1].split(". Everything")[0])
    server.how = "whole"
    assert len(imagenette(archive.parent)) == 3


def test_an_archive_half_unpacked(server, archive, random_net, monkeypatch, tries):
    """Imagenette: interrupted while it is unpacked, or its archive left half"""
    archive.parent.mkdir()
    archive.write_bytes(server.content[:-50])

    def interrupted(path, folder):
        with tarfile.open(path) as tar:
            tar.extract(tar.getmembers()[2], folder, filter="data")
        raise KeyboardInterrupt
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("torchvision.datasets.utils.extract_archive", interrupted)
        imagenette(archive.parent)
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    asked = server.asked
    with pytest.raises(RuntimeError, match="not found"):
        imagenette(archive.parent, download=False)
    found = imagenette(archive.parent, size=64)
    assert len(found) == 3 and found[2][0].shape == (3, 64, 64) and server.asked == asked       # what has come is not fetched again
    assert top_patches(random_net, DataLoader(found, batch_size=2), "conv2", 3).indices.max() < 3
    tries("the same call goes on")
