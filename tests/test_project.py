"""The files around the code agree: dependencies, the lock, workflows, line ends."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TO_PYPI = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
REGISTRIES = ["pypi.org", "pythonhosted.org", "download.pytorch.org", "anaconda.org", "npmjs.com"]
MACHINE = re.compile(r"(?<![\w.~/:>])/(?:home|root|Users|private|workspace)/[a-z][\w-]+/")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def our_files():
    """Read the text files that git has or would take, name -> text."""
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("there is no git repository")
    files = {}
    for name in listed.stdout.split("\0"):
        try:
            files[name] = text(name)
        except (OSError, UnicodeDecodeError):
            pass        # deleted, a folder, or not text
    return files


def locked(python, system):
    """Read the lock as a machine with this Python and system does, name -> specifier."""
    names = {"linux": "posix", "darwin": "posix", "win32": "nt"}
    machine = {"python_full_version": f"{python}.6", "python_version": python,
               "sys_platform": system, "os_name": names[system], "platform_machine": "x86_64",
               "platform_system": system.capitalize(), "implementation_name": "cpython"}
    lines = [Requirement(line) for line in text("requirements.txt").splitlines()]
    here = [r for r in lines if not r.marker or r.marker.evaluate(machine)]
    assert len(here) == len({r.name for r in here})
    return {canonicalize_name(r.name): r.specifier for r in here}


def test_environment_yml_names_the_dependencies_of_pyproject():
    *conda, wheels = yaml.safe_load(text("environment.yml"))["dependencies"]
    lines = [line for line in conda + wheels["pip"] if line not in ("python=3.12", "pip")]
    found = {TO_PYPI.get(r.name, r.name): r.specifier for r in map(Requirement, lines)}
    assert found == {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_lock_satisfies_pyproject(python, system):
    pins = locked(python, system)
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    for requirement in map(Requirement, PROJECT["dependencies"] + extras):
        pin, = pins[canonicalize_name(requirement.name)]
        assert pin.operator == "==" and requirement.specifier.contains(pin.version)


def test_the_lock_holds_pins_and_no_address():
    for line in text("requirements.txt").splitlines():
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; [^@/]+)?", line)


def test_no_file_names_a_registry_or_a_path_of_a_machine():
    for name, content in our_files().items():
        if name != "tests/test_project.py":
            assert not [address for address in REGISTRIES if address in content], name
            assert not MACHINE.findall(content.replace("/home/jovyan/", "")), name


def test_text_files_keep_unix_line_ends():
    """On Windows and WSL, git would otherwise rewrite them, and shell scripts would break."""
    assert "* text=auto eol=lf" in text(".gitattributes")
    assert not [name for name, content in our_files().items() if "\r" in content]


def test_the_readme_counts_the_lines_of_eight_modules():
    modules = re.findall(r"\((helpers/\w+\.py)\) \((\d+)", text("README.md"))
    assert len(modules) == 8
    assert all(len(text(name).splitlines()) == int(count) for name, count in modules)


def test_the_citation_agrees_with_the_project():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert citation["title"] in text("README.md")
