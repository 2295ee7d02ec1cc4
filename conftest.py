"""Let pytest run more on a notebook than its cells: see tests/nbval_plugin.py."""

pytest_plugins = ["tests.nbval_plugin"]
