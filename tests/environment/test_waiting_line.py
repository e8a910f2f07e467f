"""When launches that found no room are tried again, and what is said of them."""

from collections.abc import Collection

from runtara_domain.error import DatabaseError
from runtara_domain.ports.launches import Launches
from runtara_environment.placements.ray_cluster.wire import why_waiting
from runtara_environment.placements.waiting import WaitingLine

GIB = 1024.0**3


class Called:
    """Keeps whose wait was ended; is_away: whether the database can't be asked."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.is_away = False

    async def end_waits(self, instance_ids: Collection[str]) -> None:
        if self.is_away:
            raise DatabaseError("away")
        self.ids += instance_ids

    def line(self, *waiting: str) -> WaitingLine:
        launches: Launches = self  # type: ignore[assignment]  # It has what is called.
        line = WaitingLine(launches)
        for instance_id in waiting:
            line.begin(instance_id)
            line.give_back(f"launch of {instance_id}", instance_id)
        return line


async def all_closed(line: WaitingLine, *waiting: str) -> None:
    for instance_id in waiting:
        await line.closed(f"launch of {instance_id}")


async def test_room_is_offered_to_those_that_wait_longest() -> None:
    """Four get it at a time. The next one gets it when one of them is launched or given back."""
    called, names = Called(), ("a", "b", "c", "d", "e", "f", "g")
    line = called.line(*names)
    await all_closed(line, *names)
    before = list(called.ids)
    await line.freed()
    first = list(called.ids)
    line.begin("a")
    await line.go_on("a")
    line.begin("b")
    line.give_back("b again", "b")
    await line.closed("b again")

    assert before == []
    assert first == ["a", "b", "c", "d"]
    assert called.ids[4:] == ["e", "f"]


async def test_each_is_tried_once_for_the_room_of_one() -> None:
    """They are tried again when more is freed, also between the try and its verdict."""
    called = Called()
    line = called.line("a")
    await all_closed(line, "a")
    await line.freed()
    line.begin("a")
    line.give_back("again", "a")
    await line.closed("again")
    once = list(called.ids)
    line.begin("a")
    line.give_back("again", "a")
    await line.freed()
    await line.closed("again")

    assert once == ["a"]
    assert called.ids == ["a", "a"]


async def test_a_database_that_is_away_costs_no_verdict() -> None:
    """Its back-off then ends by itself."""
    called = Called()
    called.is_away = True
    line = called.line("a")
    await all_closed(line, "a")
    await line.freed()

    assert called.ids == []


def test_what_has_no_room_now_differs_from_what_never_has() -> None:
    """A node has all that is asked for, or none does."""
    nodes = [{"CPU": 4.0, "memory": GIB}, {"CPU": 1.0, "memory": 2 * GIB}]
    now = why_waiting({"CPU": 1, "memory": 2 * GIB}, nodes, {"CPU": 3.0, "memory": GIB})
    never = why_waiting({"CPU": 2, "memory": 2 * GIB}, nodes, {"CPU": 3.0, "memory": GIB})

    assert not now["is_too_large"]
    assert now["waiting"].startswith(
        "no node has enough free for its image, which asks for 1 CPUs and 2048 MiB of memory: the"
        " cluster has"
        " 3 CPUs and 1024 MiB of memory free, its largest node has 1 CPUs and 2048 MiB of memory"
    )
    assert never["is_too_large"]
    assert never["waiting"].startswith(
        "no node is large enough for its image, which asks for 2 CPU"
    )
