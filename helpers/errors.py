"""Errors that say what came, what was expected and what to try."""

from difflib import get_close_matches


def unknown(what, name, known):
    """A KeyError that names the closest of the known names, for a name that is not among them."""
    known = [str(k) for k in known]
    close = get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Known: {', '.join(known)}."
    return Message(f"There is no {what} {str(name)!r}. {hint}")


def check_count(n, what):
    """Raises ValueError unless n, of what is counted ("steps"), is a whole number of at least 1."""
    if not 1 <= n < float("inf") or n != int(n):
        raise ValueError(f"Got {n} {what}; expected a whole number, at least 1.")


class Message(KeyError):
    """A KeyError whose text prints as a sentence, not as its repr."""

    def __str__(self):
        return self.args[0]
