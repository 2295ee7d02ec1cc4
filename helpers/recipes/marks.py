"""Puts what was measured into a page of text, between two marks, or into a file of figures."""

import json

from helpers.files import write_text


def write_between(path, mark, text):
    """Replaces what stands between <!-- mark --> and <!-- /mark --> of a file, or adds both at its end.

    Raises ValueError unless each mark is there once, in this order, or neither is.
    """
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    page = path.read_text(encoding="utf-8")
    if begin not in page and end not in page:
        page += f"\n{begin}\n{end}\n"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"{path.name} has not one {begin} and, after it, one {end}. Try to put them where the text should go.")
    before, after = page.split(begin)[0], page.split(end)[1]
    write_text(path, f"{before}{begin}\n{text}\n{end}{after}")


def write_figures(path, figures):
    """Writes what was measured as JSON, with four digits of each number: more were not measured."""
    write_text(path, json.dumps(rounded(figures)) + "\n")


def rounded(x):
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [rounded(value) for value in x]
    return float(f"{x:.4g}") if isinstance(x, float) else x
