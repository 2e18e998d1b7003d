"""Items that are made one ahead of their use."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from samuel_runtime.codec.ahead import one_ahead


def test_items_come_in_order_each_made_while_the_one_before_is_used() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in range(4):
            made.append(number)
            if number == 1:
                second.set()
            yield number

    coming = one_ahead(items())
    assert next(coming) == 0
    assert second.wait(10)  # made though nobody asked for it yet
    assert list(coming) == [1, 2, 3] == made[1:]
    assert list(one_ahead(iter([]))) == []


def test_what_making_an_item_raises_is_raised_where_it_is_asked_for() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    coming = one_ahead(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="broken"):
        next(coming)


def test_an_iterator_that_is_closed_early_leaves_no_thread() -> None:
    before = threading.active_count()
    coming = one_ahead(iter(range(1, 9)))
    assert next(coming) == 1
    coming.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
