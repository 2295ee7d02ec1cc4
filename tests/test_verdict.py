"""What every check tells apart, whatever it asks. That each knows its right and wrong answers is asked in the notebooks' kernels."""

import pytest
import torch

import helpers.exercises.checks as check
from helpers.exercises.verdict import CUT, NOT_TRIED, RIGHT, Verdict, called, told, unlike, untouched, verdict

RIGHT_ANSWER = torch.tensor([1.0, 2.0])
SLIPS = [(torch.tensor([2.0, 4.0]), "that is twice as much"), (torch.tensor(3.0), "that is the sum"), ([3e-6, 1e-6], "that is tiny")]


def unfinished():
    raise NotImplementedError


@pytest.mark.parametrize(
    "answer, says",
    [
        (lambda: None, "✗ your function gives nothing back"),
        (lambda: RIGHT_ANSWER.numpy(), "✓ right"),
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
        (lambda: torch.tensor([torch.nan, 2.0]), "✗ there are NaN"),
        (lambda: "two", "✗ the answer is a str"),
        (lambda: {"a": 1}, "✗ the answer is a dict"),
        (lambda: torch.zeros(2, device="meta"), "✗ the answer is on meta"),
    ],
)
def test_verdict(answer, says):
    share, said = verdict(answer, (), RIGHT_ANSWER, SLIPS)
    assert said.startswith(says)
    assert share == {"○": None, "✓": 1.0, "✗": 0.0}[said[0]]


def test_a_check_may_be_more_patient():
    assert verdict(lambda: 1.0005, (), 1.0, tolerance=1e-3) == RIGHT


@pytest.mark.parametrize("spoil", [lambda x: x.mul_(2), lambda x: x.clamp_(min=0), lambda x: x[0].zero_()])
def test_an_answer_that_changes_what_it_was_given_is_told_so(spoil):
    x = torch.tensor([-1.0, 2.0])
    found = verdict(lambda x: spoil(x) if spoil(x) is None else x.abs(), (x,), x.abs())
    assert "in place" in found.says and found.share == 0
    assert torch.equal(x, torch.tensor([-1.0, 2.0]))        # the reader's own tensor is as it was


@pytest.mark.parametrize("cut", [lambda y: y.detach(), lambda y: torch.tensor(y.tolist()), lambda y: y.data])
def test_a_gradient_that_was_cut_is_told_from_a_wrong_number(cut):
    x, square = torch.rand(4), lambda x: x ** 2
    assert verdict(square, (x,), square, differentiable=True) == RIGHT
    assert verdict(lambda x: cut(x ** 2), (x,), square, differentiable=True) == CUT
    assert verdict(lambda x: x * x.detach(), (x,), square, differentiable=True) == CUT      # half of it
    assert "gradient" not in verdict(lambda x: (x ** 3).detach(), (x,), square, differentiable=True).says
    assert not x.requires_grad


def test_an_infinite_slope_is_told():
    x = torch.tensor([0.0, 4.0])
    right = lambda x: (x + 1e-12).sqrt()
    found = verdict(lambda x: (x * x).sqrt(), (x,), lambda x: (x * x + 1e-12).sqrt(), differentiable=True)
    assert "NaN or infinite numbers in the gradient" in found.says and right(x).isfinite().all()


def test_infinite_numbers_are_told_where_the_right_ones_are_finite():
    assert "NaN" in unlike(torch.tensor([torch.inf]), torch.tensor([1.0])).says
    assert unlike(torch.tensor([torch.inf]), torch.tensor([torch.inf])) is None


def test_called_hands_over_copies():
    x = torch.zeros(2)
    assert called(lambda x: x + 1, x)[1] is None
    assert called(lambda x: ..., x) == (None, NOT_TRIED)


def test_a_check_prints_for_a_reader_and_returns_to_a_grader(capsys):
    answer = lambda a, b: (a & b).sum((1, 2)) / (a | b).sum((1, 2))
    masks = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    assert check.iou(answer, *masks) is None and capsys.readouterr().out == "✓ right\n"
    assert check.iou.__wrapped__(answer, *masks) == RIGHT and capsys.readouterr().out == ""


def stub(x, y=1):       # a stub may have arguments, and a comment
    ...


def answered(x):
    return x


def test_a_stub_is_seen_before_its_check_does_any_work(capsys):
    worked = []
    check_it = told(lambda mine: worked.append(1) or Verdict(1.0, "✓ right"))
    check_it(stub)
    assert capsys.readouterr().out == "○ not tried yet\n" and not worked
    check_it(answered)
    assert capsys.readouterr().out == "✓ right\n" and worked
    assert not untouched(torch.sin) and not untouched(7)
