"""The rules of every check. That each knows its right and its wrong answers is asked in the notebooks' kernels: exercises.py."""

import pytest
import torch

import helpers.exercises.checks as check

HINTS = [(torch.tensor([2.0, 4.0]), "that is twice as much"), (torch.tensor(3.0), "that is the sum"), ([3e-6, 1e-6], "that is tiny")]


def unfinished():
    raise NotImplementedError


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda: None, "○ not tried yet"),
        (lambda: ..., "○ not tried yet"),
        (unfinished, "○ not tried yet"),
        (lambda: torch.tensor([1.0, 2.0]), "✓ right"),
        (lambda: [1, 2], "✓ right"),
        (lambda: torch.tensor([1.0, 2.0], requires_grad=True), "✓ right"),
        (lambda: torch.tensor([1.0, 2.0 + 1e-5]), "✓ right"),
        (lambda: torch.tensor([1.0, 2.0 + 1e-3]), "✗ not yet"),
        (lambda: torch.tensor([2.0, 4.0 + 1e-4]), "✗ that is twice as much"),
        (lambda: 3, "✗ that is the sum"),
        (lambda: [3e-6, 1e-6], "✗ that is tiny"),
        (lambda: torch.zeros(2), "✗ not yet"),
        (lambda: torch.zeros(2, 1), "✗ the shape is (2, 1), expected (2,)"),
        (lambda: 4, "✗ the shape is (), expected (2,)"),
        (lambda: torch.tensor([torch.nan, 2.0]), "✗ not yet"),
    ],
)
def test_verdict(answer, says, capsys):
    check.verdict(answer, torch.tensor([1.0, 2.0]), HINTS)
    printed = capsys.readouterr().out
    assert printed.startswith(says) and printed.count("\n") == 1


def test_a_check_may_be_more_patient(capsys):
    check.verdict(lambda: 1.0005, 1.0, tolerance=1e-3)
    assert capsys.readouterr().out == "✓ right\n"
