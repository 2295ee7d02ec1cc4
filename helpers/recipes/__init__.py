"""How what is shipped was made. Each is a command: python -m helpers.recipes.NAME --help."""
