"""The quiz: that its form is right, that the right answer cannot be guessed from place or length, and its version on paper."""

from collections import Counter
from html import escape
from html.parser import HTMLParser

import pytest

from helpers.exercises.quiz import QUESTIONS, on_paper
from helpers.interact import ask


@pytest.mark.parametrize("number, asked", list(enumerate(QUESTIONS, 1)))
def test_each_question_has_one_right_answer_and_says_why(number, asked):
    question, answers, right = asked
    assert question.startswith(f"{number}. ") and 3 <= len(answers) <= 4
    assert [answer for answer, why in answers.items() if why.startswith("Yes")] == [right]
    assert all(len(why.split()) >= 5 and why.endswith(".") for why in answers.values())
    assert list(ask(question, answers, right=right).children[1].options) == list(answers)


def test_there_are_twenty_from_all_four_notebooks_in_order():
    sections = [question.split("(")[1].split(".")[0] for question, _, _ in QUESTIONS]
    assert len(QUESTIONS) == 20 and sections == sorted(sections)
    assert Counter(sections) == {"1": 5, "2": 6, "3": 5, "4": 4}


def test_the_right_answers_are_spread_evenly_over_the_places():
    places = Counter(list(answers).index(right) for _, answers, right in QUESTIONS)
    assert set(places) == {0, 1, 2, 3} and max(places.values()) - min(places.values()) <= 1


def test_the_right_answer_is_neither_the_longest_nor_the_shortest_as_a_rule():
    others = [[len(answer) for answer in answers if answer != right] for _, answers, right in QUESTIONS]
    rights = [len(right) for _, _, right in QUESTIONS]
    assert sum(n > max(rest) for n, rest in zip(rights, others)) <= len(QUESTIONS) // 2
    assert sum(n < min(rest) for n, rest in zip(rights, others)) <= len(QUESTIONS) // 2


def test_a_widget_shows_each_text_as_it_is_written():
    for question, answers, _ in QUESTIONS:      # `ask` takes the question and what explains an answer as HTML
        assert all(escape(text, quote=False) == text for text in (question, *answers.values()))


class Reader(HTMLParser):                       # the text of each summary and each item
    def __init__(self, page):
        super().__init__()
        self.inside, self.texts = [], []
        self.feed(page)
        assert self.inside == []

    def handle_starttag(self, tag, attrs):
        self.inside.append(tag)
        if tag in ("summary", "li"):
            self.texts.append("")

    def handle_endtag(self, tag):
        assert self.inside.pop() == tag

    def handle_data(self, data):
        if {"summary", "li"} & set(self.inside):
            self.texts[-1] += data


def test_on_paper_has_each_question_and_each_answer_with_its_mark():
    expected = []
    for question, answers, right in QUESTIONS:
        expected += [question, *(f"{'✓' if answer == right else '✗'} {answer} {why}" for answer, why in answers.items())]
    page = on_paper()
    assert Reader(page).texts == expected
    for question, answers, _ in QUESTIONS:
        assert all(escape(text) in page for text in (question, *answers, *answers.values()))


def test_on_paper_escapes_what_looks_like_a_tag():
    page = on_paper([("1. Is a < b & c?", {"<b>no</b>": "It is \"not\" so.", "a & b": "Yes. It is."}, "a & b")])
    assert "&lt;b&gt;no&lt;/b&gt;" in page and "1. Is a &lt; b &amp; c?" in page and "&quot;not&quot;" in page
    assert Reader(page).texts == ["1. Is a < b & c?", "✗ <b>no</b> It is \"not\" so.", "✓ a & b Yes. It is."]
