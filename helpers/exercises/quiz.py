"""Load the questions of the quiz."""

import json

from helpers.networks import DATA


def questions():
    """Load the questions, HTML -> list of dicts: question, answers (answer -> why), right."""
    return json.loads((DATA / "quiz.json").read_text(encoding="utf-8"))
