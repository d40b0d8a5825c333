"""Passes of any size from small ones: the rule, on a clock that goes by counted work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from foldline.fit import pass_time
from foldline.fit.pass_time import FIRST, SECOND_S, Size


class Worker:
    """Its passes take what a formula says; the first of each size a little longer."""

    def __init__(self, seconds: Callable[[int, int], float]) -> None:
        self.now, self.seconds = 0.0, seconds
        self.seen: list[Size] = []

    def run(self, size: Size) -> None:
        """Make a pass."""
        self.now += self.seconds(*size) + (0.0 if size in self.seen else 0.1)
        self.seen.append(size)

    def clock(self) -> float:
        """Tell the time."""
        return self.now


FORMULAS: dict[str, Callable[[int, int], float]] = {
    "a recurrence": lambda count, length: 2e-4 + 3e-5 * length + 1e-6 * count * length,
    "convolutions": lambda count, length: 1e-3 + 2e-6 * count * length,
    "one answer a series": lambda count, length: 1e-3 + 1e-5 * count + 1e-7 * count * length,
    "attention": lambda count, length: 1e-3 + 1e-6 * count * length + 2e-8 * count * length**2,
}


@pytest.mark.parametrize("kind", FORMULAS)
@pytest.mark.parametrize("largest", [Size(64, 80), Size(64, 21_600), Size(4096, 500), Size(1, 7)])
def test_what_is_not_measured_follows_from_what_is(kind: str, largest: Size) -> None:
    work, quadratic = Worker(FORMULAS[kind]), kind == "attention"
    found = pass_time.measure(work.run, largest, quadratic, work.clock)
    assert found.seconds(*largest) == pytest.approx(FORMULAS[kind](*largest), rel=0.01)
    assert found.measured[-1][0] == max(work.seen, key=lambda size: size.items * size.length)


@pytest.mark.parametrize("quadratic", [False, True])
def test_a_dear_pass_is_never_made(quadratic: bool) -> None:
    """However large the real one is: a pass takes a moment, and so do all of them."""
    work = Worker(FORMULAS["attention" if quadratic else "a recurrence"])
    pass_time.measure(work.run, Size(1 << 20, 1 << 20), quadratic, work.clock)
    assert max(work.seconds(*size) for size in work.seen) <= SECOND_S
    assert work.now < 30.0


def test_the_first_pass_of_a_size_does_not_count_unless_it_is_dear() -> None:
    cheap, dear = Worker(lambda count, length: 0.01), Worker(lambda count, length: 2.0)
    assert [pass_time.measure(each.run, FIRST, clock=each.clock).seconds(*FIRST) for each in (cheap, dear)] == [
        pytest.approx(0.01),
        pytest.approx(2.0),
    ]
    assert [len(each.seen) for each in (cheap, dear)] == [2 + pass_time.TRIALS, 2]


def test_what_a_pass_takes_at_any_size_is_not_multiplied() -> None:
    """As the update of many weights: a pass is dear at once, and grows little."""
    work = Worker(lambda count, length: 0.3 + 1e-4 * count * length)
    largest = Size(16, 64)
    found = pass_time.measure(work.run, largest, clock=work.clock)
    assert found.seconds(*largest) == pytest.approx(work.seconds(*largest), rel=0.01)


def test_one_size_alone_is_taken_in_proportion() -> None:
    work = Worker(lambda count, length: 0.02)
    found = pass_time.measure(work.run, Size(8, 40), clock=work.clock, first=Size(8, 40))
    assert found.seconds(4, 20) == pytest.approx(0.005)
