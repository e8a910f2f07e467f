"""
Replay: the records of an instance's earlier runs, and checks that the code still fits them.

A run begins with all records, by key. A call consumes the record of its own key, once. Further
records of a call (its intents, attempts, a late cancellation: keys with a "!") are read by `get`,
any number of times. Two checks find code that has changed:

    at a call   each position in a branch belongs to one key. A call with another key at that
                position, with other arguments, or of another function of the same name raises
                NondeterminismError. A name in `was=` stands for the step's former name.
    at the end  the recorded calls with a position that this run did not make are
                `unreplayed_calls`.

A call with its own key has no position. Only its key and arguments are checked, so no two calls may
have the same key (`claim`).
"""

from collections.abc import Mapping

from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.keys import branch_of, call_of
from runtara_sdk.workflow.engine.records import NAMES, Kind, Record
from runtara_sdk.workflow.errors import NondeterminismError, WorkflowError


class Replay:
    """
    All records of earlier runs, by key and by position; `consume` returns each of them once.

    `is_old`: a record has a form of an older version of the SDK.
    """

    def __init__(self, states: Mapping[str, bytes]) -> None:
        self._records = {key: records.decode(key, state) for key, state in states.items()}
        self._keys: dict[tuple[str, int], str] = {}
        self._last: dict[str, int] = {}
        self._unvisited: dict[str, None] = {}
        for key, record in self._records.items():
            if record.position is not None:
                self._note(call_of(key), record.position)
        self._begun = {call_of(key) for key in self._records}
        self._given: set[str] = set()
        self.is_old = any(record.version < NAMES for record in self._records.values())

    def has_begun(self, key: str) -> bool:
        """Return whether there is any record of the call of this key."""
        return key in self._begun

    def get(self, key: str) -> Record | None:
        """Return a record, which may be read again; None if there is none."""
        return self._records.get(key)

    def consume(self, call: DurableCall) -> Record | None:
        """
        Return the record of a call; None if there is none.

        A call whose step was renamed gets its former key. Raises NondeterminismError if another
        call was recorded at this position, or the same call with other arguments.
        """
        self._rename(call)
        self._unvisited.pop(call.key, None)
        record = self._records.pop(call.key, None)
        if record is not None:
            check(call, record)
        return record

    def claim(self, call: DurableCall) -> None:
        """
        Give a call with its own key the key of its records, which may be a former one.

        Raises WorkflowError if an earlier call of this run has that key.
        """
        if call.key not in self._begun:
            former = (key for key in call.former_keys if key in self._begun)
            call.rename(next((key for key in former if key not in self._given), call.key))
        if call.key in self._given:
            raise WorkflowError(
                f"the key {call.given_key!r} is taken by a call before this one ({call.key!r}): a"
                " key is unique among the calls of a step in the whole instance, whatever the"
                " branch; give each call a key of its own"
            )
        self._given.add(call.key)

    def holds(self, path: str) -> bool:
        """Return whether there is a record of a branch, or of a branch below it."""
        below = f"{path}/"
        return any(
            key.startswith(below)
            or (record.branch is not None and f"{record.branch}/".startswith(below))
            for key, record in self._records.items()
        )

    def last_position(self, path: str) -> int:
        """The last position in a branch that has a record; 0 if none has."""
        return self._last.get(path, 0)

    def numbers(self) -> set[int]:
        """The numbers (`Record.nth`) of the recorded outcomes that user code gets."""
        numbered = {key: one.nth for key, one in self._records.items() if one.nth is not None}
        for key in list(numbered):
            if any(later in numbered for later in _later(key)):
                del numbered[key]
        return set(numbered.values())

    def key_at(self, path: str, position: int) -> str | None:
        """The key of the call that was recorded at a position of a branch; None: none was."""
        return self._keys.get((path, position))

    def steps(self) -> int:
        """The number of steps with a recorded end; to be read before the first `consume`."""
        ends = (Kind.RESULT, Kind.FAILURE, Kind.UNREAD)
        return sum(one.call is not None and one.kind in ends for one in self._records.values())

    def unreplayed_calls(self) -> NondeterminismError | None:
        """Return an error that names the recorded calls that this run did not make, or None."""
        if not self._unvisited:
            return None
        keys = list(self._unvisited)
        return NondeterminismError(
            f"the workflow ended without calling {', '.join(map(repr, keys[:5]))}, which the"
            " history has recorded: keep the calls for open instances, or declare the change with"
            " `if await patched(...)`"
        )

    def _note(self, key: str, position: int) -> None:
        """Note a recorded call's position, even without an outcome: it may have had its effect."""
        path = branch_of(key)
        self._keys[path, position] = key
        self._last[path] = max(position, self._last.get(path, 0))
        self._unvisited[key] = None

    def _rename(self, call: DurableCall) -> None:
        if call.position is None:
            return
        had = self.key_at(call.branch.path, call.position)
        if had is None or had == call.key:
            return
        if had not in call.former_keys:
            raise NondeterminismError(
                f"the code calls {call.key!r} where the history has recorded {had!r} (call"
                f" {call.position} of {_named(call.branch.path)}): call the recorded one,"
                " declare the new call with `if await patched(...)`, or a new name with was=..."
            )
        call.rename(had)


def check(call: DurableCall, record: Record) -> None:
    """Raises NondeterminismError unless the record was saved by this call."""
    if record.position != call.position:
        raise NondeterminismError(
            f"{call.key!r} is call {call.position} of {_named(call.branch.path)}, and was recorded"
            f" as call {record.position}: put added calls behind `if await patched(...)`, and keep"
            " the removed ones"
        )
    check_step(call, record)
    if not (record.call is None if call.arguments is None else call.arguments.fits(record.call)):
        now = "" if call.arguments is None else call.arguments.call
        raise NondeterminismError(
            f"{call.key!r} is called with ({now}), and was recorded with ({record.call or ''}):"
            " arguments must come from the input, from steps, or from now(), uuid4() and random()"
            " of runtara_sdk"
        )


def check_step(call: DurableCall, record: Record | None) -> None:
    """Raises NondeterminismError if the record was saved by another step of the same name."""
    step = call.step
    if step is None or record is None or step.is_meant(record.step):
        return
    raise NondeterminismError(
        f"{call.key!r} is a call of {step.function}, and was recorded as one of {record.step},"
        " which has the same name: call the recorded step here, or if both are the same step,"
        f" declare was={record.step!r} on it"
    )


def _later(key: str) -> tuple[str, ...]:
    """The keys of the cancellations of a call that stand in place of a record of it."""
    by_scope = f"{call_of(key)}!struck"
    cancellations = (by_scope, f"{by_scope}!code")
    return cancellations[cancellations.index(key) + 1 :] if key in cancellations else cancellations


def _named(path: str) -> str:
    return f"branch {path!r}" if path else "the workflow"
