"""The quiz: its form, and that position and length do not give the right answers away."""

from collections import Counter
from html import escape

from helpers.exercises.quiz import questions

QUESTIONS = [question.values() for question in questions()]


def test_there_are_twelve_questions_from_all_notebooks_in_order():
    sections = [question.split("(")[1].split(".")[0] for question, _, _ in QUESTIONS]
    assert sections == sorted(sections) and set(Counter(sections).values()) == {3}
    assert [int(question.split(".")[0]) for question, _, _ in QUESTIONS] == list(range(1, 13))


def test_each_question_has_one_right_answer_and_explains_all():
    for question, answers, right in QUESTIONS:
        assert 3 <= len(answers) <= 4
        assert [answer for answer, why in answers.items() if why.startswith("Yes.")] == [right]
        texts = [question, *answers, *answers.values()]
        assert all(escape(text, quote=False) == text for text in texts)     # it is shown as HTML


def test_the_right_answer_cannot_be_guessed():
    positions = Counter(list(answers).index(right) for _, answers, right in QUESTIONS)
    assert set(positions) == {0, 1, 2, 3} and max(positions.values()) <= 4
    ranks = [sorted(answers, key=len).index(right) for _, answers, right in QUESTIONS]
    assert max(Counter(ranks).values()) <= 6
