#!/usr/bin/env python3
"""Sets up the course where it stands, and runs it. Needs Python 3.11 to 3.13; the first time, also a network.

    python3 run.py lab [ARGS]            opens JupyterLab on the notebooks; ARGS go to jupyter lab
    python3 run.py test [ARGS]           lint, the helpers' tests and every notebook; ARGS go to pytest
    python3 run.py notebooks [NAME ...] [--inplace]
                                         executes the notebooks (or those whose names begin with NAME) from top to
                                         bottom and writes them as HTML to build/; --inplace also stores the outputs
                                         in the notebooks themselves
    python3 run.py bench [NAME ...]      runs the benchmarks in tests/benchmarks/
    python3 run.py badges ORG/REPO       fills in the repository: in README.md's badges, and wherever else README.md
                                         and the notebooks give its address
    python3 run.py python [ARGS]         the environment's own Python, with `import helpers` from any folder
    python3 run.py --help                this text

The environment lies in .venv and is made from requirements.txt; one that is missing, out of date or broken is made
anew, so deleting .venv is always safe. Packages are installed by uv: yours, or one put into .tools; else by pip.

On Linux, requirements.txt means PyTorch's CUDA builds, a download of several gigabytes. Where there is no NVIDIA
driver, PyTorch's CPU builds are tried first, a tenth of that. --cpu or --cuda, right before or right after the
command, decides it; the environment then stays as it is until the other is asked for.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV, TOOLS, LOCK, BUILD = ROOT / ".venv", ROOT / ".tools", ROOT / "requirements.txt", ROOT / "build"
SETUP = 1  # raise it when environments are to be made differently: those that exist are then made anew
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
BUILDS = {"--cpu": "cpu", "--cuda": "lock"}
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120", "--nbval-kernel-startup-timeout=120"]
NO_NETWORK = re.compile(r"dns error|error sending request|name resolution|connection|timed out|unreachable|network was disabled", re.I)


def unsupported(version):
    """A sentence for a Python that the lock was not made for, or None."""
    if (3, 11) <= tuple(version[:2]) <= (3, 13):
        return None
    return f"This needs Python 3.11, 3.12 or 3.13, and got {version[0]}.{version[1]}. Try `python3.12 run.py`, or install one of them."


def say(sentence):
    print(f"run.py: {sentence}", file=sys.stderr, flush=True)


def stop(sentence):
    sys.exit(f"run.py: {sentence}")


# ---- Is the environment whole? ---------------------------------------------------------------------------------------


def interpreter():
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def site_packages():
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(VENV)}))


def key():
    """What an environment depends on, as one string."""
    return hashlib.sha256(f"{SETUP} {sys.version_info[:2]} ".encode() + LOCK.read_bytes()).hexdigest()


def contents(folder):
    """{entry: how many files it holds}. Byte code comes and goes, so it is not counted."""

    def files(path):
        return sum(len(names) for place, _, names in os.walk(path) if not place.endswith("__pycache__"))

    return {entry.name: files(entry.path) if entry.is_dir() else 1 for entry in os.scandir(folder) if entry.name != "__pycache__"}


def fault(build=None):
    """Why .venv can't be used as it is, or None. `build` is "cpu" or "lock" where one was asked for."""
    try:
        stamp = json.loads((VENV / "stamp.json").read_text(encoding="utf-8"))
        if stamp["key"] != key():
            return "requirements.txt, Python or run.py has changed"
        if build not in (None, stamp["build"]):
            return "the other build of PyTorch was asked for"
        then, now = stamp["contents"], contents(site_packages())
    except (OSError, ValueError, KeyError):
        return "it is only half made" if VENV.exists() else "there is none yet"
    if not attempt(interpreter(), "-c", "")[0]:
        return "its Python does not start"
    lost = [name for name in then if now.get(name, 0) < then[name]]
    return f"files of {lost[0]} are missing" if lost else None


def prepare(build=None):
    """Makes .venv anew if it needs that. The first look, outside the lock, keeps a second start quick."""
    if sys.platform != "linux":
        build = None  # there is one build only
    if fault(build):
        with alone():
            reason = fault(build)
            if reason:
                say(f"Setting up .venv: {reason}.")
                make(build)


@contextmanager
def alone():
    """Lets in one run.py at a time. The system opens the lock when its process ends, however it ends: none is ever stale."""
    TOOLS.mkdir(exist_ok=True)
    with open(TOOLS / "lock", "w") as file:
        if not locked(file):
            say("Another run.py is setting up .venv: waiting for it.")
            while not locked(file):
                time.sleep(1)
        yield


def locked(file):
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # a file system that has no locks: go on without one
    return True


# ---- Making it -------------------------------------------------------------------------------------------------------


def make(asked):
    lock = LOCK.read_text(encoding="utf-8").splitlines()
    install = start_afresh()
    for build in builds(asked):
        worked = all(attempt(*install, *options, *pins, show=True)[0] for options, pins in steps(build, lock))
        # A torch and a torchvision that do not go together install well enough: only importing them tells.
        if worked and attempt(interpreter(), "-c", "import torch, torchvision", show=True)[0]:
            break
        say(f"That did not work with PyTorch's {'CPU builds' if build == 'cpu' else 'builds as requirements.txt has them'}.")
        install = start_afresh()
    else:
        stop("The environment could not be made, for the reason above. The same command tries again.")
    seal(build)
    say("The environment is ready.")


def seal(build):
    """Makes helpers importable from any folder and writes the stamp, last of all: it says that .venv is whole."""
    # The path is relative to its own folder, so that it holds wherever the project is moved to.
    (site_packages() / "course.pth").write_text(os.path.relpath(ROOT, site_packages()) + "\n", encoding="utf-8")
    stamp = {"key": key(), "build": build, "contents": contents(site_packages())}
    (VENV / "stamp.json").write_text(json.dumps(stamp), encoding="utf-8")


def start_afresh():
    """Replaces .venv by an empty one; returns the command that installs pins into it."""
    base = getattr(sys, "_base_executable", sys.executable)  # ours may be .venv's own, which is about to go
    uv = find_uv(base)
    (VENV / "stamp.json").unlink(missing_ok=True)  # first of all: what is half gone is not whole
    shutil.rmtree(VENV, ignore_errors=True)
    made, output = attempt(uv, "venv", "--python", base, VENV) if uv else attempt(base, "-m", "venv", VENV)
    if not made:
        stop(trouble(output))
    install = [uv, "pip", "install", "--python", interpreter()] if uv else [interpreter(), "-m", "pip", "install"]
    # A rehearsal: without a network an installer says many words, and one sentence is better.
    ready, output = attempt(*install, "--dry-run", "--no-deps", *(["-r", LOCK] if uv else [LOCK.read_text().split()[0]]))
    if not ready:
        stop(trouble(output))
    return [*install, "--no-deps"]


def find_uv(base):
    """The path of uv, installed into .tools if need be; None where it can't be had and pip has to do."""
    places = os.pathsep.join(str(TOOLS / folder) for folder in ("bin", "Scripts"))
    uv = shutil.which("uv") or shutil.which("uv", path=places)
    if not uv:
        worked, output = attempt(base, "-m", "pip", "install", "--retries", "1", "--upgrade", "--target", TOOLS, "uv")
        if not worked and NO_NETWORK.search(output):
            stop(trouble(output))
        uv = shutil.which("uv", path=places)
    return uv


def builds(asked):
    """The builds of PyTorch to try, in order: "cpu" from its CPU index, "lock" as requirements.txt has them."""
    if asked or sys.platform != "linux":
        return [asked or "lock"]
    if nvidia_driver():
        return ["lock"]
    if answers(CPU_INDEX + "/torch/"):
        return ["cpu", "lock"]
    say("PyTorch's CPU index can't be reached, so its CUDA builds are installed: larger, and as good on a CPU.")
    return ["lock"]


def nvidia_driver():
    return any(os.path.exists(path) for path in ("/proc/driver/nvidia/version", "/dev/nvidiactl")) or bool(shutil.which("nvidia-smi"))


def answers(address, seconds=4):
    """Whether an address answers in time. Asked in a thread, since no timeout covers looking up its name."""
    from urllib.request import urlopen

    answered = threading.Event()

    def ask():
        try:
            urlopen(address, timeout=seconds).close()
            answered.set()
        except (OSError, ValueError):
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def steps(build, lock):
    """What to install, as [(options, pins), ...]. torch and torchvision must come from the same place."""
    if build == "lock":
        return [([], lock)]
    names = {line: re.split(r"[=;\[\s]", line)[0] for line in lock}
    torch = [line for line in lock if names[line] in ("torch", "torchvision")]
    rest = [line for line in lock if line not in torch and not names[line].startswith(("nvidia-", "cuda-", "triton"))]
    return [(["--index-url", CPU_INDEX], torch), ([], rest)]


def trouble(output):
    """One sentence for what an installer said when it failed."""
    if NO_NETWORK.search(output):
        return "There is no network, or none that reaches the package index: connect, and give the same command again."
    if "No module named pip" in output or "ensurepip" in output:
        return "This Python lacks pip and venv: install them (on Debian and Ubuntu: apt install python3-venv) or uv, and try again."
    return "The environment could not be made: " + (" ".join(output.strip().splitlines()[-3:]) or "the installer did not say why.")


# ---- Commands --------------------------------------------------------------------------------------------------------


def attempt(*command, show=False):
    """Runs a step of the set-up: whether it succeeded, and what it said, which is kept back unless `show`."""
    pipes = {} if show else {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run([str(part) for part in command], text=True, errors="replace", **pipes)
    except OSError as error:
        return False, str(error)
    return done.returncode == 0, done.stdout


def call(*command, cwd=None):
    """Runs a command to its end; returns its exit code. Ctrl-C is for the command to answer, and we wait for it."""
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    child = subprocess.Popen([str(part) for part in command], cwd=cwd)
    code = child.wait()
    return code if code >= 0 else 128 - code


def lab(args):
    options = [f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks"]
    return call(interpreter(), "-m", "jupyterlab", *options, *args, cwd=ROOT)


def test(args):
    for name, command in {"ruff": ["ruff", "check"], "pytest": ["pytest", *NBVAL, *args]}.items():
        code = call(interpreter(), "-m", *command, cwd=ROOT)
        if code:
            say(f"{name} failed, see above.")
            return code
    return 0


def notebooks(args):
    return call(interpreter(), "-c", "import run, sys; sys.exit(run.execute(sys.argv[1:]))", *args, cwd=ROOT)


def bench(args):
    return max(call(interpreter(), path, cwd=ROOT) for path in chosen(ROOT / "tests" / "benchmarks", "*.py", args))


def badges(args):
    """Puts a repository in the place of the one between README.md's two marks, in all addresses that name that one."""
    if len(args) != 1 or not re.fullmatch(r"[\w.-]+/[\w.-]+", args[0]):
        stop(f"badges needs a repository as ORG/REPO, such as octocat/course, and got {' '.join(args) or 'nothing'}.")
    readme = ROOT / "README.md"
    marked = re.search(r"<!-- badges -->.*<!-- /badges -->", readme.read_text(encoding="utf-8"), re.S)
    current = marked and re.search(r"/(?:gh|github)/([\w.-]+/[\w.-]+)", marked[0])
    if not current:
        stop("README.md has no badge between <!-- badges --> and <!-- /badges -->: put them back from its history.")
    address = re.compile(rf"((?:/gh|/github|github\.com)/){re.escape(current[1])}(?![\w-])")
    for path in [readme, *(ROOT / "notebooks").glob("*.ipynb")]:
        text = address.sub(rf"\g<1>{args[0]}", path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


def chosen(folder, pattern, names):
    """The files of a folder whose names begin with one of `names`, or all of them."""
    paths = sorted(folder.glob(pattern))
    unknown = [name for name in names if not any(path.name.startswith(name) for path in paths)]
    if unknown or not paths:
        known = ", ".join(path.stem for path in paths) or "nothing yet"
        stop(f"There is no {' or '.join(unknown) or pattern} in {folder.relative_to(ROOT).as_posix()}/, only: {known}.")
    return [path for path in paths if not names or path.name.startswith(tuple(names))]


COMMANDS = {"lab": lab, "test": test, "notebooks": notebooks, "bench": bench, "badges": badges}
COMMANDS["python"] = lambda args: call(interpreter(), *args)


# ---- Executing notebooks: this part runs inside the environment ------------------------------------------------------


def execute(args):
    """Executes notebooks and writes them to build/; with --inplace, stores their outputs too. Returns the exit code."""
    names = [arg for arg in args if arg != "--inplace"]
    try:
        failures = [execute_one(path, "--inplace" in args) for path in chosen(ROOT / "notebooks", "*.ipynb", names)]
    except KeyboardInterrupt:
        return 130
    for failure in filter(None, failures):
        say(f"failed: {failure}")
    return int(any(failures))


def peak_memory(pid):
    """The largest memory of a process so far, as ", 700 MB at most"; nothing where the system has no /proc."""
    try:
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        unused = gpu_libraries(Path(f"/proc/{pid}/smaps").read_text())
    except OSError:
        return ""
    note = f", {unused:.0f} MB of it the pages of GPU libraries" if unused >= 1 else ""     # builds for CPUs come without them
    return f", {int(peak[1]) * 1024 / 1e6:.0f} MB at most{note}" if peak else ""


def gpu_libraries(smaps):
    """MB in memory of the files of CUDA and Triton, from the text of /proc/PID/smaps."""
    library, lines = r"site-packages/(?:nvidia|triton)/.+|lib\w+_cuda\S*", r"(?:\w+: .*\n)*?"
    pages = re.findall(rf"^\S+-\S+ .*/(?:{library})\n{lines}Rss:\s+(\d+) kB", smaps, re.MULTILINE)
    return sum(map(int, pages)) * 1024 / 1e6


def execute_one(path, inplace):
    """Executes one notebook in a kernel of its own; returns which cell failed and how, or None."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbconvert import HTMLExporter

    notebook = nbformat.read(path, as_version=4)
    metadata = nbformat.from_dict(notebook.metadata)
    cells = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for _, cell in cells:  # what an earlier run left would look like this one's
        cell.outputs, cell.execution_count = [], None
        cell.metadata.pop("execution", None)  # when it ran, and for how long
    place = {"metadata": {"path": str(path.parent), "name": path.stem}}
    quiet = ["--log-level=ERROR"]  # a kernel for this machine alone warns that its talk is not encrypted
    client = NotebookClient(notebook, timeout=600, startup_timeout=120, record_timing=False, resources=place, extra_arguments=quiet)
    failure = None
    start = time.perf_counter()
    with client.setup_kernel():
        for number, (index, cell) in enumerate(cells, 1):
            begin = time.perf_counter()
            try:
                client.execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                print(error, file=sys.stderr)
                failure = f"{path.stem}, cell {number}/{len(cells)}: {getattr(error, 'ename', type(error).__name__)}"
                break
            print(f"{path.stem}  cell {number}/{len(cells)}  {time.perf_counter() - begin:.1f} s", flush=True)
        client.set_widgets_metadata()
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s{peak_memory(client.km.provisioner.pid)}", flush=True)
    BUILD.mkdir(exist_ok=True)
    (BUILD / f"{path.stem}.html").write_text(HTMLExporter().from_notebook_node(notebook, place)[0], encoding="utf-8")
    if inplace and not failure:
        notebook.metadata = metadata  # without the widgets' state, which is large and soon stale
        for output in (output for _, cell in cells for output in cell.outputs):
            if output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None):
                output.data["text/plain"] = "(A widget: it appears when the notebook runs.)"
        nbformat.write(notebook, path)
    return failure


# ---- The command line ------------------------------------------------------------------------------------------------


def parse(args):
    """(command, its arguments, "cpu" or "lock" or None): --cpu and --cuda count right before and right after the command."""
    build, command, args = None, None, list(args)
    while args and (args[0] in BUILDS or command is None):
        word = args.pop(0)
        if word in BUILDS:
            build = BUILDS[word]
        else:
            command = word
    return command, args, build


def main(args):
    command, args, build = parse(args)
    if command in (None, "help", "-h", "--help") or (command in ("notebooks", "bench", "badges") and {"-h", "--help"} & set(args)):
        print(__doc__.strip())
        return 0
    if command not in COMMANDS:
        close = get_close_matches(command, COMMANDS, n=1)
        stop(f"There is no command {command!r}. " + (f"Did you mean {close[0]}?" if close else f"There are: {', '.join(COMMANDS)}."))
    if command != "badges":
        prepare(build)
    return COMMANDS[command](args)


if __name__ == "__main__":
    if unsupported(sys.version_info):
        stop(unsupported(sys.version_info))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
