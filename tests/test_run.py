"""run.py as a user meets it: run as a program, in a small project of its own. Nothing here needs a network: uv keeps what it had."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import nbformat
import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
UV = shutil.which("uv", path=os.pathsep.join([str(ROOT / ".tools" / "bin"), str(ROOT / ".tools" / "Scripts"), os.environ["PATH"]]))
ALL = os.environ.get("FAULTS") == "all"  # run.py trust faults
needs_uv = pytest.mark.skipif(not UV, reason="the environment was made without uv")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PIP", "UV_TORCH", "OMP"))}
MANIFEST = """\
[project]
name = "course"
version = "0.1"
dependencies = ["nbval", "pytest-xdist", "ruff"]
optional-dependencies = { test = [], lecture = [], peers = [], trust = [] }
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[tool.setuptools.packages.find]
include = ["helpers*"]
[tool.ruff.lint]
select = ["F"]
"""
README = """\
# Course
<!-- badges -->
[![Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/ORG/REPO/main?urlpath=lab)
[![Colab](https://colab.research.google.com/assets/badge.svg)](https://colab.research.google.com/github/ORG/REPO/blob/main/a.ipynb)
<!-- /badges -->
[![Codespaces](https://github.com/codespaces/badge.svg)](https://codespaces.new/ORG/REPO?quickstart=1)
git clone https://github.com/ORG/REPO
`python3 run.py badges ORG/REPO` stays as it is, and so does https://github.com/ORG/REPO-2.
"""
WHERE = ["python", "-c", "import helpers; print(helpers.__file__)"]


def make_project(folder):
    for name in ("helpers", "notebooks", "tests"):
        (folder / name).mkdir(parents=True)
    for name in ("run.py", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / "pyproject.toml").write_text(MANIFEST)
    (folder / "README.md").write_text(README)
    (folder / "helpers" / "__init__.py").touch()
    return folder


def start(folder, *args, room=None, **changes):
    """Starts run.py; with `room`, files may grow to so many bytes, as on a disk that is nearly full."""
    def limit():
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    environment = {**ENVIRONMENT, "UV_OFFLINE": "1", "PATH": os.pathsep.join([str(Path(UV or "uv").parent), os.environ["PATH"]]), **changes}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, str(folder / "run.py"), *args], cwd=folder, env=environment, **pipes,
                            start_new_session=True, preexec_fn=limit if room is not None else None)


def run(folder, *args, **changes):
    process = start(folder, *args, **changes)
    process.out, process.err = process.communicate()
    return process


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("home") / "a course")


@pytest.fixture
def bare(tmp_path):
    """A project without an environment."""
    return make_project(tmp_path / "a course")


@pytest.fixture
def whole(home):
    """A project with an environment that is whole."""
    done = run(home, *WHERE)
    assert done.returncode == 0, done.err
    return home


# ---- The environment -------------------------------------------------------------------------------------------------


def site_packages(folder):
    return next((folder / ".venv").glob("[Ll]ib/**/site-packages"))


def python(folder):
    return next(path for path in (folder / ".venv" / "bin" / "python", folder / ".venv" / "Scripts" / "python.exe") if path.exists())


DAMAGE = {
    "there is none yet": lambda folder: shutil.rmtree(folder / ".venv"),
    "it is only half made": lambda folder: (folder / ".venv" / "stamp.json").write_text('{"Python": '),
    "requirements.txt is not": lambda folder: (folder / "requirements.txt").open("a").write("\n"),
    "its Python is not": lambda folder: python(folder).unlink(),
    "it is only half": lambda folder: (shutil.rmtree(folder / ".venv"), (folder / ".venv").write_text("a file in its place")),
    "iniconfig": lambda folder: shutil.rmtree(site_packages(folder) / "iniconfig"),
    "__init__.py is not": lambda folder: [path.unlink() for path in site_packages(folder).glob("__editable__*")],
}


@needs_uv
@pytest.mark.parametrize("reason", DAMAGE)
def test_what_is_broken_is_made_anew_once(whole, reason, tries):
    """Setting up: .venv gone, half made, changed, or a file in its place"""
    (site_packages(whole) / "own").mkdir(exist_ok=True)  # what a user adds is no fault
    assert run(whole, *WHERE).err == ""
    DAMAGE[reason](whole)
    done = run(whole, *WHERE)
    assert Path(done.out.strip()) == whole / "helpers" / "__init__.py"
    assert re.match(rf"run.py: Setting up .venv: .*{re.escape(reason)}", done.err)
    assert run(whole, *WHERE).err == ""
    tries("Setting up .venv: it is made anew")


@needs_uv
def test_a_project_that_moved_finds_its_own_helpers(whole):
    moved = whole.rename(whole.with_name("moved"))
    try:
        shutil.copytree(moved / "helpers", whole / "helpers")  # as after a copy: the old place is still there
        done = run(moved, *WHERE)
        assert "the project's folder is not as it was" in done.err
        assert Path(done.out.strip()) == moved / "helpers" / "__init__.py"
    finally:
        shutil.rmtree(whole)
        moved.rename(whole)


@needs_uv
@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes in its own way")
@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2, 0.4, 0.7, 1, 1.5, 2, 3, 5] if ALL else [0.1, 0.7, 2])
def test_killed_at_any_moment_it_is_made_whole_the_next_time(whole, seconds, tries):
    """Setting up: killed, and its installer with it"""
    (whole / ".venv" / "stamp.json").unlink()
    process = start(whole, *WHERE)
    time.sleep(seconds)
    (os.killpg if ALL else os.kill)(process.pid, signal.SIGKILL)  # in the quick test its installer lives on
    done = run(whole, *WHERE)
    process.communicate()
    tries("the same command makes a whole environment")
    assert Path(done.out.strip()) == whole / "helpers" / "__init__.py"
    assert run(whole, *WHERE).err == ""


@needs_uv
@pytest.mark.skipif(os.name == "nt", reason="no such limits there")
@pytest.mark.parametrize("room", [0, 300, 20_000] if ALL else [5_000])
def test_on_a_full_disk_it_stops_in_a_sentence(whole, room, tries):
    """Setting up: the disk is full"""
    shutil.rmtree(whole / ".venv")
    done = run(whole, *WHERE, UV_LINK_MODE="copy", room=room)
    assert done.returncode == 1 and "Traceback" not in done.err, done.err
    assert done.err.splitlines()[-1].startswith("run.py: ")
    assert not (whole / ".venv" / "stamp.json").exists()
    assert Path(run(whole, *WHERE).out.strip()) == whole / "helpers" / "__init__.py"
    tries(re.sub(" /.*", " ...", done.err.splitlines()[-1]))


@needs_uv
def test_a_lock_that_is_cut_stops_in_a_sentence(whole, tries):
    """Setting up: requirements.txt is cut in the middle of a version"""
    lock = (whole / "requirements.txt").read_bytes()
    pin = re.search(rb"(?m)^nbval==[\d.]+$", lock)
    try:
        (whole / "requirements.txt").write_bytes(lock[:pin.start() + 7])
        assert run(whole, *WHERE).err.splitlines()[-1].startswith("run.py: This did not work: ")
        tries("This did not work: ...")
    finally:
        (whole / "requirements.txt").write_bytes(lock)


def test_a_folder_where_nothing_can_be_made_is_told_in_a_sentence(bare, tries):
    """Setting up: where no file can be made"""
    (bare / ".tools").write_text("a file in its place")
    done = run(bare, *WHERE)
    assert done.returncode == 1 and re.fullmatch(r"run.py: The environment can't be made here: .*\n", done.err)
    tries("The environment can't be made here: ...")


@needs_uv
def test_of_two_at_once_one_sets_up_and_both_run(whole):
    shutil.rmtree(whole / ".venv")
    outputs = [process.communicate() for process in [start(whole, *WHERE), start(whole, *WHERE)]]
    assert [Path(out.strip()) for out, _ in outputs] == [whole / "helpers" / "__init__.py"] * 2
    assert sum("Setting up" in err for _, err in outputs) == 1


@needs_uv
@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_an_environment_that_is_only_linked_stays_untouched(whole, bare):
    (bare / ".venv").symlink_to(whole / ".venv")
    assert Path(run(bare, *WHERE).out.strip()) == bare / "helpers" / "__init__.py"
    assert run(whole, *WHERE).err == ""


@needs_uv
def test_where_pytorch_has_no_such_build_the_lock_serves(bare):
    done = run(bare, *WHERE, UV_TORCH_BACKEND="cup")
    assert done.returncode == 0
    assert "no UV_TORCH_BACKEND=cup: PyTorch comes as requirements.txt has it." in done.err


@needs_uv
@pytest.mark.parametrize("command", ["python", "lock"])
@pytest.mark.parametrize("offline", [True, False], ids=["offline", "no answer"])
def test_without_a_network_there_is_one_sentence(bare, command, offline):
    closed = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")}
    network = {"UV_OFFLINE": "1"} if offline else {"UV_OFFLINE": "0", "UV_HTTP_RETRIES": "0", **closed}
    (bare / "requirements.txt").write_text("")
    done = run(bare, command, UV_CACHE_DIR=str(bare / "empty"), **network)
    said = [line for line in done.err.splitlines() if "Setting up" not in line]
    assert done.returncode == 1 and done.out == ""
    assert len(said) == 1 and said[0].startswith("run.py: There is no network"), done.err
    assert not (bare / ".venv" / "stamp.json").exists()


def test_without_a_network_and_uv_there_is_the_same_sentence(bare):
    (bare / ".tools" / "bin").mkdir(parents=True)
    broken = bare / ".tools" / "bin" / "uv"
    broken.write_text("half a uv")
    broken.chmod(0o755)
    index = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0"}
    done = run(bare, "python", PATH=os.devnull, **index)
    assert done.err.splitlines()[1:] == [line for line in done.err.splitlines() if "There is no network" in line]


# ---- The commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14), (4, 0)])
def test_takes_the_pythons_of_pyproject(version):
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    program = f"import runpy, sys; sys.version_info = {version}; sys.argv = ['run.py']; runpy.run_path('run.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    if SpecifierSet(requires).contains("{}.{}".format(*version)):
        assert done.stdout.startswith("Sets up the course") and done.returncode == 0
    else:
        assert re.fullmatch(r"run.py: This needs Python .*, and got {}\.{}\..*\n".format(*version), done.stderr)


def test_an_old_python_can_read_it():
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("args", [[], ["--help"], ["help"], ["notebooks", "--help"], ["lock", "-h"]])
def test_help_needs_no_environment_and_names_every_command(bare, args):
    done = run(bare, *args)
    commands = run(bare, "xyzzy").err.partition("There are: ")[2].strip().rstrip(".").split(", ")
    assert set(re.findall(r"run\.py (\w+)", done.out)) == set(commands) >= {"lab", "test", "notebooks", "slides", "lock"}
    assert not (bare / ".venv").exists()


@pytest.mark.parametrize(
    "args, sentence",
    [
        (["tset"], "There is no command 'tset'. Did you mean test?"),
        (["xyzzy"], "There is no command 'xyzzy'. There are: "),
        (["notebooks", "01", "03"], "There is no 03 in notebooks/, only: 01_one, 02_two."),
        (["badges"], "badges needs a repository as ORG/REPO, such as octocat/course: there is no git remote `origin` here"),
        (["badges", "course"], "badges needs a repository as ORG/REPO"),
        (["badges", "https://github.com/a/b"], "badges needs a repository as ORG/REPO"),
        (["badges", "a/b", "c/d"], "badges needs a repository as ORG/REPO"),
    ],
)
def test_what_it_cannot_do_it_says_in_a_sentence(bare, args, sentence):
    for name in ("01_one", "02_two"):
        (bare / "notebooks" / f"{name}.ipynb").touch()
    done = run(bare, *args)
    assert done.returncode == 1 and done.err.startswith(f"run.py: {sentence}") and done.err.count("\n") == 1


def test_badges_can_be_filled_in_more_than_once(bare):
    others = [bare / name for name in ("notebooks/01.ipynb", "notebooks/GUIDE.md", "CITATION.cff", "CONTRIBUTING.md")]
    for path in others:
        path.write_text("git clone https://github.com/ORG/REPO")
    *lines, last = README.splitlines(keepends=True)
    for name in ("octocat/course", "someone.else/her-course"):
        assert run(bare, "badges", name).returncode == 0
        assert (bare / "README.md").read_text() == "".join(lines).replace("ORG/REPO", name) + last
        assert {path.read_text() for path in others} == {f"git clone https://github.com/{name}"}


def cloned_from(folder, address):
    """Makes a folder a clone whose remote has this address."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "-C", folder, "remote", "add", "origin", address], check=True)


def test_badges_that_were_interrupted_can_be_filled_in_again(bare, tries):
    """Badges: stopped half-way"""
    (bare / "notebooks" / "01.ipynb").write_text("git clone https://github.com/ORG/REPO")
    (bare / "notebooks" / "00.ipynb").mkdir()  # which stops it half-way, as a full disk would
    assert run(bare, "badges", "octocat/course").returncode == 1
    (bare / "notebooks" / "00.ipynb").rmdir()
    assert run(bare, "badges", "octocat/course").returncode == 0
    assert "octocat/course" in (bare / "README.md").read_text() and "octocat" in (bare / "notebooks" / "01.ipynb").read_text()
    assert not [*bare.rglob("*.half")]
    tries("the same command goes on")


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/octocat/her.course",
        "https://github.com/octocat/her.course.git",
        "https://octocat:secret@GitHub.com/octocat/her.course.git/",
        "git@github.com:octocat/her.course",
        "git@github.com:octocat/her.course.git",
        "ssh://git@github.com/octocat/her.course.git",
        "ssh://git@ssh.github.com:443/octocat/her.course.git",
    ],
)
def test_badges_takes_the_repository_of_the_clone(bare, address):
    cloned_from(bare, address)
    done = run(bare, "badges")
    assert done.returncode == 0 and "octocat/her.course now" in done.err
    assert (bare / "README.md").read_text().count("octocat/her.course") == 4


@pytest.mark.parametrize(
    "address, shown",
    [
        ("https://gitlab.com/octocat/course.git", "https://gitlab.com/octocat/course.git"),
        ("https://octocat:secret@example.org/github.com/octocat/course", "https://example.org/github.com/octocat/course"),
        ("git@notgithub.com:octocat/course.git", "git@notgithub.com:octocat/course.git"),
        ("https://github.com.example.org/octocat/course", "https://github.com.example.org/octocat/course"),
        ("../course", "../course"),
        ("https://github.com/octocat", "https://github.com/octocat"),
    ],
)
def test_badges_takes_it_from_github_alone(bare, address, shown):
    cloned_from(bare, address)
    done = run(bare, "badges")
    assert done.returncode == 1 and f"the git remote `origin` is {shown}, and" in done.err and done.err.count("\n") == 1
    assert (bare / "README.md").read_text() == README


def test_badges_does_not_ask_the_repository_around_the_course(bare):
    cloned_from(bare.parent, "https://github.com/octocat/everything")
    assert "there is no git remote `origin` here" in run(bare, "badges").err


def test_badges_wants_its_marks(bare):
    (bare / "README.md").write_text("# Course")
    assert "README.md has no badge between" in run(bare, "badges", "a/b").err


@needs_uv
def test_exit_codes_are_passed_on(whole):
    assert run(whole, "python", "-c", "raise SystemExit(3)").returncode == 3


@needs_uv
def test_lock_keeps_what_fits_and_drops_what_nothing_needs(bare):
    (pin,) = re.findall("^iniconfig==.*$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    (bare / "requirements.txt").write_text(f"{pin}\nnothing-needs-this==1.0\n")
    (bare / "pyproject.toml").write_text(MANIFEST.replace('"nbval", "pytest-xdist", "ruff"', '"iniconfig"'))
    done = run(bare, "lock")
    assert done.returncode == 0, done.err
    assert (bare / "requirements.txt").read_text() == f"{pin}\n"


TELL = "import json, os; open({!r}, 'a').write(json.dumps([{!r}, os.getpid(), os.environ.get('OMP_NUM_THREADS')]) + '\\n')"


@needs_uv
@pytest.mark.parametrize("args", [[], ["-n", "0"], ["-k", "one"]])
def test_test_keeps_each_notebook_in_one_kernel_and_heeds_arguments(whole, tmp_path, args):
    diary = tmp_path / "diary"
    for name in ("01_one", "02_two"):
        cells = ["x = 0", *["x += 1"] * 5, "assert x == 5", TELL.format(str(diary), name)]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        nbformat.write(notebook, whole / "notebooks" / f"{name}.ipynb")
    done = run(whole, "test", *args)
    assert done.returncode == 0, done.out + done.err
    entries = [json.loads(line) for line in diary.read_text().splitlines()]
    assert {name for name, _, _ in entries} == ({"01_one"} if "one" in args else {"01_one", "02_two"})
    parallel = (os.cpu_count() or 1) > 1 and "-n" not in args
    assert ("2 workers" in done.out) == parallel
    assert {threads for _, _, threads in entries} == {str(os.cpu_count() // 2) if parallel else None}


@needs_uv
@pytest.mark.parametrize("name, source", [("ruff", "import os\n"), ("pytest", "def test():\n    assert 0\n")])
def test_test_names_what_failed(whole, name, source):
    path = whole / "tests" / "test_it.py"
    path.write_text(source)
    done = run(whole, "test", "tests", "-n0")
    path.unlink()
    assert done.returncode == 1
    assert done.err.endswith(f"run.py: {name} failed, see above.\n")
    assert ("test session starts" in done.out) == (name == "pytest")
