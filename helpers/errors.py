"""Errors that say what came, what was expected and what to try."""

from difflib import get_close_matches


class Message(KeyError):
    """A KeyError whose text prints as a sentence, not as its repr."""

    def __str__(self):
        return self.args[0]


def unknown(what, name, known):
    """A KeyError that names the closest of the known names, for a name that is not among them."""
    known = [str(k) for k in known]
    close = get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"Known: {', '.join(known)}."
    return Message(f"There is no {what} {str(name)!r}. {hint}")


def describe(x):
    """What came, in words: "a float32 tensor of shape (1, 3, 64, 64)", "a str"."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        kind = "tensor" if type(x).__module__.startswith("torch") else type(x).__name__
        return f"a {str(x.dtype).removeprefix('torch.')} {kind} of shape {tuple(x.shape)}"
    return "None" if x is None else f"a {type(x).__name__}"


def check_count(n, what, *, least=1, most=None):
    """Raises ValueError unless n, of what is counted ("steps"), is a whole number of at least `least`, and at most `most`."""
    if not least <= n < float("inf") or n != int(n) or most is not None and n > most:
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"Got {n} {what}; expected a whole number, {limits}.")


def check_positive(value, what, *, zero=False):
    """Raises ValueError unless the value of `what` ("sigma, in pixels") is finite and more than 0; or, with `zero`, at least 0."""
    if not (0 <= value if zero else 0 < value) or value == float("inf"):
        raise ValueError(f"Got {value} as {what}; expected a number {'from' if zero else 'of more than'} 0.")


def check_k(k, most, what):
    """Raises ValueError unless k is from 1 to `most`, the number of `what` there are."""
    if not 1 <= k <= most or k != int(k):
        raise ValueError(f"Got k={k}; expected 1 to {most}, the number of {what}, as a whole number.")
