"""run.py makes the environment once, says what is wrong, and passes on arguments and exit codes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Record the commands of run.py instead of running them; .venv is in a new folder."""
    found = []
    monkeypatch.setattr(run, "VENV", tmp_path)
    monkeypatch.setattr(run, "BACKEND", tmp_path / "torch-backend")
    monkeypatch.setattr(run.subprocess, "call", lambda command, **_: found.append(command) or 0)
    monkeypatch.setattr(run, "run", lambda *command: found.append(command) or 7)
    return found


def test_an_old_python_can_read_it():
    """So that it says which Python it needs; python3 is 3.8 on some systems."""
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 8))


def test_the_environment_is_made_once(calls):
    run.prepare()
    assert [command[1] for command in calls if "pip" not in command[1:3]] == ["venv"]
    calls.clear()
    run.prepare()
    assert len(calls) == 1 and run.LOCK in calls[0]


def test_an_unreachable_index_of_pytorch_is_not_tried_again(calls, monkeypatch):
    monkeypatch.setattr(run.subprocess, "call", lambda command, **_: "--dry-run" in command)
    run.prepare()
    assert run.BACKEND.read_text() == ""


def test_a_failing_step_stops_with_a_sentence(calls, monkeypatch):
    monkeypatch.setattr(run.subprocess, "call", lambda command, **_: 1)
    with pytest.raises(SystemExit, match="Python 3.11 to 3.14"):
        run.prepare()


def test_programs_get_their_arguments_and_their_exit_code_is_ours(calls):
    assert run.main("budgets", "01") == 7
    assert calls[-1] == (ROOT / "scripts" / "budgets.py", "01")
    assert run.main("python", "-c", "1") == 7 and calls[-1] == ("-c", "1")


def test_an_unknown_command_lists_the_known_ones():
    command = [sys.executable, ROOT / "run.py", "tests"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "budgets" in done.stdout and "lab" in done.stdout
