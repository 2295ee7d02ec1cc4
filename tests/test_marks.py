"""Marks in a page of text, and what is written between them."""

import json

import pytest

from helpers.recipes.marks import write_between, write_figures


@pytest.mark.parametrize("page, written", [
    ("Before.\n<!-- a -->\nold\n<!-- /a -->\nAfter.\n", "Before.\n<!-- a -->\nné\n<!-- /a -->\nAfter.\n"),
    ("Before.\n<!-- b -->\n<!-- /b -->\n", "Before.\n<!-- b -->\n<!-- /b -->\n\n<!-- a -->\nné\n<!-- /a -->\n"),
])
def test_text_is_replaced_or_added(tmp_path, page, written):
    path = tmp_path / "page.md"
    path.write_text(page, encoding="utf-8")
    for _ in range(2):      # the second time changes nothing
        write_between(path, "a", "né")
        assert path.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("page", ["<!-- a -->", "<!-- /a -->", "<!-- /a --> <!-- a -->", "<!-- a --> <!-- a --> <!-- /a -->"])
def test_half_a_pair_is_told(tmp_path, page):
    path = tmp_path / "page.md"
    path.write_text(page, encoding="utf-8")
    with pytest.raises(ValueError, match="page.md has not one <!-- a --> and, after it, one <!-- /a -->. Try"):
        write_between(path, "a", "text")
    assert path.read_text(encoding="utf-8") == page


def test_figures_have_four_digits(tmp_path):
    write_figures(tmp_path / "figures.json", {"a": [0.123456, 1.0, True, 123456], "b": {"c": (1234567.0, None, "1.23456")}})
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found == {"a": [0.1235, 1.0, True, 123456], "b": {"c": [1235000.0, None, "1.23456"]}}
