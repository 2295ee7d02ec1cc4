#!/usr/bin/env python3
"""Run the course in an environment of its own, .venv, which the first command makes.

    python3 run.py lab [ARGS]       open the notebooks in JupyterLab
    python3 run.py test [ARGS]      run the linter, the tests, and the notebooks; ARGS go to pytest:
                                    -m quick takes two minutes, -m slow is what runs weekly
    python3 run.py python [ARGS]    run the environment's Python
    python3 run.py NAME [ARGS]      run a program of scripts/; NAME --help explains it

Deleting .venv is always safe. PyTorch's build suits the machine; UV_TORCH_BACKEND=cpu (or cu130)
chooses another one when .venv is made.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK = ROOT / "requirements.txt"
BACKEND = VENV / "torch-backend"    # written last; empty where PyTorch's own index can't be reached
PROGRAMS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))

def prepare():
    """Make .venv if there is none, and install whatever the lock names and .venv lacks."""
    backend = os.environ.pop("UV_TORCH_BACKEND", "auto")    # uv would heed it at every start
    path = os.pathsep.join([str(ROOT / ".tools/bin"), os.environ.get("PATH", "")])
    if not shutil.which("uv", path=path):
        attempt(sys.executable, "-m", "pip", "install", "-q", f"--target={ROOT / '.tools'}", "uv")
    uv = shutil.which("uv", path=path)
    install = [uv, "pip", "install", f"--python={PYTHON}"]
    if not BACKEND.exists():
        suits = (3, 11) <= sys.version_info < (3, 15)
        python = sys.executable if suits else ">=3.11,<3.15"
        attempt(uv, "venv", "-q", "--clear", f"--python={python}", VENV)
        attempt(*install, "-q", "--no-deps", f"--build-constraints={LOCK}", "--editable", ROOT)
        trial = [*install, "-q", "--dry-run", f"--torch-backend={backend}", "-r", LOCK]
        reached = subprocess.call(trial, stderr=subprocess.DEVNULL) == 0
        BACKEND.write_text(f"--torch-backend={backend}" if reached else "")
    attempt(*install, *BACKEND.read_text().split(), "-r", LOCK)


def attempt(*command):
    """Run a step of the setup, or stop with a sentence."""
    if subprocess.call(command):
        sys.exit("run.py: The environment could not be made, for the reason above. It needs Python "
                 f"3.11 to 3.14 (this is {sys.version.split()[0]}), pip or uv, and a network.")


def run(*command):
    """Run the environment's Python and return its exit code; Ctrl-C is for the child to handle."""
    child = subprocess.Popen([PYTHON, *command])
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    return child.wait()


def main(name="--help", *args):
    if name not in ("lab", "test", "python", *PROGRAMS):
        print(__doc__.strip(), "Programs: " + ", ".join(PROGRAMS), sep="\n\n")
        return 0 if name in ("-h", "--help") else 2
    prepare()
    if name == "lab":
        os.environ["JUPYTER_CONFIG_PATH"] = str(ROOT / ".jupyter")
        start = [f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks"]
        return run("-m", "jupyterlab", *start, *args)
    if name == "test":
        os.chdir(ROOT)
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // 2)))
        start = ["-n2", "--dist=loadfile", "--no-loadscope-reorder"]
        return run("-m", "ruff", "check") or run("-m", "pytest", *start, *args)
    return run(*args) if name == "python" else run(ROOT / "scripts" / f"{name}.py", *args)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
