"""What pytest does with a notebook beside running its cells."""

pytest_plugins = ["tests.after_cells"]
