"""Mistakes put into the numerical modules on purpose, one at a time: does a test notice?

    run.py trust mutants [MODULE ...] [--share=0.1] [--write]

Cosmic Ray makes the mutants: a number one more or one less, + for -, < for <=, True for False, a condition turned round, a loop that
never runs, a decorator left out. Defaults stay as they are: they were chosen, and follow from nothing. A mutant is tried in a process
of its own by the tests that come by its line, the quickest first, and is killed when one of them fails. What was killed is kept in
build/mutants/, and not tried again while its text stays the same; nor is what stands in survivors.md, which says why no test should
notice it. Unix only: it forks.
"""

import gc
import hashlib
import importlib.util
import json
import os
import resource
import sys
import time
from argparse import ArgumentParser
from bisect import bisect
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from importlib.machinery import SourceFileLoader
from itertools import accumulate
from pathlib import Path

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from parso.tree import search_ancestor

from helpers.recipes.marks import write_between

ROOT = Path(__file__).resolve().parents[2]
BUILD, SURVIVORS = ROOT / "build", Path(__file__).with_name("survivors.md")
MODULES = ("activations adversarial ascent attribution dream errors evaluation features images inversion losses nets optimize param "
           "patches rivals segmentation significance spectrum style texture transforms weights world.renderer world.solids").split()
# Tests of files, of the project and in a browser say nothing about a formula.
TESTS = sorted(path for path in (ROOT / "tests").glob("test_*.py") if not any(word in path.name for word in (
    "accessible architecture benchmarks browser contests contributing detective downloads exercises grade guests index "
    "interrupts league links memory notebooks poster project quiz recipe run safe slides start strange widgets").split()))
ENOUGH = 8          # seconds: of each part of a mutant's tests, the quickest that together take so long are run
REPLACE = ("BinaryOperator_Add_Sub BinaryOperator_Sub_Add BinaryOperator_Mul_Div BinaryOperator_Div_Mul BinaryOperator_FloorDiv_Mul "
           "BinaryOperator_Mod_FloorDiv BinaryOperator_Pow_Mul BinaryOperator_BitAnd_BitOr BinaryOperator_BitOr_BitAnd "
           "ComparisonOperator_Eq_NotEq ComparisonOperator_NotEq_Eq ComparisonOperator_Lt_LtE ComparisonOperator_Lt_Gt "
           "ComparisonOperator_LtE_Lt ComparisonOperator_LtE_GtE ComparisonOperator_Gt_GtE ComparisonOperator_Gt_Lt "
           "ComparisonOperator_GtE_Gt ComparisonOperator_GtE_LtE ComparisonOperator_Is_IsNot ComparisonOperator_IsNot_Is "
           "UnaryOperator_USub_UAdd UnaryOperator_Delete_Not UnaryOperator_Delete_Invert TrueWithFalse FalseWithTrue AndWithOr "
           "OrWithAnd BreakWithContinue ContinueWithBreak").split()
OTHERS = "AddNot ExceptionReplacer NumberReplacer RemoveDecorator ZeroIterationForLoop".split()
OPERATORS = [f"Replace{name}" for name in REPLACE] + OTHERS


@dataclass(frozen=True)
class Mutant:
    """A source with one mistake in it, and the lines of the original that it stands in."""

    source: str
    what: str
    lines: range
    original: str
    mutated: str

    def key(self, module):
        return hashlib.sha256("\n".join([module, self.original, self.mutated]).encode()).hexdigest()[:16]

    def __str__(self):
        lines = list(unified_diff(self.original.splitlines(), self.mutated.splitlines(), n=0))[3:]
        return " → ".join(f"`{' '.join(line[1:].strip() for line in lines if line[0] == sign)}`" for sign in "-+")


def mutants(source):
    """All mutants of a source that is Python: [Mutant]."""
    tree, found = get_ast(source), []
    statements = [node for node in tree.children if node.type != "endmarker"]
    for name in OPERATORS:
        operator, places = get_operator(f"core/{name}")(), []
        for node in ast_nodes(tree):
            places += [node for _ in operator.mutation_positions(node)]
        for occurrence, node in enumerate(places):
            if search_ancestor(node, "param", "parameters"):        # a default; or the * before keywords, which multiplies nothing
                continue
            mutated = mutate_code(source, operator, occurrence)
            with suppress(SyntaxError, ValueError):
                compile(mutated, "mutant", "exec")
                top = next(statement for statement in statements if node.start_pos < statement.end_pos)
                after = len(source.splitlines()) - last_line(top)
                text = "\n".join(mutated.splitlines()[top.start_pos[0] - 1:len(mutated.splitlines()) - after])
                found.append(Mutant(mutated, name, lines_around(node), top.get_code(include_prefix=False).strip(), text.strip()))
    return found


def lines_around(node):
    """The lines of the smallest statement around a node: the head alone of an `if` or a loop, the whole of a function."""
    while node.parent is not None and node.parent.type not in ("file_input", "suite"):
        node = node.parent
    suites = [child for child in getattr(node, "children", []) if child.type == "suite"]
    head = suites and node.type not in ("funcdef", "classdef", "decorated")
    return range(node.start_pos[0], (suites[0].start_pos[0] if head else last_line(node)) + 1)


def last_line(node):
    return node.end_pos[0] - (node.end_pos[1] == 0)


# ---- Which tests come by a line ----

class Recorder:
    """A plugin of pytest: which test is running is told to coverage, and its seconds are noted."""

    def __init__(self, coverage):
        self.coverage, self.seconds = coverage, {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        begin = time.process_time()
        self.coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - begin


def record():
    """Runs all tests once: ({module: {line: [test, ...]}}, {test: seconds})."""
    import coverage

    tracer = coverage.Coverage(data_file=None, include=[str(ROOT / "helpers/*.py"), str(ROOT / "helpers/world/*.py")])
    recorder = Recorder(tracer)
    tracer.start()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *map(str, TESTS)], plugins=[recorder])
    tracer.stop()
    if code:
        raise SystemExit(int(code))
    data = tracer.get_data()
    lines = {module: {line: [test for test in tests if test] for line, tests in data.contexts_by_lineno(str(path(module))).items()}
             for module in MODULES}
    return lines, recorder.seconds


def tests_of(mutant, module, lines, seconds):
    """The tests that come by a mutant's lines; of what runs at import alone, those that come by the module. First those in the module's
    own file, then all others, since to collect tests takes time, too; of each the quickest.
    """
    found = {test for line in mutant.lines for test in lines.get(str(line), [])}
    tests = sorted(found or {test for tests in lines.values() for test in tests}, key=seconds.get)
    own = [test for test in tests if module.split(".")[-1] in test.split("::")[0]]
    return [part[:max(1, bisect(list(accumulate(map(seconds.get, part))), ENOUGH))]
            for part in (own, [test for test in tests if test not in own])]


# ---- Trying one ----

class Mutated(SourceFileLoader):
    """A finder that gives one module another source, and leaves all others to Python's own."""

    def __init__(self, module, source):
        super().__init__(f"helpers.{module}", str(path(module)))
        self.source = source

    def get_code(self, name):
        return compile(self.source, self.path, "exec")

    def find_spec(self, name, *_):
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None


def path(module):
    return ROOT / "helpers" / f"{module.replace('.', '/')}.py"


def apart(work, seconds):
    """Runs `work()` in a process of its own, in silence and with limited time and memory -> its exit code, negative for a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        code = work()
    finally:
        os._exit(code)


def killed(module, mutant, parts, seconds):
    """Does a test of one of the parts fail with this mutant in a module's place?"""
    def work():
        for name in [name for name in sys.modules if name.split(".")[0] == "helpers"]:      # what this script itself has imported
            del sys.modules[name]
        sys.meta_path.insert(0, Mutated(module, mutant.source))
        return any(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]) for tests in parts if tests)
    return apart(work, round(30 + 5 * seconds)) != 0


def trial(module, lines, seconds, share):
    """Tries a module's mutants: (how many there are, [survivor, ...]). What was killed is kept in build/mutants/."""
    note = BUILD / "mutants" / f"{module}.json"
    dead = set(json.loads(note.read_text())) if note.exists() else set()
    known, alive = SURVIVORS.read_text(encoding="utf-8"), []
    every = mutants(path(module).read_text(encoding="utf-8"))
    chosen = [mutant for mutant in every if int(mutant.key(module), 16) < share * 16 ** 16]     # the same ones, whatever else changes
    for mutant in chosen:
        key = mutant.key(module)
        if key in dead:
            continue
        parts = tests_of(mutant, module, lines, seconds)
        if key in known or not killed(module, mutant, parts, sum(seconds[test] for tests in parts for test in tests)):
            alive.append(mutant)
            if key not in known:
                print(f"* {key} {module}: {mutant}", flush=True)
        else:
            dead.add(key)
            note.write_text(json.dumps(sorted(dead)))
    return len(chosen), alive


def main():
    parser = ArgumentParser(prog="run.py trust mutants", description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--share", type=float, default=1, help="the share of a module's mutants that is tried")
    parser.add_argument("--write", action="store_true", help="puts the table into tests/README.md")
    args = parser.parse_args()
    (BUILD / "mutants").mkdir(parents=True, exist_ok=True)
    for name in ("torchvision", "captum.attr", "cv2", "hypothesis", "ipywidgets", "matplotlib.pyplot", "skimage", "sklearn.manifold",
                 "scipy.stats", "nbval.plugin"):     # what takes seconds to import: once, here
        importlib.import_module(name)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"      # no test of TESTS needs a plugin, and they take a second
    gc.freeze()     # or each process would look through all that was imported
    coverage = BUILD / "mutants" / "coverage.json"
    newest = max(file.stat().st_mtime for file in [*TESTS, *map(path, MODULES)])
    recorded = coverage.exists() and coverage.stat().st_mtime > newest
    if not recorded and apart(lambda: coverage.write_text(json.dumps(record())) and 0, 3600):
        sys.exit("mutants: the tests fail without any mutant, so they can kill none. Try `run.py test`.")
    lines, seconds = json.loads(coverage.read_text())
    rows, unread = [], 0
    for module in args.modules:
        count, alive = trial(module, lines[module], seconds, args.share)
        unread += sum(mutant.key(module) not in SURVIVORS.read_text(encoding="utf-8") for mutant in alive)
        rows.append((f"`{module}`", count, count - len(alive)))
        print(f"{module}: {count - len(alive)} of {count} killed", flush=True)
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    table = ["| module | mutants | killed | |", "|---|---|---|---|", *(f"| {name} | {n} | {k} | {k / n:.0%} |" for name, n, k in rows)]
    head = f"{args.share:.0%} of all mutants, chosen by a hash of their text."
    page = "\n".join([head, "", *table, "", f"Of those that live, {unread} have no reason yet in [survivors.md](trust/survivors.md)."])
    print(page)
    if args.write:
        write_between(ROOT / "tests" / "README.md", "mutants", page)
    return bool(unread)


if __name__ == "__main__":
    sys.exit(main())
