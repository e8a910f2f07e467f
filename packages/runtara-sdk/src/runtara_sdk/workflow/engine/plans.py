"""Plans: the checkpoints that a retry sets aside, and those that a fork copies."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.keys import BY_CODE, CANCEL, OWN, branch_of, call_of
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import WorkflowError

Checkpoints = Sequence[tuple[str, bytes | None]]
"""An instance's checkpoints in the order of their saves; None: a large state."""

_KEPT = ("!started", "!until", "!woke")
"""The records that stay of a call whose failure is set aside."""


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """
    The checkpoints to set aside so that an ended instance goes on.

    `forget`: the checkpoints of the calls in `again`, which failed or were cancelled and are made
    again. `children`: the children among them, which must be retried first. `done_after`: calls
    that clean-up code made after a failure in its branch. Their results stay, and code that makes
    other calls there is refused: fork such an instance instead.
    """

    forget: tuple[str, ...]
    again: tuple[str, ...]
    children: tuple[str, ...]
    done_after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForkPlan:
    """
    The checkpoints to copy for a fork.

    `up_to`: the last checkpoint to copy. `before`: the first one that is not copied. `again`: the
    calls of the history that the fork makes again, in order; an effect that is not undone happens
    twice.
    """

    up_to: str
    before: str
    again: tuple[str, ...]


def plan_fork(checkpoints: Checkpoints, before: str) -> ForkPlan:
    """
    Plan to copy all checkpoints before the first record of a call, such as `charge#1`.

    Raises WorkflowError if the instance has not made the call.
    """
    calls = [call_of(key) for key, _ in checkpoints]
    if before not in calls or before.startswith(OWN):
        known = [call for call in dict.fromkeys(calls) if not call.startswith(OWN)]
        from difflib import get_close_matches  # Only now: its import is slow.

        shown = get_close_matches(before, known, 5, 0) or known[:5]
        raise WorkflowError(
            f"the instance has made no call {before!r}: name one that it has made, such as"
            f" {', '.join(map(repr, shown)) or 'none yet'}"
        )
    index = calls.index(before)
    copied = {key for key, _ in checkpoints[:index]}
    later = dict.fromkeys(call for call in calls[index:] if not call.startswith(OWN))
    again = tuple(call for call in later if call not in copied)
    return ForkPlan(checkpoints[index - 1][0], checkpoints[index][0], again)


def plan_retry(checkpoints: Checkpoints, error: str | None) -> RetryPlan:
    """
    Plan to set aside the failures, or the cancelled calls, that led to an instance's end.

    `error` is the error of a failed instance, None for a cancelled one. Failures that the workflow
    has handled stay. If no failed call is found, nothing is set aside: the code itself has failed,
    and runs again after its last record.
    """
    history = _History(checkpoints)
    return history.retry(history.cancelled() if error is None else history.led_to(error))


class _History:
    """The records of an instance, by key."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._keys = [key for key, _ in checkpoints]
        self._records = {
            key: records.decode(key, state) for key, state in checkpoints if state is not None
        }

    def led_to(self, error: str) -> list[str]:
        """The keys of the failures that an instance's error names."""
        failures = [key for key, one in self._of(Kind.FAILURE) if call_of(key) == key]
        named = [key for key in failures if self._is_named_in(key, error)]
        # The error does not name its cause: take the last call of the workflow's own branch.
        return named or [key for key in failures if not branch_of(key) and not self._after(key)]

    def _is_named_in(self, key: str, error: str) -> bool:
        if f"({key})" in error:
            return True
        said = json.loads(self._records[key].value)
        if not isinstance(said, dict):
            return False
        if "outcome" in said:  # A child's.
            own = json.loads(said.get("failure") or "{}")
            message = own.get("message") or said["error"].partition("\n")[0]
            return bool(message) and message in error
        name = said.get("type", "").rpartition(".")[2]
        return f"{name}: {said.get('message')}" in error

    def cancelled(self) -> list[str]:
        """The keys of the calls at which the instance's cancel was raised."""
        return [call_of(key) for key, one in self._of(Kind.CANCELLED) if _by(one) == CANCEL]

    def retry(self, ended: Sequence[str]) -> RetryPlan:
        """Plan to make these calls again, and those that were cancelled with them."""
        again = dict.fromkeys(ended)
        gone = {key for key in self._keys if call_of(key) in again and not key.endswith(_KEPT)}
        groups = {key for one in ended for key in self._groups_round(one)}
        scopes = groups | {f"{path}/{OWN}end" if path else f"{OWN}end" for path in _paths(ended)}
        first = min(
            (self._records[key].nth or 0 for key in ended if key in self._records), default=0
        )
        for key, record in self._of(Kind.CANCELLED):
            by = _by(record)
            is_by_code = by == BY_CODE and (record.nth or 0) > first > 0
            if by in scopes or is_by_code or (by == CANCEL and call_of(key) in again):
                gone.add(key)
                again[call_of(key)] = None
        gone |= groups & set(self._keys)
        return RetryPlan(
            forget=tuple(key for key in self._keys if key in gone),
            again=tuple(again),
            children=tuple(key.partition(OWN)[2] for key in again if key.startswith(f"child{OWN}")),
            done_after=tuple(dict.fromkeys(key for one in ended for key in self._after(one))),
        )

    def _groups_round(self, key: str) -> Iterator[str]:
        """The ends of groups in the branches that a call's branch is in."""
        for path in _paths([key]):
            begin = f"{path}/group#" if path else "group#"
            # A cancelled group has no other record of its end.
            yield from (one for one in self._groups() if one.startswith(begin))

    def _groups(self) -> Iterator[str]:
        calls = dict.fromkeys(call_of(key) for key in self._keys)
        scopes = dict.fromkeys(_by(one) for _, one in self._of(Kind.CANCELLED))
        yield from (key for key in calls | scopes if key.rpartition("/")[2].startswith("group#"))

    def _after(self, key: str) -> list[str]:
        """The calls that were made after one in its branch."""
        at = self._position(key)
        if at is None:
            return []
        later = {
            call_of(other): None
            for other, one in self._records.items()
            if one.position is not None
            and one.position > at
            and branch_of(call_of(other)) == branch_of(key)
        }
        return list(later)

    def _position(self, key: str) -> int | None:
        own = self._records.get(key) or self._records.get(f"{key}!struck")
        return None if own is None else own.position

    def _of(self, kind: Kind) -> Iterator[tuple[str, Record]]:
        yield from ((key, one) for key, one in self._records.items() if one.kind is kind)


def _by(record: Record) -> str:
    found: str = json.loads(record.value)
    return found


def _paths(keys: Sequence[str]) -> set[str]:
    """Return the branches of these keys, and the branches around them."""
    paths = {""}
    for key in keys:
        while key:
            key = branch_of(key)
            paths.add(key)
    return paths
