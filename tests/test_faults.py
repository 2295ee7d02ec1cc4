"""What breaks outside: files, disks, downloads, memory. Nothing half-written is taken for whole, and each fault is said in a sentence.

FAULTS=all tries much more of each; that is `python3 run.py trust faults`.
"""

import contextlib
import os
import random
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
import torch
from safetensors.torch import save_file

from helpers import efficientnet, nets
from helpers.files import whole, write_text
from helpers.images import save_image
from helpers.nets import DATA, CourseNet, load_net, load_weights, save_weights
from helpers.recipes.checkpoints import resume_checkpoint, save_checkpoint
from helpers.style import FILE, load_transform_net
from helpers.weights import fingerprint, read_weights, write_weights
from helpers.world.scenes import FOLDER, scenes

ROOT = Path(__file__).resolve().parents[1]
ALL = os.environ.get("FAULTS") == "all"


@contextlib.contextmanager
def as_anyone():
    """Without the rights of the superuser, who may read and write everything; where we have them."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


needs_rights = pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")


@pytest.fixture
def shared():
    """A folder that others may enter, too: pytest's own are for one user."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


# ---- Weights ----

LOADERS = {"coursenet": load_weights, "coursenet-robust": load_weights, "style": load_transform_net}


@pytest.mark.parametrize("name", LOADERS)
def test_weights_of_which_a_byte_was_altered_or_which_are_cut(name, tmp_path, tries):
    """Weights: one byte altered in header, facts or tensors, or cut at any length"""
    content, path, dice = (DATA / f"{name}.safetensors").read_bytes(), tmp_path / "altered.safetensors", random.Random(0)
    (good, facts), header = read_weights(DATA / f"{name}.safetensors"), 8 + int.from_bytes(content[:8], "little")
    kind = content.find(b'"F16"') + 1       # as I16 the same bytes are other numbers
    places = [*range(9), kind, header, len(content) - 1]
    places += [dice.randrange(end) for end in (header, len(content)) for _ in range(90 if ALL else 6)]
    for at in places:
        path.write_bytes(content[:at] + (b"I" if at == kind else bytes([content[at] ^ 1])) + content[at + 1:])
        try:        # a space more or less between two facts is no damage
            tensors, others = read_weights(path)
            assert others == facts and tensors.keys() == good.keys() and all(torch.equal(tensors[k], good[k]) for k in good)
        except ValueError as error:
            assert "is damaged" in str(error)
            tries(str(error))
        path.write_bytes(content[:at])
        with pytest.raises(ValueError, match="is damaged: it cannot be read"):
            LOADERS[name](path)
        tries("is damaged: it cannot be read")


CHANGES = {
    "another network: .*Missing key": lambda tensors, facts: tensors.pop("fc8.bias"),
    "another network: .*Unexpected key": lambda tensors, facts: tensors.update(fc9=torch.zeros(2)),
    "another network: .*size mismatch": lambda tensors, facts: tensors.update({"fc8.bias": torch.zeros(3)}),
    "another network: it does not say its mean": lambda tensors, facts: facts.pop("mean"),
    "by a newer version of this course: its format is 2, expected 1. Try to update": lambda tensors, facts: facts.update(format=2),
}


@pytest.mark.parametrize("says", CHANGES)
def test_another_network_with_a_right_hash(says, tmp_path, tries):
    """Weights: of another network, or of a newer format, with a right hash"""
    tensors, facts = read_weights(DATA / "coursenet.safetensors")
    CHANGES[says](tensors, facts)
    write_weights(tensors, tmp_path / "net.safetensors", **facts)
    with pytest.raises(ValueError, match=f"(?s){says}"):
        load_weights(tmp_path / "net.safetensors")
    tries(says.replace(".*", ""))


def test_a_file_of_another_kind(tmp_path, tries, monkeypatch):
    """Weights: none, a folder, a page, another tool's or another network's file in their place"""
    with pytest.raises(ValueError, match="another network: it does not say its styles"):
        load_transform_net(DATA / "coursenet.safetensors")
    monkeypatch.setattr(nets, "DATA", tmp_path)
    path = tmp_path / "coursenet.safetensors"
    for write, says in ((lambda: None, "There is no"), (path.mkdir, "cannot be read: (Is a dir|Perm)"),
                        (lambda: (path.rmdir(), save_file({"w": torch.ones(2, dtype=torch.bfloat16)}, path)), "is damaged"),
                        (lambda: path.write_text("<html>Sign in</html>"), "is damaged"),
                        (lambda: path.write_bytes(FILE.read_bytes()), "holds another network: it does not say its classes")):
        write()
        for weights in ("DEFAULT", None):
            with pytest.raises(ValueError, match=says):
                load_net("coursenet", weights=weights)
            tries(says)


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_are_no_numbers(value, tmp_path, tries):
    """Weights: not a number, or too large for float16"""
    path, tensors = tmp_path / "net.safetensors", {"w": torch.tensor([1.0, value]).half()}
    save_file(tensors, path, metadata={"sha256": f'"{fingerprint(tensors, {})}"'})
    for call in (lambda: read_weights(path), lambda: write_weights({"w": torch.tensor([1.0, value])}, path)):
        with pytest.raises(ValueError, match="some weights of 'w' are infinite or not a number"):
            call()
    tries("some weights are infinite or not a number")


@needs_rights
def test_weights_that_may_not_be_read(shared, tries):
    """Weights: a file, or its folder, that may not be read"""
    path = shared / "sub" / "net.safetensors"
    path.parent.mkdir()
    write_weights({"w": torch.ones(2)}, path)
    for guarded in (path, path.parent):
        guarded.chmod(0)
        with as_anyone(), pytest.raises(ValueError, match="cannot be read: Permission denied"):
            read_weights(path)
        guarded.chmod(0o755)
        tries("cannot be read: Permission denied")


@pytest.mark.parametrize("fault", ["empty", "cut", "another"])
def test_the_package_with_efficientnet(fault, tmp_path, monkeypatch, tries):
    """EfficientNet-Lite0's package: without its file, its file cut, of another version"""
    content = (efficientnet.files(efficientnet.PACKAGE.replace("-", "_")) / efficientnet.FILE).read_bytes()
    monkeypatch.setattr(efficientnet, "PACKAGE", "some-weights")
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "some_weights" / efficientnet.FILE
    file.parent.mkdir(parents=True)
    if fault != "empty":
        file.write_bytes(content[:-1] if fault == "cut" else content + b"0")
    says = "which is not installed" if fault == "empty" else "damaged, or another version"
    with pytest.raises(ValueError, match=f"{says}.*Try `pip install"):
        load_net("efficientnet-lite0")
    tries(says)


@pytest.mark.parametrize("file", ["images.jpg", "masks.png", "attributes.npz"])
def test_scenes_that_are_cut(file, tmp_path, tries):
    """Scenes: a file cut"""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = (tmp_path / file).read_bytes()
    for length in (0, len(content) // 2, *((len(content) * k // 10 for k in range(1, 10)) if ALL else ())):
        (tmp_path / file).write_bytes(content[:length])
        with pytest.raises(ValueError, match="is damaged: .*Try `git checkout"):
            scenes(tmp_path)
        tries("is damaged: it cannot be read")


# ---- Writing ----

WRITERS = {
    "net.safetensors": lambda path: save_weights(CourseNet(["a", "b"]), path),
    "picture.png": lambda path: save_image(torch.rand(1, 3, 300, 300), path),
    "checkpoint.pt": lambda path: save_checkpoint(path, 1, [], torch.nn.Linear(300, 300)),
    "figures.json": lambda path: write_text(path, "x" * 200_000),
}


@contextlib.contextmanager
def room(size):
    """Files may grow to so many bytes: what is written beyond that fails, half-way, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@needs_rights
@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_is_full_and_a_folder_without_rights(name, shared, tries):
    """Writing weights, pictures, checkpoints and figures: the disk is full half-way, or the folder is guarded or missing"""
    path = shared / name
    path.write_bytes(b"old")
    guards = [room(size) for size in ((0, 1, 100, 1000, 5_000, 20_000, 100_000) if ALL else (0, 50_000))]
    for guard, place in [*((guard, path) for guard in guards), (as_anyone(), path), (contextlib.nullcontext(), shared / "none" / name)]:
        with guard, pytest.raises(ValueError, match="Cannot write .*Try ") as said:
            WRITERS[name](place)
        assert [(left.name, left.read_bytes()) for left in shared.iterdir()] == [(name, b"old")]
        tries("Cannot write: " + str(said.value).split(": ")[1])
    WRITERS[name](path)         # and with room the same call goes on
    assert path.stat().st_size > 100_000 and list(shared.iterdir()) == [path]


SLOWLY = """
import sys, time
from helpers.files import whole
with whole(sys.argv[1]) as beside, open(beside, "w") as file:
    for _ in range(1000):
        file.write("new"), file.flush(), print("half", flush=True), time.sleep(0.01)
"""


@needs_rights
def test_killed_or_interrupted_while_it_writes(tmp_path, tries):
    """Writing: killed half-way"""
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole(path) as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [path]
    for lines in (1, 2, 5, 20, 50) if ALL else (1,):
        child = subprocess.Popen([sys.executable, "-c", SLOWLY, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(lines):
            child.stdout.readline()
        child.kill(), child.communicate()
        assert path.read_text() == "old"
        tries("the old file stays")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_two_write_the_same_file_at_once(tmp_path, tries):
    """Two at once write and read the same weights"""
    path = tmp_path / "net.safetensors"

    def work(k):
        for _ in range(100 if ALL else 10):
            write_weights({"w": torch.full((50_000,), float(k))}, path)
            assert read_weights(path)[0]["w"].unique().numel() == 1
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (1, 2)))
    assert list(tmp_path.iterdir()) == [path]
    tries("each reads one of both, whole")


@needs_rights
def test_links_devices_and_guarded_files_stay_what_they_are(shared):
    real, link = shared / "real.txt", shared / "link.txt"
    link.symlink_to(real)
    write_text(link, "new"), write_text(os.devnull, "x")
    assert link.is_symlink() and real.read_text() == "new" and not Path(os.devnull).is_file()
    real.chmod(0o640), write_text(link, "newer")
    assert real.stat().st_mode & 0o777 == 0o640
    real.chmod(0o444), shared.chmod(0o777)
    with as_anyone(), pytest.raises(ValueError, match="Permission denied"):
        write_text(real, "newer")


def test_a_mistake_in_what_is_written_is_no_fault_of_the_disk(tmp_path):
    with pytest.raises(KeyError, match="nothing"), whole(tmp_path / "file") as beside:
        beside.write_text({}["nothing"])
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_is_cut_or_of_another_training(tmp_path, tries):
    """A checkpoint: cut, or of another training"""
    path = tmp_path / "net.pt"
    save_checkpoint(path, 1, [], torch.nn.Linear(30, 30))
    content = path.read_bytes()
    for length, size in ((None, 3), (0, 30), (100, 30), (len(content) // 2, 30), (len(content) - 1, 30)):
        path.write_bytes(content[:length])
        with pytest.raises(SystemExit, match="is damaged, or the checkpoint of another training.*Delete it"):
            resume_checkpoint(path, "cpu", torch.nn.Linear(size, size))
        tries("is damaged, or the checkpoint of another training")


def test_notebooks_write_no_file():
    """So that a kernel that is restarted half-way, or two notebooks at once, find nothing that another has left."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
        assert not re.search(r"\bopen\(|write_(text|bytes)|savefig|(np|torch)\.save|save_(image|weights)|to_csv|mkdir", code), path.name
