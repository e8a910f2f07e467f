"""Keys: branch path / name # n, or name ~ key; the same on every replay."""

from collections import Counter, defaultdict
from functools import lru_cache
from itertools import count

from runtara_sdk.workflow.errors import WorkflowError

# The core takes 1024; the suffixes of a call's further records (intents, attempts) need some.
_LONGEST = 960

OWN = "~"
"""The prefix of keys that belong to no call of the workflow's code."""

CANCEL = "cancel"
"""The key of the scope of the instance's own cancel."""

BY_CODE = f"{OWN}code"
"""In place of a scope's key: user code cancelled the call, as asyncio's timeouts do."""

# "!" and "~" are reserved: they mark a call's further records, and records of no call.
_ESCAPES = {ord(mark): f"%{ord(mark):02X}" for mark in "%/#!~"}


@lru_cache(maxsize=1024)
def escaped(name: str) -> str:
    """Escape a name as one segment of a path: it has none of the characters of keys."""
    if not name or "\0" in name:
        raise WorkflowError(f"a name takes at least one character, and no NUL, got {name!r}")
    return name.translate(_ESCAPES)


@lru_cache(maxsize=1024)
def joined(path: str, segment: str) -> str:
    """Append a segment to a path; raises WorkflowError if the key gets too long for the core."""
    key = f"{path}/{segment}" if path else segment
    if len(key.encode()) > _LONGEST:
        raise WorkflowError(f"a key takes at most {_LONGEST} bytes: use shorter names than {key!r}")
    return key


def keyed(name: str, key: str) -> str:
    """Return the full key of a call with a key of its own: the same in all branches."""
    return joined("", f"{escaped(name)}{OWN}{escaped(key)}")


CHILD = f"{OWN}child/"
"""The prefix of custom signals that bring the ends of children to their parent."""


def child_signal(child_id: str) -> str:
    """Return the name of the custom signal that brings this child's end to its parent."""
    return f"{CHILD}{child_id}"


def is_of_child(name: str) -> bool:
    """Return whether a name is that of a child's ending, and not of a promise."""
    return name.startswith(CHILD)


def branch_of(key: str) -> str:
    """The path of the branch that a key belongs to; empty for the workflow's own."""
    return key.rpartition("/")[0]


def call_of(key: str) -> str:
    """Return the key of the call that a record belongs to."""
    return key.partition("!")[0]


class Numbers:
    """Counts the calls of each name in one branch, and the values of promises."""

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
        """Return a promise's lowest number without a value and without an open wait."""
        taken = self._signals[name]
        number = next(number for number in count(1) if number not in taken)
        taken.add(number)
        return number

    def know_signal(self, name: str, number: int, known: int | None) -> None:
        """Replace a wait's number by the saved one; None: no value came to it."""
        self._signals[name].discard(number)
        if known is not None:
            self._signals[name].add(known)

    def _next(self, name: str) -> int:
        self._counts[name] += 1
        return self._counts[name]
