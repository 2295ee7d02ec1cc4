"""Imports go one way: networks know no technique, techniques know no registry of networks."""

import ast
from pathlib import Path

import pytest

HELPERS = Path(__file__).resolve().parents[1] / "helpers"
FOUNDATION = {"errors", "images", "photos", "activations", "networks"}
FOR_NOTEBOOKS = {"widgets", "figures", "exercises", "course"}
MAY_USE_NETWORKS = {"style"} | FOR_NOTEBOOKS        # it loads its own network's weights


def imports(path):
    """List the helpers that a module imports, by their first names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "helpers":
            names = [f"helpers.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("helpers.")}
    return found


@pytest.mark.parametrize("path", sorted(HELPERS.rglob("*.py")), ids=lambda p: p.stem)
def test_imports_go_one_way(path):
    module = path.relative_to(HELPERS).parts[0].removesuffix(".py")
    used = imports(path) - {module}
    if module in FOUNDATION:
        assert used <= FOUNDATION
    elif module not in MAY_USE_NETWORKS:
        assert "networks" not in used
    if module not in FOR_NOTEBOOKS:
        assert not used & FOR_NOTEBOOKS
