"""Load the questions of the quiz."""

import json

from helpers.networks import DATA


def questions():
    """Load the questions -> list of dicts: question, answers (answer -> why), right.

    The number in parentheses is the section of the course. The text is shown as HTML.
    """
    return json.loads((DATA / "quiz.json").read_text(encoding="utf-8"))
