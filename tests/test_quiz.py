import pytest

from helpers.interact import ask
from helpers.quiz import QUESTIONS


@pytest.mark.parametrize("number, asked", list(enumerate(QUESTIONS, 1)))
def test_each_question_has_one_right_answer_and_says_why(number, asked):
    question, answers, right = asked
    assert question.startswith(f"{number}. ") and len(answers) >= 3
    assert [answer for answer, why in answers.items() if why.startswith("Yes")] == [right]
    assert list(ask(question, answers, right=right).children[1].options) == list(answers)


def test_the_right_answer_is_not_always_at_the_same_place():
    places = [list(answers).index(right) for _, answers, right in QUESTIONS]
    assert len(QUESTIONS) == 10 and max(map(places.count, places)) <= 5
