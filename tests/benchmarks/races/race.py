"""One row of the table: ours and others do the same work in turns, after their results were compared."""

import random
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
    asked: dict = field(default_factory=dict)       # how many times as long as ours each of them should take, at least; 1 unless given
    bare: Callable | None = None
    half: Callable | None = None
    same: Callable | dict = close       # raises where a peer's result is another, or says how good it is; or one for each peer
    agree: Callable | None = None       # in a few words, how well the result in bf16 agrees

    def run(self):
        """The times of each, dict name -> list with one for each round; what is said of each peer, and of bf16. Comparing warms up."""
        ours, notes = self.ours(), {}
        for name, peer in self.peers.items():
            same = self.same.get(name, close) if isinstance(self.same, dict) else self.same
            try:
                notes[name] = same(ours, peer()) or ""
            except AssertionError as error:
                raise AssertionError(f"{self.work}: the result of {name} is another. {error}") from None
        if self.bare:
            self.bare()
        half = self.half() if self.half else None
        notes["bf16"] = self.agree(ours, half) if self.half and self.agree else ""
        runners = {"ours": self.ours, **self.peers, "bare": self.bare, "bf16": self.half}
        runners = {name: f for name, f in runners.items() if f}
        times, began, luck = {name: [] for name in runners}, time.perf_counter(), random.Random(0)
        for number in range(1, ROUNDS[1] + 1):
            for name in luck.sample(list(runners), len(runners)):       # in another order each time
                start = time.perf_counter()
                runners[name]()
                times[name].append(time.perf_counter() - start)
            spent = time.perf_counter() - began
            if number >= ROUNDS[0] and spent > SECONDS or number >= FEW and spent > LONG:
                break
        return times, notes


def ratio(times, one, other="ours"):
    """How many times as long one takes as the other: the quartiles of the rounds' ratios, (low, middle, high)."""
    return statistics.quantiles([a / b for a, b in zip(times[one], times[other])], n=4, method="inclusive")
