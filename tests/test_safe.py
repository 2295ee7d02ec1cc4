"""Nothing that the course reads can run or write anything: not weights, pictures, archives, submitted answers or names of files."""

import ast
import io
import json
import os
import pickle
import re
import subprocess
import sys
import tarfile
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
import torch
import yaml
from PIL import Image
from torchvision.datasets import Imagenette

from helpers import nets
from helpers.exercises import grade
from helpers.images import imagenette, load_image
from helpers.interact import Line, errors_in, upload
from helpers.nets import load_net
from helpers.recipes.checkpoints import resume_checkpoint
from tests.test_project import ours

ROOT = Path(__file__).resolve().parents[1]


# ---- What the code asks for ----

PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "runpy"}
RUNS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "read_pickle", "torch.hub.load", "shutil.unpack_archive"}
ALLOWED = {
    ("helpers/nets.py", "pickle"): "the name of an error",
    ("helpers/recipes/checkpoints.py", "pickle"): "the name of an error",
    ("tests/test_downloads.py", "pickle"): "to write a file that must be refused",
    ("helpers/nets.py", "runpy"): "the names of ImageNet's classes, of the installed torchvision",
    ("helpers/exercises/grade.py", "exec"): "students' answers, which the command warns of",
    ("tests/test_benchmarks.py", "runpy"): "our own benchmarks",
    ("tests/test_contributing.py", "exec"): "the code of CONTRIBUTING.md",
    ("tests/test_project.py", "exec"): "the settings in .devcontainer",
    ("tests/test_safe.py", "pickle"): "to write the files that must be refused",
    ("tests/test_safe.py", "torch.load without weights_only"): "to see that they would have run",
}


def dangers(code):
    """What could run what is read: imports and calls, by name."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from PICKLES & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            yield from PICKLES & {(node.module or "").split(".")[0]}
            yield from {f"{node.module}.{alias.name}" for alias in node.names} & {*RUNS, "torch.load", "torch.hub.load_state_dict_from_url"}
        elif isinstance(node, ast.Call):
            name, given = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            last, first = name.rpartition(".")[2], node.args[0] if node.args else None
            of_text = isinstance(first, (ast.JoinedStr, ast.BinOp)) or isinstance(first, ast.Constant) and isinstance(first.value, str)
            yield from {name, last if last in ("eval", "exec") and name == last else name} & RUNS
            if last in ("load", "load_state_dict_from_url") and name.startswith("torch.") and given.get("weights_only") != "True":
                yield "torch.load without weights_only"
            if given.get("allow_pickle", "False") != "False":
                yield "allow_pickle"
            if last in ("extract", "extractall") and given.get("filter") != "'data'":
                yield "an archive without filter='data'"
            if given.get("shell", "False") != "False" or name.startswith("subprocess.") and of_text:
                yield "a shell"


def codes():
    """(file, Python code) of everything that is ours: modules, the notebooks' cells, the code in pages of text."""
    pages = []
    for name, content in ours().items():
        if name.endswith(".py"):
            yield name, content
        elif name.endswith(".ipynb"):
            for cell in nbformat.reads(content, as_version=4).cells:
                if cell.cell_type == "code":
                    yield "a cell", cell.source
                else:
                    pages.append(cell.source)
        elif name.endswith(".md"):
            pages.append(content)
    for code in re.findall(r"^```python\n(.*?)^```", "\n".join(pages), re.M | re.S):
        with suppress(SyntaxError):     # a line out of a table, say
            ast.parse(code)
            yield "a page", code


def test_what_could_run_what_it_reads_stands_in_few_places():
    found = {(file, danger) for file, code in codes() for danger in dangers(code)}      # a cell with ! or %% is no Python, and raises here
    assert found == set(ALLOWED)


@pytest.mark.parametrize("code, danger", [
    ("torch.load(path)", "torch.load without weights_only"),
    ("torch.load(path, weights_only=False)", "torch.load without weights_only"),
    ("torch.hub.load_state_dict_from_url(url)", "torch.load without weights_only"),
    ("np.load(path, allow_pickle=True)", "allow_pickle"),
    ("import pickle as p", "pickle"),
    ("from joblib import load", "joblib"),
    ("from torch import load", "torch.load"),
    ("from os import system", "os.system"),
    ("yaml.load(text, Loader)", "yaml.load"),
    ("eval(text)", "eval"),
    ("tar.extractall(folder)", "an archive without filter='data'"),
    ("subprocess.run(words, shell=True)", "a shell"),
    ("subprocess.run(f'git clone {url}')", "a shell"),
])
def test_each_of_them_would_be_seen(code, danger):
    assert list(dangers(code)) == [danger]


def test_what_runs_nothing_is_not_taken_for_it():
    assert not list(dangers("torch.load(path, weights_only=True)\nnp.load(path)\nnet.eval()\nphoto.load(64)\nsubprocess.run(['git'])"))


def test_scripts_quote_what_they_are_given():
    """A path with a space or a * stays one word: shellcheck's first rule."""
    for name in (".ci/run", "binder/postBuild", "binder/start"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            rest = re.sub(r'"\$[\w@]+"', "", line)
            assert all(rest[:at.start()].count('"') % 2 for at in re.finditer(r"\$", rest)), (name, line)


# ---- Weights ----

class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return open, (self.file, "w")


@pytest.mark.parametrize("written", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb, 2))], ids=["zip", "pickle"])
def test_weights_that_would_run_are_refused(written, tmp_path, monkeypatch):
    """torchvision takes weights from its cache as they are. We look at their hash, and would not run them either."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    file = tmp_path / "hub/checkpoints/alexnet-owt-7be5be79.pth"
    file.parent.mkdir(parents=True)
    written({"features.0.weight": Bomb(tmp_path / "ran")}, file)
    with pytest.raises(ValueError, match="is damaged: its SHA-256 is"):
        load_net("alexnet")
    monkeypatch.setattr(nets, "check_cached", lambda file: None)
    with pytest.raises(ValueError, match="holds more than weights; it was not run"):
        load_net("alexnet")
    with pytest.raises(SystemExit, match="is damaged, or the checkpoint of another training"):
        resume_checkpoint(file, "cpu")
    assert not (tmp_path / "ran").exists() and "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    with suppress(RuntimeError):        # it does not like what it has run
        torch.load(file, weights_only=False)
    assert (tmp_path / "ran").exists(), "the bomb is none"


# ---- Pictures ----

WATCHED = """
import io, json, os, sys
from pathlib import Path
from PIL import Image, PngImagePlugin
from helpers.images import load_image

folder, did = Path(sys.argv[1]), []
text = "<script>alert(1)</script><img src=x onerror=alert(1)> $(touch ran) `touch ran` ; touch ran | touch ran"
eps = b"%!PS-Adobe-3.0 EPSF-3.0\\n%%BoundingBox: 0 0 9 9\\n(%pipe%touch ran) (w) file\\nshowpage\\n%%EOF\\n"
svg = f'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/><script>{text}</script></svg>'.encode()
pdf = b"%PDF-1.7\\n1 0 obj<</OpenAction<</S/Launch/F(touch ran)>>>>endobj\\ntrailer<</Root 1 0 R>>\\n%%EOF\\n"
hostile = {"eps": eps, "svg": svg, "pdf": pdf, "html": text.encode(), "sh": f"#!/bin/sh\\n{text}\\n".encode(),
           "pickle": b"cos\\nsystem\\n(S'touch ran'\\ntR."}
exif = Image.Exif()
exif[0x010E] = exif[0x0131] = exif[0x9286] = text
notes = PngImagePlugin.PngInfo()
notes.add_text("Comment", text), notes.add_itxt("XML:com.adobe.xmp", text)
for kind, told in {"PNG": {"pnginfo": notes, "exif": exif}, "JPEG": {"exif": exif, "comment": text.encode()}, "TIFF": {"exif": exif},
                   "GIF": {"comment": text.encode()}, "WEBP": {"exif": exif, "xmp": text.encode()}, "PPM": {}}.items():
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), "red").save(buffer, kind, icc_profile=text.encode(), **told)
    hostile[f"fine.{kind}"] = buffer.getvalue()
names = ["a.{}", "a.png", "$(touch ran).{}", "; touch ran", "%!PS.{}", "<img src=x onerror=alert(1)>.{}", "|touch ran", "-dSAFER.{}"]
for kind, content in hostile.items():
    for name in names:
        path = folder / kind / name.format(kind).replace("/", "")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

def watch(event, args):
    if event.startswith(("subprocess", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "socket", "exec", "ctypes")):
        did.append(event)
    elif event == "open" and (isinstance(args[1], str) and set("wax+") & set(args[1])):
        did.append(f"wrote {args[0]}")

load_image(hostile["fine.PNG"])         # what it imports at first is not of the picture's doing
paths, read = sorted(folder.glob("*/*")), []
sys.addaudithook(watch)
for path in paths:
    try:
        read.append((path.parent.name, load_image(path).shape[2] == 9))
    except ValueError:
        pass
print(json.dumps([len(paths), read, did]))
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", WATCHED, folder], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return *json.loads(done.stdout), folder


@pytest.mark.skipif(sys.platform == "win32", reason="such names of files are not allowed there")
def test_pictures_start_no_program_call_no_address_and_write_no_file(watched):
    """PostScript, PDF and SVG are refused unread: Pillow would hand PostScript to Ghostscript."""
    count, read, did, folder = watched
    assert count >= 80 and not did and not list(folder.glob("**/ran"))
    assert {kind for kind, _ in read} == {f"fine.{kind}" for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "PPM")}
    assert all(whole for _, whole in read)


def test_postscript_that_pillow_has_opened_is_not_run():
    program = Image.open(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"))
    with pytest.raises(ValueError, match="PostScript"):
        load_image(program)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.png", "<script>alert(1)</script>"])
def test_a_name_or_an_error_is_shown_as_text(name):
    line = Line()
    with errors_in(line):
        load_image(name)
    assert "does not exist" in line.value and not {"<img", "<script"} & set(re.findall(r"<\w+", line.value))
    _, screen = (box := upload(lambda image: (image, "fine"))).children
    file = {"name": name, "type": "image/png", "size": 3, "content": memoryview(b"<i>"), "last_modified": datetime.now(UTC)}
    box.children[0].value = (file,)
    assert "cannot be read" in screen.text.value and name not in screen.text.value


# ---- Archives ----

@contextmanager
def served(folder):
    """The folder's files at an address on this machine, which is given."""
    class Quiet(SimpleHTTPRequestHandler):
        log_message = lambda *_: None

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("there", [True, False], ids=["in the folder", "from the address"])
def test_an_archive_that_was_exchanged_is_not_opened(there, tmp_path, monkeypatch):
    """Imagenette's hash is asked before the archive is opened, whether it lies there or has come from the address."""
    folder, packed = tmp_path / "here/data", tmp_path / "imagenette2-160.tgz"
    folder.mkdir(parents=True)
    with tarfile.open(packed, "w:gz") as tar:
        for name in ("../outside", str(tmp_path / "absolute"), "imagenette2-160/val/n01440764/a.JPEG"):
            tar.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("imagenette2-160/link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../.."
        tar.addfile(link)
    _, hash = Imagenette._ARCHIVES["160px"]
    assert len(hash) == 32
    if there:
        (folder / packed.name).write_bytes(packed.read_bytes())
    with served(tmp_path) as address:
        monkeypatch.setattr(Imagenette, "_ARCHIVES", Imagenette._ARCHIVES | {"160px": (f"{address}/{packed.name}", hash)})
        with pytest.raises(ConnectionError, match="not found or corrupted"):
            imagenette(folder)
    assert {path.name for path in tmp_path.rglob("*")} == {"here", "data", packed.name}


# ---- Submitted answers ----

def test_it_says_that_it_runs_students_code(tmp_path, capsys):
    path = tmp_path / "ada.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)
    grade.main([str(path), "--csv", str(tmp_path / "out.csv")])
    assert capsys.readouterr().out.startswith("This runs the code in these files, with your rights")


@pytest.mark.parametrize("text, share, says", [
    ('[1.0, "✓ right"]', 1, "✓ right"),
    ('[null, "✗ wrong"]', 0, "✗ wrong"),
    ('[100, "✓"]', 0, "a share of 100"),
    ('[NaN, "✓"]', 0, "a share of nan"),
    ('[1, ""]', 0, "can't be read"),
    ("{", 0, "can't be read"),
    ('[1, "\\u001b[2J✓"]', 1, "[2J✓"),
])
def test_a_verdict_that_an_answer_wrote_itself_ends_nothing_and_gets_no_more_than_all_points(text, share, says, tmp_path):
    (tmp_path / "verdict.json").write_text(text, encoding="utf-8")
    got = grade.verdict(tmp_path / "verdict.json")
    assert got[0] == share and says in got[1] and got[1].isprintable()


# ---- JupyterLab, and what is scanned ----

def test_the_lab_keeps_jupyters_own_guards(monkeypatch, tmp_path):
    """On localhost, with a token, with the check of where a request comes from."""
    import run
    given = []
    monkeypatch.setattr(run, "inside", lambda *args: given.extend(args))
    run.COMMANDS["lab"](())
    assert {str(arg).split("=")[0] for arg in given} == {"-m", "jupyterlab", "--ServerApp.root_dir", "--LabApp.default_url"}
    code = """import json, sys
from jupyterlab.labapp import LabApp
s = LabApp.initialize_server(json.loads(sys.argv[1]))
print([s.ip, len(s.identity_provider.token), s.allow_origin, s.disable_check_xsrf, s.allow_remote_access])"""
    options = json.dumps([str(arg) for arg in given[2:]] + ["--no-browser", "--port=0", "--allow-root"])
    env = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER_")}       # not a user's own settings
    env |= {f"JUPYTER_{kind}_DIR": str(tmp_path) for kind in ("CONFIG", "DATA", "RUNTIME")}
    done = subprocess.run([sys.executable, "-c", code, options], capture_output=True, text=True, env=env)
    assert done.stdout.splitlines()[-1:] == ["['localhost', 48, '', False, False]"], done.stdout + done.stderr


def test_the_lock_is_scanned_and_the_oldest_and_newest_versions_are_tried_every_week():
    workflow = yaml.safe_load((ROOT / ".github/workflows/trust.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert re.fullmatch(r"\d+ \d+ \* \* \d", workflow[True]["schedule"][0]["cron"]) and workflow["permissions"] == {"contents": "read"}
    assert job["strategy"]["matrix"] == {"what": ["safe --strict", "same versions"]}
    assert job["steps"][-1]["run"] == "python3 run.py trust ${{ matrix.what }}"
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
