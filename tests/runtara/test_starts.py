"""How many suspects a worker begins at once, and in which order."""

from pathlib import Path

import pytest

from runtara.core import Order
from runtara.starts import Starts, places


def order(number: int) -> Order:
    return Order(f"l{number}", f"i{number}", "t", "w", is_suspect=True)


@pytest.fixture
def begun() -> list[str]:
    """The launches that have had their turn, in their order."""
    return []


@pytest.fixture
def starts(begun: list[str]) -> Starts:
    """Two places."""
    return Starts(2, lambda one: begun.append(one.launch_id))


def test_no_more_begin_at_once_than_there_are_places(starts: Starts, begun: list[str]) -> None:
    """The one that has waited longest is next, whichever place becomes free."""
    for number in range(5):
        starts.add(order(number))
    assert begun == ["l0", "l1"]
    assert (len(starts), "l1" in starts, "l2" in starts) == (3, False, True)

    starts.has_begun("l1")
    assert begun == ["l0", "l1", "l2"]
    starts.has_begun("l2")
    starts.has_begun("l0")
    assert begun == ["l0", "l1", "l2", "l3", "l4"]


def test_each_is_told_when_its_turn_has_come(starts: Starts) -> None:
    """Its timeouts count from then on."""
    told: list[int] = []
    for number in range(4):
        starts.add(order(number), lambda number=number: told.append(number))  # type: ignore[misc]  # Of its own.
    assert told == [0, 1]

    starts.remove("l2")
    starts.has_begun("l0")
    assert told == [0, 1, 3]


def test_a_place_is_freed_once(starts: Starts, begun: list[str]) -> None:
    for number in range(4):
        starts.add(order(number))
    starts.has_begun("l0")
    starts.has_begun("l0")
    assert begun == ["l0", "l1", "l2"]


def test_what_is_removed_never_begins(starts: Starts, begun: list[str]) -> None:
    for number in range(4):
        starts.add(order(number))
    assert starts.remove("l2")
    assert not starts.remove("l2")
    assert not starts.remove("l0")
    starts.has_begun("l0")
    assert begun == ["l0", "l1", "l3"]


@pytest.mark.parametrize(
    ("quota", "least", "most"), [("100000 100000\n", 2, 2), ("250000 100000\n", 2, 3)]
)
def test_the_places_follow_the_control_groups_limit(
    tmp_path: Path, quota: str, least: int, most: int
) -> None:
    """A part of a CPU counts as one; two begin in any case."""
    (tmp_path / "cpu.max").write_text(quota)
    assert least <= places(tmp_path / "cpu.max") <= most


def test_without_a_limit_the_places_follow_the_cpus(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert places(tmp_path / "cpu.max") == places(tmp_path / "none") >= 2
