"""run.py: when it makes the environment anew, which PyTorch it takes, what it says. Nothing here needs a network."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from packaging.specifiers import SpecifierSet

import run

LOCK = """\
captum==0.9.0
cuda-bindings==13.5.0 ; python_full_version < '3.15' and sys_platform == 'linux'
numpy==2.4.6 ; python_full_version < '3.12'
nvidia-cublas==13.4.1.3 ; sys_platform == 'linux'
torch==2.15.0
torchvision==0.29.2
triton==3.9.0 ; sys_platform == 'linux'
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own, with a whole environment in which nothing but the interpreter is real."""
    for name, path in {"ROOT": "", "VENV": ".venv", "TOOLS": ".tools", "LOCK": "requirements.txt", "BUILD": "build"}.items():
        monkeypatch.setattr(run, name, tmp_path / path)
    monkeypatch.setattr(run, "interpreter", lambda: Path(sys.executable))
    run.LOCK.write_text(LOCK)
    package = run.site_packages() / "torch"
    package.mkdir(parents=True)
    for name in ("__init__.py", "tensor.py"):
        (package / name).touch()
    run.seal("lock")
    return tmp_path


# ---- Which Python ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14), (4, 0)])
def test_takes_the_pythons_that_the_lock_is_for(version):
    import tomllib

    requires = tomllib.loads((run.ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    sentence = run.unsupported((*version, 0, "final", 0))
    assert (sentence is None) == SpecifierSet(requires).contains("{}.{}".format(*version))
    assert sentence is None or "got {}.{}.".format(*version) in sentence


# ---- When the environment is made anew -------------------------------------------------------------------------------


def test_a_whole_environment_stays(project):
    assert run.fault() is None
    assert run.fault("lock") is None


def test_what_a_user_adds_is_no_fault(project):
    (run.site_packages() / "extra").mkdir()
    cache = run.site_packages() / "torch" / "__pycache__"
    cache.mkdir()
    (cache / "tensor.pyc").touch()
    assert run.fault() is None


def spoil_stamp(project):
    (run.VENV / "stamp.json").write_text('{"key": "')


def no_stamp(project):
    (run.VENV / "stamp.json").unlink()


def no_environment(project):
    run.VENV.rename(project / "elsewhere")


def another_lock(project):
    run.LOCK.write_text(LOCK.replace("2.15.0", "2.16.0"))


def lose_a_file(project):
    (run.site_packages() / "torch" / "tensor.py").unlink()


def lose_a_package(project):
    (run.site_packages() / "torch").rename(project / "torch")


FAULTS = {
    spoil_stamp: "half made",
    no_stamp: "half made",
    no_environment: "none yet",
    another_lock: "has changed",
    lose_a_file: "files of torch are missing",
    lose_a_package: "files of torch are missing",
}


@pytest.mark.parametrize("damage", FAULTS)
def test_a_damaged_environment_is_made_anew(project, monkeypatch, damage, capsys):
    made = []
    monkeypatch.setattr(run, "make", made.append)
    run.prepare()
    assert made == []
    damage(project)
    run.prepare()
    assert made == [None]
    assert FAULTS[damage] in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["missing", "not a program", "fails"])
def test_a_python_that_does_not_start_is_a_fault(project, monkeypatch, broken):
    program = project / "python"
    if broken != "missing":
        program.write_text("#!/bin/sh\nexit 1\n" if broken == "fails" else "")
        program.chmod(0o755 if broken == "fails" else 0o644)
    monkeypatch.setattr(run, "interpreter", lambda: program)
    assert run.fault() == "its Python does not start"


def test_another_way_of_setting_up_is_a_fault(project, monkeypatch):
    monkeypatch.setattr(run, "SETUP", run.SETUP + 1)
    assert "has changed" in run.fault()


def test_another_python_is_a_fault(project, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 0, "final", 0))
    assert "has changed" in run.fault()


def test_the_other_build_has_to_be_asked_for(project, monkeypatch):
    made = []
    monkeypatch.setattr(run, "make", made.append)
    monkeypatch.setattr(sys, "platform", "linux")
    run.prepare("cpu")
    assert made == ["cpu"]
    monkeypatch.setattr(sys, "platform", "darwin")
    run.prepare("cpu")
    assert made == ["cpu"], "macOS has one build only"


def test_helpers_are_found_after_the_project_has_moved(project):
    moved = project.with_name(project.name + "-moved")
    project.rename(moved)
    folder = moved / run.site_packages().relative_to(project)
    line = (folder / "course.pth").read_text().strip()
    assert (folder / line).resolve() == moved.resolve()


def test_one_at_a_time(project):
    with run.alone(), open(run.TOOLS / "lock", "w") as second:
        assert not run.locked(second)
    with open(run.TOOLS / "lock", "w") as second:
        assert run.locked(second)


# ---- Making it -------------------------------------------------------------------------------------------------------


def test_without_a_network_there_is_one_sentence_and_no_stamp(project, monkeypatch):
    words = "error: Request failed after 3 retries\n  cause: client error (Connect)\n  cause: dns error"
    monkeypatch.setattr(run, "find_uv", lambda base: "uv")
    monkeypatch.setattr(run, "attempt", lambda *command, **_: (command[1] == "venv", words))
    with pytest.raises(SystemExit) as error:
        run.make(None)
    assert str(error.value).startswith("run.py: There is no network")
    assert "\n" not in str(error.value)
    assert not (run.VENV / "stamp.json").exists()


@pytest.mark.parametrize("importable", ["cpu", "lock", None])
def test_a_build_that_cannot_be_imported_is_not_kept(project, monkeypatch, importable):
    """The CPU builds are tried first, then those of the lock; where neither works, no stamp says otherwise."""
    index = []

    def attempt(*command, show=False):
        if "--dry-run" in command:  # each build begins with an empty environment
            index.clear()
            run.site_packages().mkdir(parents=True, exist_ok=True)
        index.extend(part for part in command if part == run.CPU_INDEX)
        return command[-1] != "import torch, torchvision" or importable == ("cpu" if index else "lock"), ""

    monkeypatch.setattr(run, "find_uv", lambda base: "uv")
    monkeypatch.setattr(run, "builds", lambda asked: ["cpu", "lock"])
    monkeypatch.setattr(run, "attempt", attempt)
    if importable:
        run.make(None)
        assert json.loads((run.VENV / "stamp.json").read_text())["build"] == importable
    else:
        with pytest.raises(SystemExit, match="could not be made"):
            run.make(None)
        assert not (run.VENV / "stamp.json").exists()


@pytest.mark.parametrize(
    "platform, asked, driver, index, expected",
    [
        ("linux", None, False, True, ["cpu", "lock"]),
        ("linux", None, False, False, ["lock"]),
        ("linux", None, True, True, ["lock"]),
        ("linux", "cpu", True, False, ["cpu"]),
        ("linux", "lock", False, True, ["lock"]),
        ("darwin", None, False, True, ["lock"]),
        ("win32", None, False, True, ["lock"]),
    ],
)
def test_which_build_of_pytorch(monkeypatch, capsys, platform, asked, driver, index, expected):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(run, "nvidia_driver", lambda: driver)
    monkeypatch.setattr(run, "answers", lambda address: index)
    assert run.builds(asked) == expected
    said = capsys.readouterr().err
    assert ("can't be reached" in said) == (platform == "linux" and not (asked or driver or index))
    assert said.count("\n") <= 1


def test_the_lock_as_it_is():
    assert run.steps("lock", LOCK.splitlines()) == [([], LOCK.splitlines())]


def test_the_lock_without_cuda():
    """torch and torchvision from one place, nothing that only CUDA needs, and everything else as locked."""
    (options, torch), (others, rest) = run.steps("cpu", LOCK.splitlines())
    assert options == ["--index-url", run.CPU_INDEX] and others == []
    assert torch == ["torch==2.15.0", "torchvision==0.29.2"]
    assert rest == ["captum==0.9.0", "numpy==2.4.6 ; python_full_version < '3.12'"]


def test_an_index_that_answers_or_not():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the call and says nothing
        port = silent.getsockname()[1]
        assert not run.answers(f"http://127.0.0.1:{port}/", seconds=0.2)
    assert not run.answers(f"http://127.0.0.1:{port}/", seconds=2)
    assert run.answers(Path(__file__).as_uri(), seconds=2)


@pytest.mark.parametrize(
    "output, sentence",
    [
        ("error: Request failed\n  cause: error sending request for url\n  cause: dns error", "There is no network"),
        ("Retrying after connection broken by 'NewConnectionError: Failed to establish a new connection'", "There is no network"),
        ("hint: Packages were unavailable because the network was disabled.", "There is no network"),
        ("/usr/bin/python3: No module named pip", "apt install python3-venv"),
        ("The virtual environment was not created because ensurepip is not available.", "apt install python3-venv"),
        ("error: No space left on device", "No space left on device"),
        ("", "did not say why"),
    ],
)
def test_trouble_is_told_in_a_sentence(output, sentence):
    assert sentence in run.trouble(output)
    assert "\n" not in run.trouble(output)


# ---- Commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args, expected",
    [
        ([], (None, [], None)),
        (["lab", "--port", "9"], ("lab", ["--port", "9"], None)),
        (["--cpu", "lab"], ("lab", [], "cpu")),
        (["lab", "--cuda", "--port", "9"], ("lab", ["--port", "9"], "lock")),
        (["python", "script.py", "--cpu"], ("python", ["script.py", "--cpu"], None)),
    ],
)
def test_the_command_line(args, expected):
    assert run.parse(args) == expected


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"], ["help"], ["notebooks", "--help"]])
def test_help_names_every_command(args, capsys, monkeypatch):
    monkeypatch.setattr(run, "prepare", lambda build: pytest.fail("help needs no environment"))
    assert run.main(args) == 0
    said = capsys.readouterr().out
    for command in [*run.COMMANDS, *run.BUILDS, "--inplace"]:
        assert command in said


@pytest.mark.parametrize("word, hint", [("tset", "Did you mean test?"), ("xyzzy", "There are: lab, ")])
def test_an_unknown_command(word, hint):
    with pytest.raises(SystemExit) as error:
        run.main([word])
    assert repr(word) in str(error.value) and hint in str(error.value)


def test_exit_codes_are_passed_on():
    code = "import run, sys; sys.exit(run.call(sys.executable, '-c', 'raise SystemExit(3)'))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(run.__file__).parent).returncode == 3


@pytest.mark.parametrize("failing, runs", [("ruff", ["ruff"]), ("pytest", ["ruff", "pytest"]), (None, ["ruff", "pytest"])])
def test_test_stops_at_what_fails_and_names_it(monkeypatch, capsys, failing, runs):
    ran = []
    monkeypatch.setattr(run, "call", lambda python, _, tool, *args, cwd: ran.append((tool, args)) or 4 * (tool == failing))
    assert run.test(["-k", "gram"]) == (4 if failing else 0)
    assert [tool for tool, _ in ran] == runs
    assert (f"{failing} failed" in capsys.readouterr().err) == bool(failing)
    assert failing == "ruff" or ran[-1][1][-2:] == ("-k", "gram")


README = """\
# Course
<!-- badges -->
[![Binder](https://mybinder.org/badge_logo.svg)](https://mybinder.org/v2/gh/ORG/REPO/main?urlpath=lab)
[![Colab](https://colab.research.google.com/assets/badge.svg)](https://colab.research.google.com/github/ORG/REPO/blob/main/a.ipynb)
<!-- /badges -->
git clone https://github.com/ORG/REPO
`python3 run.py badges ORG/REPO` stays as it is, and so does https://github.com/ORG/REPO-2.
"""


def test_badges_can_be_filled_in_more_than_once(project):
    (project / "README.md").write_text(README)
    (project / "notebooks").mkdir()
    notebook = project / "notebooks" / "01.ipynb"
    notebook.write_text("git clone https://github.com/ORG/REPO")
    for name in ("octocat/course", "someone.else/her-course"):
        assert run.badges([name]) == 0
        *lines, last = README.splitlines(keepends=True)
        assert (project / "README.md").read_text() == "".join(lines).replace("ORG/REPO", name) + last
        assert notebook.read_text() == f"git clone https://github.com/{name}"


@pytest.mark.parametrize("args", [[], ["course"], ["https://github.com/a/b"], ["a/b", "c/d"]])
def test_badges_wants_a_repository(args):
    with pytest.raises(SystemExit, match="needs a repository as ORG/REPO"):
        run.badges(args)


def test_badges_wants_its_marks(project):
    (project / "README.md").write_text("# Course")
    with pytest.raises(SystemExit, match="no badge between"):
        run.badges(["a/b"])


def test_files_are_chosen_by_the_beginning_of_their_names(project):
    for name in ("01_one.ipynb", "02_two.ipynb"):
        (project / name).touch()
    names = [path.name for path in run.chosen(project, "*.ipynb", [])]
    assert names == ["01_one.ipynb", "02_two.ipynb"]
    assert [path.name for path in run.chosen(project, "*.ipynb", ["02"])] == ["02_two.ipynb"]
    with pytest.raises(SystemExit, match="no 03 .* 01_one, 02_two"):
        run.chosen(project, "*.ipynb", ["03"])


# ---- Executing notebooks ---------------------------------------------------------------------------------------------

WIDGET = """\
from IPython.display import display
display({"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "IntSlider(value=1)"}, raw=True)"""


def test_notebooks_are_executed_told_and_stored(project, capfd):
    """One kernel for two small notebooks would hide a failure, so each has its own; the second one fails in cell 2."""
    cell = nbformat.v4.new_code_cell
    folder = project / "notebooks"
    folder.mkdir()
    for name, sources in {"01_good": ["x = 6", "print(7 * x)", WIDGET], "02_bad": ["y = 1", "x + y", "print('not reached')"]}.items():
        cells = [nbformat.v4.new_markdown_cell("# Title"), *map(cell, sources)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")
    before = (folder / "02_bad.ipynb").read_bytes()

    assert run.execute(["--inplace"]) == 1

    out, err = capfd.readouterr()
    assert "01_good  cell 3/3" in out and "02_bad  cell 1/3" in out
    assert "run.py: failed: 02_bad, cell 2/3: NameError" in err
    stored = nbformat.read(folder / "01_good.ipynb", as_version=4)
    assert stored.cells[2].outputs[0].text == "42\n" and stored.cells[2].execution_count == 2
    assert stored.cells[3].outputs[0].data == {"text/plain": "(A widget: it appears when the notebook runs.)"}
    assert "widgets" not in stored.metadata and "execution" not in stored.cells[2].metadata
    assert (folder / "02_bad.ipynb").read_bytes() == before, "a notebook that fails is not stored"
    assert ">42" in (run.BUILD / "01_good.html").read_text(encoding="utf-8")
    assert "NameError" in (run.BUILD / "02_bad.html").read_text(encoding="utf-8")


def test_pages_of_gpu_libraries_are_counted():
    smaps = """\
7f00-7f10 r-xp 00000000 08:01 11   /my nvidia/env/lib/site-packages/torch/lib/libtorch_cuda.so
Size:               64 kB
Rss:                40 kB
Pss:                30 kB
7f10-7f20 r--p 00000000 08:01 12   /my nvidia/env/lib/site-packages/torch/lib/libtorch_cpu.so
Size:               64 kB
Rss:               500 kB
7f20-7f30 r--p 00000000 08:01 13   /env/site-packages/nvidia/cu13/lib/libcublas.so.13
Size:               64 kB
Rss:                60 kB
7f30-7f40 rw-p 00000000 00:00 0
Rss:               700 kB
7f40-7f50 r-xp 00000000 08:01 14   /env/site-packages/triton/_C/libtriton.so
Rss:              1000 kB
"""
    assert run.gpu_libraries(smaps) == 1100 * 1024 / 1e6


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="the system has no /proc")
def test_peak_memory_of_a_process_and_of_none():
    assert re.fullmatch(r", \d+ MB at most(, \d+ MB of it the pages of GPU libraries)?", run.peak_memory(os.getpid()))
    assert run.peak_memory(2 ** 30) == ""
