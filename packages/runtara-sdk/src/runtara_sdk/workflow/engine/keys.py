"""Keys: branch path / name # n, or name ~ key; the same on every replay."""

from collections import Counter, defaultdict
from functools import lru_cache
from itertools import count

from runtara_sdk.workflow.errors import WorkflowError

# The core takes 1024; what is saved beside a call (its intents, attempts) needs some of it.
_LONGEST = 960

OWN = "~"
"""Begins the keys that belong to no call of the workflow's code."""

CANCEL = "cancel"
"""The key of the scope that cancels when the instance is to be cancelled."""

BY_CODE = f"{OWN}code"
"""Stands for what cancelled a call that no scope did: a timeout or a task group of asyncio's."""

# "!" and "~" are ours: they mark what is saved beside a call, and beside all calls.
_ESCAPES = {ord(mark): f"%{ord(mark):02X}" for mark in "%/#!~"}


@lru_cache(maxsize=1024)
def escaped(name: str) -> str:
    """Make a name one segment of a path: nothing in it can be taken for a part of a key."""
    if not name or "\0" in name:
        raise WorkflowError(f"a name is at least one character, none of them NUL, got {name!r}")
    return name.translate(_ESCAPES)


@lru_cache(maxsize=1024)
def joined(path: str, segment: str) -> str:
    """Put a segment behind a path; raises WorkflowError if the key gets too long for the core."""
    key = f"{path}/{segment}" if path else segment
    if len(key.encode()) > _LONGEST:
        raise WorkflowError(f"a key is at most {_LONGEST} bytes: use shorter names than {key!r}")
    return key


def keyed(name: str, key: str) -> str:
    """The key of a call that was given one of its own: the same in all branches."""
    return joined("", f"{escaped(name)}{OWN}{escaped(key)}")


CHILD = f"{OWN}child/"
"""Begins the names of the custom signals that carry the ends of children to their parent."""


def child_signal(child_id: str) -> str:
    """The name of the custom signal that carries this child's end to its parent."""
    return f"{CHILD}{child_id}"


def is_of_child(name: str) -> bool:
    """Return whether a name is that of a child's ending, and not of a promise."""
    return name.startswith(CHILD)


def branch_of(key: str) -> str:
    """The path of the branch that a key belongs to; empty for the workflow's own."""
    return key.rpartition("/")[0]


def call_of(key: str) -> str:
    """The key of the call that something is saved for, or beside."""
    return key.partition("!")[0]


class Numbers:
    """Counts the calls of each name in one branch, and the values that promises were sent."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._counts: Counter[str] = Counter()
        self._signals: defaultdict[str, set[int]] = defaultdict(set)

    def call(self, name: str) -> str:
        """The key of the next call of this name."""
        return f"{joined(self._path, escaped(name))}#{self._next(name)}"

    def branch(self, name: str) -> str:
        """The path of the next branch of this name; the first one needs no number."""
        number = self._next(f"{name}/")
        path = joined(self._path, escaped(name))
        return path if number == 1 else f"{path}#{number}"

    def foreign(self, name: str) -> str:
        """The key of the next call of this name in foreign tasks, for a call that needs none."""
        return str(self._next(f"{OWN}{name}"))

    def signal(self, name: str) -> int:
        """The lowest number of a promise's name that no value has come to and no wait is for."""
        taken = self._signals[name]
        number = next(number for number in count(1) if number not in taken)
        taken.add(number)
        return number

    def know_signal(self, name: str, number: int, known: int | None) -> None:
        """Put the number that is saved for a wait in its place; None: no value came to it."""
        self._signals[name].discard(number)
        if known is not None:
            self._signals[name].add(known)

    def _next(self, name: str) -> int:
        self._counts[name] += 1
        return self._counts[name]
