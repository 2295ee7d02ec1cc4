#!/usr/bin/env python3
"""Sets up the course where it stands, and runs it. Needs Python 3.11 to 3.13; the first time, also a network.

    python3 run.py lab [ARGS]         opens JupyterLab on the notebooks; ARGS go to jupyter lab
    python3 run.py test [ARGS]        lint, the helpers' tests and every notebook; ARGS go to pytest
    python3 run.py notebooks [NAME ...] [--inplace] [--look=NETWORK]
                                      executes the notebooks (or those whose names begin with NAME) and writes them as
                                      HTML to build/; --inplace also stores the outputs in the notebooks themselves;
                                      --look=squeezenet1_1 puts another network, untrained, where they look with a real one
    python3 run.py slides [DIR]       writes the notebooks as slides to build/slides or DIR, to open without a network;
                                      --notes lists the slides, their minutes and what to say (see notebooks/LECTURE.md)
    python3 run.py bench [NAME [ARGS]]
                                      runs the benchmarks in tests/benchmarks/, or one: peers, binder, waiting, scaling ...
    python3 run.py trust [NAME [ARGS]]
                                      tries to break the course, as tests/README.md tells; or one of: pictures, functions,
                                      faults, safe, same, mutants, solutions
    python3 run.py homework DIR       writes the notebooks for students: with points, without solutions
    python3 run.py grade FILE.ipynb [...] [--csv=FILE] [--seconds=N] [--seed=N]
                                      marks submitted notebooks, prints a table and writes it as CSV; this runs students' code:
                                      do it in a container, or on a machine that you can do without
    python3 run.py badges [ORG/REPO]  fills in the repository's address in README.md, the notebooks and their like; without
                                      ORG/REPO it is that of the clone's own remote on GitHub
    python3 run.py python [ARGS]      the environment's own Python, with `import helpers` from any folder
    python3 run.py lock [ARGS]        writes requirements.txt again from pyproject.toml; --upgrade takes newer versions

uv (yours, or one put into .tools) makes the environment in .venv, in the versions of requirements.txt. One that is
missing, out of date, moved or broken is made anew, so deleting .venv is always safe. PyTorch's build suits the machine;
UV_TORCH_BACKEND=cpu (or cu130, ...) chooses another when .venv is made. Where PyTorch's own index can't be reached, its
build is that of requirements.txt: on Linux, several gigabytes with CUDA.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from difflib import get_close_matches
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV, TOOLS, LOCK, MANIFEST = ROOT / ".venv", ROOT / ".tools", ROOT / "requirements.txt", ROOT / "pyproject.toml"
PYTHON, STAMP = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"), VENV / "stamp.json"
BASE = getattr(sys, "_base_executable", sys.executable)  # sys.executable may be .venv's own Python, which can't replace itself
VERSION, SUPPORTED = "{}.{}".format(*sys.version_info), ("3.11", "3.12", "3.13")
BACKEND = os.environ.pop("UV_TORCH_BACKEND", "auto")  # taken out: uv would heed it where it has no place, too
NBVAL = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300", "--nbval-kernel-startup-timeout=120"]
NO_NETWORK = re.compile(r"dns error|error sending request|name resolution|connection|timed out|unreachable|network was disabled", re.I)
QUESTION = """import glob, importlib.util, os, sysconfig; print("its Python")
print(importlib.util.find_spec("helpers").origin); os.chdir(sysconfig.get_path("purelib"))
print(*glob.glob("*/*.py"), *glob.glob("*.dist-info/RECORD"), sep="\\n")"""


def say(sentence):
    print(f"run.py: {sentence}", file=sys.stderr, flush=True)


def stop(sentence):
    sys.exit(f"run.py: {sentence}")


def write(path, text):
    """Writes a file whole or not at all, or stops in one sentence."""
    beside = path.with_name(f"{path.name}.half")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        stop(f"{path.name} could not be written: {error}. Mend that, and give the same command again.")


# ---- The environment -------------------------------------------------------------------------------------------------

def attempt(*command, needed=False):
    """Runs a step of the set-up: whether it succeeded, and what it said, which is kept back. Stops in one sentence if it is needed."""
    try:
        pipes = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace"}
        done = subprocess.run(command, cwd=ROOT, close_fds=False, **pipes)
        succeeded, said = done.returncode == 0, done.stdout + done.stderr
    except OSError as error:
        succeeded, said = False, str(error)
    if needed and not succeeded:
        no_network = "There is no network, or none that reaches the package index: connect, and give the same command again."
        stop(no_network if NO_NETWORK.search(said) else f"This did not work: {' '.join(map(str, command))}. {' '.join(said.split())}")
    return succeeded, said


def facts():
    """What an environment depends on, and what its own Python finds in it when asked: {name: value}."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (LOCK, MANIFEST)}
    answer = attempt(PYTHON, "-I", "-c", QUESTION)[1]
    return {**texts, "the project's folder": str(ROOT), "Python": VERSION, **dict.fromkeys(answer.splitlines(), True)}


def fault():
    """Why .venv can't be used as it is, or None: it can, as long as all that its stamp says still holds."""
    try:
        stamp, now = json.loads(STAMP.read_text(encoding="utf-8")), facts()
    except (OSError, ValueError):
        return "it is only half made" if VENV.exists() else "there is none yet"
    return next((f"{name} is not as it was" for name, value in stamp.items() if now.get(name) != value), None)


def prepare():
    """Makes .venv anew if it needs that, one run.py at a time. The first look, without the lock, keeps a second start quick."""
    if fault():
        try:
            TOOLS.mkdir(exist_ok=True)
            (TOOLS / "lock").touch()
        except OSError as error:
            stop(f"The environment can't be made here: {error}.")
        with open(TOOLS / "lock", "w") as file:
            os.set_inheritable(file.fileno(), True)  # an installer that outlives a killed run.py still keeps the next one out
            while not locked(file):
                say("Another run.py is setting up .venv: waiting for it.")
                time.sleep(3)
            reason = fault()
            if reason:
                say(f"Setting up .venv: {reason}.")
                make()


def locked(file):
    """Whether the lock is ours now. The system opens it when the processes that hold it end, however they end."""
    try:
        if os.name == "nt":
            import msvcrt
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, (BlockingIOError, PermissionError))  # others tell of a file system without locks: go on
    return True


def make():
    """Makes .venv. The stamp goes first and comes last: without one, an environment is only half made."""
    uv = find_uv()
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()  # a link, and not what it leads to, which is someone else's
    STAMP.unlink(missing_ok=True)
    shutil.rmtree(VENV, ignore_errors=True)
    attempt(uv, "venv", "--python", BASE, VENV, needed=True)
    install = [uv, "pip", "install", "--python", PYTHON, "--constraints", LOCK, "--build-constraints", LOCK, "-e", ".[test,lecture]"]
    backend = ["--torch-backend", BACKEND]
    # Rehearsals first: an installer that can't go on says many words. Without a network, what uv has kept may be enough.
    online, said = attempt(*install, "--dry-run")
    install += ["--offline"] if not online and NO_NETWORK.search(said) else []
    if not attempt(*install, *backend, "--dry-run")[0]:
        attempt(*install, "--dry-run", needed=True)
        say(f"PyTorch's own index can't be reached or has no UV_TORCH_BACKEND={BACKEND}: PyTorch comes as requirements.txt has it.")
        backend = []
    if subprocess.call([*install, *backend], cwd=ROOT, close_fds=False):
        stop("The environment could not be made, for the reason above. The same command tries again.")
    write(STAMP, json.dumps(facts()))


def find_uv():
    """A uv that runs: the one in .tools, or yours, or one that pip puts into .tools."""
    path = os.pathsep.join([str(TOOLS / "bin"), str(TOOLS / "Scripts"), os.environ.get("PATH", "")])
    if not attempt(shutil.which("uv", path=path) or "uv", "--version")[0]:
        attempt(BASE, "-m", "pip", "install", "--retries=1", "--upgrade", f"--target={TOOLS}", "uv", needed=True)
    return shutil.which("uv", path=path)


# ---- The commands ----------------------------------------------------------------------------------------------------

def inside(*arguments, cwd=ROOT):
    """Runs the environment's Python; returns its exit code. Ctrl-C is for it to answer, and we wait for it."""
    prepare()
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    wish = {} if BACKEND == "auto" else {"UV_TORCH_BACKEND": BACKEND}
    child = subprocess.Popen([PYTHON, *arguments], cwd=cwd, env=os.environ | wish)
    code = child.wait()
    return code if code >= 0 else 128 - code


def test(args):
    cores = os.cpu_count() or 1
    # Two processes: a notebook's cells stay together and in order, and the notebooks, which take longest, start first.
    processes = ["-n2" if cores > 1 else "-n0", "--dist=loadfile", "--no-loadscope-reorder"]
    if cores > 1 and not any(arg.startswith(("-n", "--numprocesses")) for arg in args):
        os.environ.setdefault("OMP_NUM_THREADS", str(cores // 2))  # more threads than cores only wait for each other
    for name, *options in (["ruff", "check"], ["pytest", *NBVAL, *processes, *args]):
        code = inside("-m", name, *options)
        if code:
            say(f"{name} failed, see above.")
            return code


def notebooks(args):
    paths = chosen("notebooks", "*.ipynb", [arg for arg in args if not arg.startswith("--")])
    return inside("-m", "helpers.recipes.notebooks", *paths, *(arg for arg in args if arg.startswith("--")))


def bench(args):
    """The benchmarks whose names begin with the first word, or all; what follows it is for them."""
    return scripts("bench", "tests/benchmarks", {"peers": "peers"}, args)


def trust(args):
    """The same for the tests that take too long for `test`."""
    return scripts("trust", "tests/trust", {"mutants": "trust", "safe": "trust", "solutions": "trust"}, args)


def scripts(command, folder, extras, args):
    """Runs scripts of a folder, gives the worst exit code. `extras` says which need packages that .venv has not, {script: extra}."""
    if args and args[0].startswith("-"):
        stop(f"{command} needs a name from {folder}/ before {args[0]}.")
    paths = chosen(folder, "*.py", args[:1])
    for extra in {extras[path.stem] for path in paths if path.stem in extras}:
        prepare()
        # Where this fails, the script says which of them are missing.
        attempt(find_uv(), "pip", "install", "--python", PYTHON, "--constraints", LOCK, "-e", f".[{extra}]")
    return max(inside(path, *args[1:]) for path in paths)


def chosen(folder, pattern, names):
    """The files of a folder whose names begin with one of `names`, or all of them."""
    paths = sorted((ROOT / folder).glob(pattern))
    unknown = [name for name in names if not any(path.name.startswith(name) for path in paths)]
    if unknown:
        stop(f"There is no {' or '.join(unknown)} in {folder}/, only: {', '.join(path.stem for path in paths)}.")
    return [path for path in paths if not names or path.name.startswith(tuple(names))]


def badges(args):
    """Puts a repository in the place of the one between README.md's two marks, in all addresses that name that one."""
    args = args or [origin()]
    if len(args) != 1 or not re.fullmatch(r"[\w.-]+/[\w.-]+", args[0]):
        stop(f"badges needs a repository as ORG/REPO, such as octocat/course, and got {' '.join(args)}.")
    readme = ROOT / "README.md"
    marked = re.search(r"<!-- badges -->.*?/(?:gh|github)/([\w.-]+/[\w.-]+).*<!-- /badges -->", readme.read_text(encoding="utf-8"), re.S)
    if not marked:
        stop("README.md has no badge between <!-- badges --> and <!-- /badges -->: put them back from its history.")
    address = re.compile(rf"((?:/gh|/github|github\.com|codespaces\.new)/){re.escape(marked[1])}(?![\w-])")
    paths = [path for pattern in ("*.md", "*.cff", "notebooks/*.md", "notebooks/*.ipynb") for path in ROOT.glob(pattern)]
    for path in sorted(paths, key=lambda path: path == readme):  # last, so that the same command can go on after a fault
        write(path, address.sub(rf"\g<1>{args[0]}", path.read_text(encoding="utf-8")))
    say(f"The badges, links and addresses name {args[0]} now.")


def origin():
    """ORG/REPO of the clone's remote `origin`, which must be on GitHub, by https or by ssh."""
    needs = "badges needs a repository as ORG/REPO, such as octocat/course"
    known, said = attempt("git", "remote", "get-url", "origin") if (ROOT / ".git").exists() else (False, "")  # not that of a folder above
    if not known:
        stop(f"{needs}: there is no git remote `origin` here to take it from.")
    host = r"(?:\w+://)?(?:[^@/]*@)?(?:ssh\.|www\.)?github\.com(?::\d+)?"
    found = re.fullmatch(host + r"[:/]/*([\w.-]+/[\w.-]+?)(?:\.git)?/*", said.strip(), re.I)
    if not found:
        shown = re.sub(r"//[^@/]*@", "//", said.strip())  # without a password
        stop(f"{needs}: the git remote `origin` is {shown}, and the badges are for repositories on GitHub.")
    return found[1]


def lock(args):
    extras = ["--extra=test", "--extra=lecture", "--extra=peers", "--extra=trust"]
    options = [*extras, "--universal", f"--python-version={SUPPORTED[0]}", "--no-header", "--no-annotate"]
    attempt(find_uv(), "pip", "compile", MANIFEST, *options, f"--output-file={LOCK}", *args, needed=True)
    say("requirements.txt fits pyproject.toml; .venv follows at the next start.")


COMMANDS = {"test": test, "notebooks": notebooks, "badges": badges, "lock": lock}
COMMANDS["lab"] = lambda args: inside("-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks", *args)
COMMANDS |= {"bench": bench, "trust": trust}
COMMANDS["homework"] = lambda args: inside("-m", "helpers.exercises.homework", *args, cwd=None)
COMMANDS["grade"] = lambda args: inside("-m", "helpers.exercises.grade", *args, cwd=None)
COMMANDS["slides"] = lambda args: inside("-m", "helpers.recipes.slides", *args, cwd=None)
COMMANDS["python"] = lambda args: inside(*args, cwd=None)


def main(command="--help", *args):
    if VERSION not in SUPPORTED:
        stop(f"This needs Python 3.11, 3.12 or 3.13, and got {VERSION}. Try `python3.12 run.py`, or install one of them.")
    told_here = command in ("notebooks", "bench", "trust", "badges", "lock") and {"-h", "--help"} & set(args)
    if told_here or command in ("help", "-h", "--help"):
        return print(__doc__.strip())
    if command not in COMMANDS:
        close = get_close_matches(command, COMMANDS, n=1)
        stop(f"There is no command {command!r}. " + (f"Did you mean {close[0]}?" if close else f"There are: {', '.join(COMMANDS)}."))
    return COMMANDS[command](args)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while setting up ends it without more words
    sys.exit(main(*sys.argv[1:]))
