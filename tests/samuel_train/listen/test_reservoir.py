"""What a step may draw from depends on its number alone."""

from __future__ import annotations

from samuel_train.listen.reservoir import Reservoir


def test_a_run_that_begins_later_draws_from_the_same_examples() -> None:
    def example(number: int) -> int | None:
        return None if number % 5 == 0 else number

    first, second = Reservoir(example, 6, 2), Reservoir(example, 6, 2)
    for step in range(4):
        first.at(step)
    assert first.at(4) == second.at(4) == [12, 13, 14, 16, 17]


def test_each_example_is_made_once() -> None:
    made: list[int] = []
    reservoir = Reservoir(lambda number: made.append(number) or number, 8, 2)  # type: ignore[func-returns-value]
    for step in range(5):
        reservoir.at(step)
    assert sorted(made) == sorted(set(made))
