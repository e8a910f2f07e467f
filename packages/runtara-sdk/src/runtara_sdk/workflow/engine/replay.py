"""Replay: what earlier runs of an instance have passed."""

from collections.abc import Mapping

from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.keys import branch_of, call_of
from runtara_sdk.workflow.engine.records import VERSION, Entry, Kind
from runtara_sdk.workflow.errors import Changed


class Replay:
    """
    All saved entries by key and by place; each is given out once.

    `is_old`: something is saved as an older version saves it.
    """

    def __init__(self, passed: Mapping[str, bytes]) -> None:
        self._entries = {key: records.decode(key, state) for key, state in passed.items()}
        self._places: dict[tuple[str, int], str] = {}
        self._last: dict[str, int] = {}
        self._unvisited: dict[str, None] = {}
        for key, entry in self._entries.items():
            if entry.at is not None:
                self._note(call_of(key), entry.at)
        self.is_old = any(entry.version < VERSION for entry in self._entries.values())

    def get(self, key: str) -> Entry | None:
        """Read one that may be asked for again."""
        return self._entries.get(key)

    def consume(self, call: DurableCall) -> Entry | None:
        """
        Give what is saved for a call: None if nothing is.

        A place renamed since gets the key it had. Raises Changed if the code had another call
        here, or the same one with other arguments.
        """
        self._rename(call)
        self._unvisited.pop(call.key, None)
        entry = self._entries.pop(call.key, None)
        if entry is not None:
            check(call, entry)
        return entry

    def holds(self, path: str) -> bool:
        """Tell whether anything was saved in a branch or below."""
        return any(key.startswith(f"{path}/") for key in self._entries)

    def last_position(self, path: str) -> int:
        """The last place of a branch for which something is saved; 0: nothing is."""
        return self._last.get(path, 0)

    def last_raise_number(self) -> int:
        """The number of what was thrown last in a task of asyncio's; 0: nothing was."""
        return max((entry.nth or 0 for entry in self._entries.values()), default=0)

    def key_at(self, path: str, at: int) -> str | None:
        """The key of what was saved at a call."""
        return self._places.get((path, at))

    def steps(self) -> int:
        """How many steps it has the ends of, before any is asked for."""
        ends = (Kind.RESULT, Kind.FAILURE, Kind.UNREAD)
        return sum(one.call is not None and one.kind in ends for one in self._entries.values())

    def unreplayed_calls(self) -> Changed | None:
        """The calls that were made and not made again, as an error; None: there are none."""
        if not self._unvisited:
            return None
        keys = list(self._unvisited)
        return Changed(
            f"the workflow ended without calling {', '.join(map(repr, keys[:5]))}, which the"
            " instance has passed: leave the calls in for instances that are under way, or declare"
            " the change with `if await patched(...)`"
        )

    def _note(self, key: str, at: int) -> None:
        """Note where a call stands, also one that was only begun: its effect may have happened."""
        path = branch_of(key)
        self._places[path, at] = key
        self._last[path] = max(at, self._last.get(path, 0))
        self._unvisited[key] = None

    def _rename(self, call: DurableCall) -> None:
        if call.position is None:
            return
        had = self.key_at(call.branch.path, call.position)
        if had is None or had == call.key:
            return
        if had not in call.former_keys:
            raise Changed(
                f"the code calls {call.key!r} where the instance has passed {had!r} (call"
                f" {call.position} of {_named(call.branch.path)}): call that first, declare the new"
                " call with `if await patched(...)`, or a new name with was=..."
            )
        call.rename(had)


def check(call: DurableCall, entry: Entry) -> None:
    """Raises Changed unless the entry was saved by this call."""
    if entry.at != call.position:
        raise Changed(
            f"{call.key!r} is call {call.position} of {_named(call.branch.path)}, and was call"
            f" {entry.at} when the instance passed it: put what was added behind"
            " `if await patched(...)`, and leave in what was removed"
        )
    check_step(call, entry)
    if not (entry.call is None if call.arguments is None else call.arguments.fits(entry.call)):
        now = "" if call.arguments is None else call.arguments.call
        raise Changed(
            f"{call.key!r} is called with ({now}), and was called with ({entry.call or ''}) when"
            " the instance passed it: arguments must come from the input, from steps, or from"
            " now(), uuid4() and random() of runtara_sdk"
        )


def check_step(call: DurableCall, entry: Entry | None) -> None:
    """Raises Changed if the entry was saved by another step of the same name."""
    step = call.step
    if step is None or entry is None or step.is_meant(entry.step):
        return
    raise Changed(
        f"{call.key!r} is a call of {step.function}, and was one of {entry.step}, which has the"
        " same name, when the instance passed it: call that here, or if it is the same step,"
        f" declare on it was={entry.step!r}"
    )


def _named(path: str) -> str:
    return f"branch {path!r}" if path else "the workflow"
