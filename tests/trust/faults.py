"""What breaks outside, tried many times more than the tests do: `run.py trust faults [--write]`.

Runs what is about faults in tests/ with FAULTS=all, and prints how often each was tried and what was said or done. With --write the
table goes into tests/README.md.
"""

import os
import platform
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["FAULTS"] = "all"

import pytest  # noqa: E402
import torch  # noqa: E402

from helpers.recipes.marks import write_between  # noqa: E402

FILES = [f"tests/test_{name}.py" for name in ("faults", "downloads", "memory", "interrupts", "run", "recipes")]
OF_SOME = {"test_run": "killed or disk or cut or badges_that or nothing_can_be_made or broken", "test_recipes": "interrupt"}


class Table:
    """Collects of each test its docstring, which names the fault, and what was said at each try."""

    def __init__(self):
        self.names, self.rows, self.wrong = {}, {}, []

    def pytest_collection_modifyitems(self, items):
        for item in items:
            self.names[item.nodeid] = (item.function.__doc__ or "").split("\n")[0]
        items[:] = [item for item in items if self.wanted(item)]

    @staticmethod
    def wanted(item):
        words = OF_SOME.get(item.path.stem)
        return words is None or any(word in item.name for word in words.split(" or "))

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.wrong.append(report.nodeid)
        name = self.names[report.nodeid]
        if report.when == "call" and name:
            self.rows.setdefault(name, []).extend(str(said) for key, said in report.user_properties if key == "said")


def short(said):
    """What was said most often, without paths and hashes, and how many other sentences there were."""
    ways = {}
    for one in said:
        one = re.sub(r"(/[\w.-]+)+/", "", one.split(". Try")[0])
        one = re.sub(r"SHA-256 is .*", "SHA-256 is another", one)
        ways[one] = ways.get(one, 0) + 1
    return max(ways, key=ways.get)[:110].replace("|", "/") + (f" (and {len(ways) - 1} other sentences)" if len(ways) > 1 else "")


def main():
    table, start = Table(), time.time()
    code = pytest.main(["-q", "-n0", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *(str(ROOT / file) for file in FILES)], plugins=[table])
    lines = ["| fault | tries | what was said or done |", "|---|---|---|"]
    lines += [f"| {name} | {len(said):,} | {short(said)} |" for name, said in table.rows.items() if said]
    tried = sum(map(len, table.rows.values()))
    lines += ["", f"{tried:,} tries, {len(table.wrong)} found wrong. In {(time.time() - start) / 60:.0f} minutes on {platform.system()}, "
              f"Python {platform.python_version()}, PyTorch {torch.__version__.split('+')[0]}."]
    print("\n".join(lines))
    for name in table.wrong:
        print(f"wrong: {name}", file=sys.stderr)
    if "--write" in sys.argv[1:]:
        write_between(ROOT / "tests" / "README.md", "faults", "\n".join(lines))
    return int(bool(table.wrong) or code != 0)


if __name__ == "__main__":
    sys.exit(main())
