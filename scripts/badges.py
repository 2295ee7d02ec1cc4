"""Fill in the repository's address in the README, the notebooks, and their like.

Without ORG/REPO it is that of the clone's remote `origin` on GitHub.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATTERNS = ("*.md", "*.cff", "notebooks/*.md", "notebooks/*.ipynb")


def repository(readme):
    """Read which repository the README's badges name, ORG/REPO."""
    return re.search(r"mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/", readme)[1]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", nargs="?", metavar="ORG/REPO")
    git = ["git", "remote", "get-url", "origin"]
    remote = subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    given = parser.parse_args(argv).repository or remote
    found = re.fullmatch(r"(?:.*github\.com[:/])?([\w.-]+/[\w.-]+?)(?:\.git)?/?", given)
    if not found:
        return f"Got {given!r}; expected a repository on GitHub as ORG/REPO, like octocat/course."
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    old = repository(readme)
    place = re.compile(rf"((?:/gh|/github|github\.com|codespaces\.new)/){re.escape(old)}(?![\w-])")
    for path in [path for pattern in PATTERNS for path in ROOT.glob(pattern)]:
        text = path.read_text(encoding="utf-8")
        path.write_text(place.sub(rf"\g<1>{found[1]}", text), encoding="utf-8", newline="\n")
    print(f"The badges and addresses name {found[1]} now.")


if __name__ == "__main__":
    sys.exit(main())
