"""Write errors that say what came in, what was expected, and what to try."""

from difflib import get_close_matches


class NameNotFound(KeyError):
    """A KeyError whose text prints as a sentence and not as its repr."""

    def __str__(self):
        return self.args[0]


class MissingPackage(ValueError):
    """A ValueError that stops a notebook's cell with its sentence alone, without a traceback."""

    def _render_traceback_(self):       # IPython calls it
        return [str(self)]


def unknown_name(what, name, known):
    """Return a KeyError that suggests the known names closest to the one that was given."""
    known = [str(k) for k in known]
    close = get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"Known: {', '.join(known)}."
    if close:
        hint = f"Did you mean {' or '.join(map(repr, close))}?"
    return NameNotFound(f"There is no {what} {str(name)!r}. {hint}")


def describe(x):
    """Describe a value in words: "a float32 tensor of shape (1, 3, 64, 64)", "a str"."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        kind = "tensor" if type(x).__module__.startswith("torch") else type(x).__name__
        return f"a {str(x.dtype).removeprefix('torch.')} {kind} of shape {tuple(x.shape)}"
    return "None" if x is None else f"a {type(x).__name__}"
