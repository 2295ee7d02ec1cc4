"""The files around the code agree with each other: dependencies, the lock, Binder, the commands that README names."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TO_PYPI = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
COME_WITH = {"ipython": "ipywidgets", "nbclient": "jupyterlab", "nbconvert": "jupyterlab", "nbformat": "jupyterlab",
             "threadpoolctl": "scikit-learn", "traitlets": "ipywidgets"}
# Written with spaces for dots: this file names no registry either.
REGISTRIES = "pypi org|pythonhosted org|download pytorch org|anaconda org|conda-forge org|npmjs org|npmjs com|debian org|ubuntu com"
REGISTRY = re.compile(r"\b(?:" + REGISTRIES.replace(" ", r"\.") + r")\b", re.I)
WINDOWS = pytest.mark.skipif(sys.platform == "win32", reason="Binder's scripts are for Linux")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


# ---- Dependencies ----------------------------------------------------------------------------------------------------


def test_environment_yml_names_the_dependencies_of_pyproject():
    environment = yaml.safe_load(text("environment.yml"))
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    conda, (wheels,) = ([entry for entry in environment["dependencies"] if isinstance(entry, kind)] for kind in (str, dict))
    assert {"python=3.12", "pip"} <= set(conda)
    conda = [Requirement(line) for line in [*conda, *wheels["pip"]] if line not in ("python=3.12", "pip")]
    pypi = [Requirement(line) for line in PROJECT["dependencies"]]
    assert {TO_PYPI.get(r.name, r.name): str(r.specifier) for r in conda} == {r.name: str(r.specifier) for r in pypi}


def imported():
    """(module, where) of all that the helpers and notebooks import; what IPython alone understands is left out."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "helpers").rglob("*.py")}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        lines = [line for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code" for line in cell.source.splitlines()]
        sources[path.name] = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition(".")[0], name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module.partition(".")[0], name


def test_what_is_imported_is_a_direct_dependency():
    direct = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    packages = packages_distributions()
    for module, where in set(imported()):
        if module not in sys.stdlib_module_names and module != "helpers":
            (package,) = {canonicalize_name(package) for package in packages[module]}
            assert COME_WITH.get(package, package) in direct, f"{where} imports {module}, and {package} is in no manifest"


def locked():
    return [Requirement(line) for line in text("requirements.txt").splitlines()]


def places():
    """Every kind of machine that the lock is for, as packaging's markers see it."""
    systems = [("linux", "posix", "Linux", "x86_64"), ("linux", "posix", "Linux", "aarch64")]
    systems += [("darwin", "posix", "Darwin", "arm64"), ("win32", "nt", "Windows", "AMD64")]
    for version, (platform, name, system, machine) in product(["3.11.0", "3.11.9", "3.12.1", "3.13.5"], systems):
        yield {
            "python_full_version": version,
            "python_version": version.rpartition(".")[0],
            "sys_platform": platform,
            "os_name": name,
            "platform_system": system,
            "platform_machine": machine,
            "implementation_name": "cpython",
        }


def test_the_lock_pins_each_thing_once_on_every_machine():
    for place in places():
        names = [canonicalize_name(r.name) for r in locked() if not r.marker or r.marker.evaluate(place)]
        assert len(names) == len(set(names)), place


def test_the_lock_satisfies_pyproject_on_every_machine():
    wanted = [Requirement(line) for line in sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"])]
    for place in places():
        pins = {canonicalize_name(r.name): r.specifier for r in locked() if not r.marker or r.marker.evaluate(place)}
        for requirement in wanted:
            (pin,) = pins.get(canonicalize_name(requirement.name), [None])
            assert pin and pin.operator == "==" and requirement.specifier.contains(pin.version), (str(requirement), place)


def test_the_lock_holds_pins_and_nothing_else():
    """No addresses, options or hashes of one index: it serves whichever index a machine has."""
    for line in text("requirements.txt").splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; [^@/]+)?", line), line


# ---- Addresses -------------------------------------------------------------------------------------------------------


def ours():
    """The project's own text files, {name: text}: what git has or would take, or else what is not hidden or made."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if (ROOT / ".git").exists() and listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        made = re.compile(r"\.venv|\.tools|\.git|build|__pycache__|\..*_cache|\.hypothesis|.*\.egg-info")
        paths = [path for path in ROOT.rglob("*") if not any(map(made.fullmatch, path.relative_to(ROOT).parts))]
    found = {}
    for path in paths:
        try:
            found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            pass  # a folder, a file that was deleted, or not text
    return found


def test_no_file_holds_the_address_of_a_registry():
    files = ours()
    assert {"run.py", "pyproject.toml", "requirements.txt", "binder/postBuild"} <= set(files)
    assert not [(name, match[0]) for name, content in files.items() for match in REGISTRY.finditer(content)]


# ---- Binder ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory):
    """What Binder would build, in words: it reads these files only, so only these are copied."""
    folder = tmp_path_factory.mktemp("binder")
    shutil.copytree(ROOT / "binder", folder / "binder", symlinks=True)
    for name in ("environment.yml", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@WINDOWS
def test_binder_builds_the_conda_environment(dockerfile):
    assert "conda environment for python=3.12" in dockerfile
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"' in dockerfile
    assert "requirements.txt" not in dockerfile, "the lock's CUDA builds do not fit there"


@WINDOWS
def test_binder_runs_our_scripts(dockerfile):
    assert "RUN ./binder/postBuild" in dockerfile
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in dockerfile


@WINDOWS
def test_binder_environment_is_the_one_of_the_project():
    assert (ROOT / "binder/environment.yml").resolve() == ROOT / "environment.yml"


@WINDOWS
def test_start_sets_one_thread_and_becomes_the_command():
    command = [ROOT / "binder/start", "sh", "-c", "echo $OMP_NUM_THREADS; exit 3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("1\n", 3)


@WINDOWS
@pytest.mark.parametrize("fails", ["pip", "python", None])
def test_post_build_installs_in_place_and_fails_where_helpers_cannot_be_imported(tmp_path, fails):
    """With stand-ins that write down how they were called: the real ones would need a network."""
    (tmp_path / "notebooks").mkdir()
    for name in ("pip", "python"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} in "$PWD": "$@" >> {tmp_path / "calls"}\nexit {int(name == fails)}\n')
        program.chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([ROOT / "binder/postBuild"], cwd=tmp_path, env={**os.environ, "PATH": path})
    assert (done.returncode == 0) == (fails is None)
    pip, *python = (tmp_path / "calls").read_text().splitlines()
    assert pip == f"pip in {tmp_path}: install --no-deps --editable ."
    assert len(python) == (fails != "pip") and all(re.match(rf"python in {tmp_path}/notebooks: .*helpers", line) for line in python)


# ---- Codespaces ------------------------------------------------------------------------------------------------------


def test_the_codespace_is_set_up_by_a_command_that_exists_and_has_its_kernel():
    container = json.loads(text(".devcontainer/devcontainer.json"))
    editor = container["customizations"]["vscode"]
    assert container["image"].endswith("python:3.12") and SpecifierSet(PROJECT["requires-python"]).contains("3.12")
    assert shlex.split(container["postCreateCommand"]) == ["python3", "run.py", "python", "-c", ""]     # sets up, and does nothing more
    assert container["containerEnv"]["UV_TORCH_BACKEND"] == "cpu"
    assert "ms-toolsai.jupyter" in editor["extensions"]
    assert editor["settings"]["python.defaultInterpreterPath"] == "${containerWorkspaceFolder}/.venv/bin/python"
    assert all((ROOT / name).exists() for name in container["customizations"]["codespaces"]["openFiles"])


@pytest.mark.parametrize("names, origin", [({"CODESPACE_NAME": "cat"}, "https://cat-8888.app.github.dev"), ({}, None)])
def test_in_a_codespace_jupyter_serves_the_forwarded_port_and_elsewhere_no_other_address(names, origin, monkeypatch):
    container = json.loads(text(".devcontainer/devcontainer.json"))
    assert container["forwardPorts"] == [8888] and "8888" in container["portsAttributes"]
    assert container["containerEnv"]["JUPYTER_CONFIG_PATH"] == "${containerWorkspaceFolder}/.devcontainer"
    for name in ("CODESPACE_NAME", "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    settings = SimpleNamespace(ServerApp=SimpleNamespace(allow_origin=None))
    exec(text(".devcontainer/jupyter_server_config.py"), {"get_config": lambda: settings})
    assert settings.ServerApp.allow_origin == origin


# ---- On GitHub -------------------------------------------------------------------------------------------------------


def test_actions_run_readmes_commands_on_every_system_with_the_oldest_and_the_newest_python():
    workflow = yaml.safe_load(text(".github/workflows/test.yml"))
    (job,) = workflow["jobs"].values()
    pythons = [f"3.{minor}" for minor in range(30) if SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}")]
    assert job["strategy"]["matrix"] == {"os": ["ubuntu-latest", "macos-latest", "windows-latest"], "python": [pythons[0], pythons[-1]]}
    assert {"push", "pull_request"} <= set(workflow[True])      # YAML 1.1 reads `on` as a yes
    assert workflow["permissions"] == {"contents": "read"} and 30 <= job["timeout-minutes"] <= 120
    assert job["env"]["UV_TORCH_BACKEND"] == "cpu"
    readmes, run = re.findall(r"^python3 run\.py \w+", text("README.md"), re.M), "\n".join(step.get("run", "") for step in job["steps"])
    assert len(readmes) == 2 and sorted(re.findall(r"^python3 run\.py \w+", run, re.M)) == sorted(readmes)
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert {"actions/checkout", "actions/setup-python"} <= {name.split("@")[0] for name in used}
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", name) for name in used), used


def test_dependabot_looks_after_the_actions_and_the_packages():
    settings = yaml.safe_load(text(".github/dependabot.yml"))
    assert settings["version"] == 2 and all(update["directory"] == "/" and update["schedule"]["interval"] for update in settings["updates"])
    assert {update["package-ecosystem"] for update in settings["updates"]} == {"github-actions", "pip"}


def test_the_citation_agrees_with_the_project_and_invents_nothing():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0" and citation["message"] and citation["title"] in text("README.md")
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == re.findall(r"Copyright \(c\) \d+ (.+)", text("LICENSE"))
    assert not {"doi", "identifiers"} & set(citation)
    address = re.search(r"git clone (https://github\.com/[\w.-]+/[\w.-]+)", text("README.md"))[1]
    assert citation["repository-code"] == address and "(CITATION.cff)" in text("README.md")


# ---- Commands --------------------------------------------------------------------------------------------------------


def test_the_commands_that_are_named_exist():
    named, shown, known = (set(re.findall(r"python3 run\.py (\w+)", text(name))) for name in ("README.md", "CONTRIBUTING.md", "run.py"))
    assert {"lab", "test"} <= named <= known and shown <= known


def test_ci_runs_the_test_command_of_readme():
    assert text(".ci/run").splitlines()[-1] == "python3 run.py test"
    assert os.access(ROOT / ".ci/run", os.X_OK) or sys.platform == "win32"


@WINDOWS
@pytest.mark.parametrize("installed", [True, False])
def test_ci_installs_chromium_or_says_that_it_could_not(tmp_path, installed):
    """With stand-ins that write down how they were called, and nothing else to be found."""
    calls, programs = tmp_path / "calls", {"id": "echo 0", "apt-get": f"exit {int(not installed)}", "python3": "exit 0"}
    for name, does in programs.items():
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {calls}\n{does}\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname"))
    done = subprocess.run([shutil.which("bash"), ROOT / ".ci/run"], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0 and ("tests in a browser are skipped" in done.stderr) == (not installed)
    called = calls.read_text().splitlines()
    assert called[1] == "apt-get update" and called[-1] == "python3 run.py test"
    assert (called[2].split()[1] == "install" and called[2].endswith(" chromium")) == installed


def test_readme_has_the_place_for_badges():
    inside = text("README.md").split("<!-- badges -->")[1].split("<!-- /badges -->")[0]
    assert all(place in inside for place in ("mybinder.org", "colab.research.google.com", "codespaces.new"))
