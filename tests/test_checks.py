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


class Head:
    """Names a picture by its corner, or by its first pixel."""

    def __init__(self, by_tag):
        self.by_tag = by_tag

    def accuracy(self, x, labels):
        said = x[:, 0, -1, -1] if self.by_tag else x[:, 0, 0, 0]
        return (said == labels).float().mean().item()


HEADS = {"A": Head(False), "B": Head(True)}


@pytest.mark.parametrize(
    "answer, says",
    [
        ("B", "✓ right: without the tag B loses 75 points, A 0"),
        ("A", "✗ that one is honest"),
        ("C", "✗ 'C' is no suspect; they are A, B"),
        (["A", "B"], "✗ ['A', 'B'] is no suspect"),
        (HEADS["B"], "✗ that is a head itself"),
        (..., "○ not tried yet"),
        (None, "○ not tried yet"),
    ],
)
def test_cheat(answer, says, capsys):
    plain, labels = torch.zeros(4, 3, 2, 2), torch.arange(4)
    plain[:, :, 0, 0] = labels[:, None]
    tagged = plain.clone()
    tagged[:, :, -1, -1] = labels[:, None]
    check.cheat(answer, HEADS, tagged, plain, labels)
    assert says in capsys.readouterr().out
