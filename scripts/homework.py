"""Write a homework of 100 points: DIR/homework.ipynb for students, and DIR/rubric.md for graders.

The seed chooses the variant, so last year's answers don't fit. notebooks/HOMEWORK.md explains it.
"""

import argparse
import io
import re
import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.exercises import homework as parts
from helpers.exercises.detective import misled_accuracies
from helpers.exercises.exercise_cells import find_stub
from notebooks import find

FENCE = re.compile(r"^```python\n(.*?)\n```$", re.S | re.M)


def fill(name, variant, **values):
    """Read a text and put the variant's words into its <<placeholders>>."""
    text = (parts.FOLDER / name).read_text(encoding="utf-8")
    for question, option in variant.items():
        words = parts.OPTIONS[question][option]
        values |= {f"{question}.{key}": word for key, word in words.items()}
    return re.sub("<<(.+?)>>", lambda found: str(values[found[1]]), text)


def with_output(source, names):
    """Return a cell's source with what it prints, computed by our solutions."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(source, names)
    lines = printed.getvalue().strip().replace("\n", "\n#           ")
    return source.replace("# expected", f"# expected: {lines}")


def write_notebook(text, names):
    """Make the notebook of a homework from its text."""
    colab = next(c for c in nbformat.read(find(["01"])[0], 4).cells if "google.colab" in c.source)
    title, setup, *rest = FENCE.split(text)
    exec(setup, names)
    cells = [new_markdown_cell(title.strip()), new_code_cell(colab.source, metadata=colab.metadata),
             new_code_cell(setup)]
    for k, part in enumerate(rest):
        if k % 2:
            is_try = not find_stub(part) and "# expected" in part
            cells.append(new_code_cell(with_output(part, names) if is_try else part))
        else:
            sections = re.split(r"^(?=## )", part.strip(), flags=re.M)
            cells += [new_markdown_cell(section.strip()) for section in sections if section]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--seed", type=int, required=True, help="another one for each course")
    args = parser.parse_args(argv)
    path = args.folder / "homework.ipynb"
    if path.exists():
        return f"{path} exists already: name another folder."
    variant = parts.draw_variant(args.seed)
    text = fill("homework.md", variant, seed=args.seed)
    notebook = write_notebook(text, parts.solutions(variant))
    notebook.metadata.homework = {"seed": args.seed}
    probes, _, test = parts.open_case(args.seed)
    mark = partial(parts.mark_with, variant["mark"])
    misled = {name: sorted(misled_accuracies(probe, test.images, test.labels, mark))
              for name, probe in probes.items()}
    chosen = ", ".join(f"{question} {option}" for question, option in variant.items())
    rubric = fill("rubric.md", variant, seed=args.seed, chosen=chosen,
                  culprit=min(misled, key=misled.get),
                  misled=", ".join(f"{name} {found[0]:.0%} to {found[-1]:.0%}"
                                   for name, found in misled.items()))
    (args.folder / "submissions").mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    (args.folder / "rubric.md").write_text(rubric, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
