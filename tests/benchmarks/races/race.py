"""One row of the table: ours and others do the same work in turns, after their results were found equal."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

ROUNDS, SECONDS = (5, 25), 4.0      # of a row: at least, at most; and when it has had enough
FEW, LONG = 3, 30.0                 # of one that takes so many seconds, so few rounds are enough


def close(ours, theirs, rtol=1e-3, atol=1e-4):
    torch.testing.assert_close(theirs, ours, rtol=rtol, atol=atol, check_dtype=False)


@dataclass
class Race:
    """`ours`, the others by name, what nobody can avoid, and ours in bf16; each is a function that gives the result."""

    work: str
    ours: Callable
    peers: dict = field(default_factory=dict)
    asked: dict = field(default_factory=dict)       # how many times as long as ours each of them should take, at least
    bare: Callable | None = None
    half: Callable | None = None
    same: Callable | dict = close                   # raises where a peer's result is another, or says how good it is; or one for each peer
    agree: Callable | None = None                   # in a few words, how well the result in bf16 agrees

    def run(self):
        """The times of each, dict name -> list with one for each round; what is said of each peer, and of bf16. Comparing warms up."""
        ours, notes = self.ours(), {}
        for name, peer in self.peers.items():
            try:
                notes[name] = (self.same.get(name, close) if isinstance(self.same, dict) else self.same)(ours, peer()) or ""
            except AssertionError as error:
                raise AssertionError(f"{self.work}: the result of {name} is another. {error}") from None
        notes["bf16"] = self.agree(ours, self.half()) if self.half and self.agree else ""
        runners = {"ours": self.ours, **self.peers, "bare": self.bare, "bf16": self.half}
        runners = {name: f for name, f in runners.items() if f}
        times, began = {name: [] for name in runners}, time.perf_counter()
        for number in range(ROUNDS[1]):
            order = list(runners)
            for name in order[number % len(order):] + order[:number % len(order)]:      # each begins once
                start = time.perf_counter()
                runners[name]()
                times[name].append(time.perf_counter() - start)
            spent = time.perf_counter() - began
            if number + 1 >= ROUNDS[0] and spent > SECONDS or number + 1 >= FEW and spent > LONG:
                break
        return times, notes


def ratio(times, one, other="ours"):
    """How many times as long one takes as the other: that of the medians, and the quartiles of the rounds' own."""
    low, _, high = statistics.quantiles([a / b for a, b in zip(times[one], times[other])], n=4)
    return statistics.median(times[one]) / statistics.median(times[other]), low, high
