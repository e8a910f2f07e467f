"""How each instance that commit f01a799 has left under way ends, and what it does until then."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rest:
    """The rest of an instance: of which workflow it is, how it ends, and what runs until then."""

    workflow: str
    value: object = ""
    notes: list[str] = field(default_factory=list)
    outcome: str = "done"

    def told(self) -> list[object]:
        """As a replay tells it."""
        return [self.outcome, self.value, self.notes]


AGAIN, SETTLED = {"again": True}, {"done": "settled"}

SENT: dict[tuple[str, str], object] = {
    ("to-decide", "charge_decided#1!decision#1"): AGAIN,
    ("deciding", "charge_decided#1!decision#1"): SETTLED,
    ("asking", "approval"): "yes",
    ("asked-by-path", "orders%2F17"): "yes",
    ("paused", "approval"): "yes",
    ("in-time", "approval"): "yes",
    ("rounds", "done#4"): "yes",
    ("rounds-unheard", "done#4"): "yes",
    ("three", "word#2"): "two",
    ("three", "word#3"): "three",
    ("grouped", "branch#2/word"): "word",
    ("group-asking", "branch#2/word"): "word",
    ("racing", "approval"): "yes",
}
"""What they wait for, by instance and by the names that were told when they were frozen."""

_TYPES = [
    "NoneType",
    "bool",
    "int",
    "float",
    "float",
    "str",
    "bytes",
    "list",
    "tuple",
    "dict",
    "dict",
    "set",
    "frozenset",
    "set",
    "Order",
    "Customer",
    "Customer",
    "Colour",
    "Decimal",
    "datetime",
    "date",
    "timedelta",
    "UUID",
    "PosixPath",
    "Connection",
    "type",
    "builtin_function_or_method",
    "function",
    "partial",
    "function",
    "list_iterator",
    "str",
    "int",
    "int",
]
_BROKEN = (
    "step 'break_down' (break_down#{0}) failed after 1 attempt: RuntimeError: part {1} is broken"
)
_METHODS = ["Shop in Ulm", "Corner in Ulm", "corner tea", "corner milk", "closed Ulm"]
_GROUPED = ["<first 1><first 2>", "<second 1><second 2>", "word", "<fourth 1><fourth 2>"]
_PARTS = ["<part 0>", "<part 1>", "<part 2>", "<after gather>"]
_ROUNDS = ["nothing", "nothing", "nothing", "yes"]
_FAILURES = [
    "17 990 17: 990 cents declined",
    "KeyError 'key'",
    "break_down RuntimeError it is broken",
]


def _behind(label: str, *before: str) -> tuple[list[str], list[str]]:
    """The output and the notes of one that was killed in its last step."""
    return [*before, f"<{label}>"], [label]


RESTS: dict[str, Rest] = {
    "pending": Rest("counting", ["<count 0>", "<count 1>"], ["count 0", "count 1"]),
    "first-step": Rest("counting", ["<count 0>", "<count 1>"], ["count 0", "count 1"]),
    "mid-steps": Rest(
        "counting", [f"<count {number}>" for number in range(5)], ["count 3", "count 4"]
    ),
    "finished": Rest("counting", ["<count 0>", "<count 1>"]),
    "failed": Rest("failing", "ValueError: no use", outcome="failed"),
    "arguments": Rest("arguments", *_behind("after arguments", *_TYPES)),
    "by-class-311": Rest("by_class", *_behind("after methods", *_METHODS)),
    "by-class-313": Rest("by_class", *_behind("after methods", *_METHODS)),
    "of-one-name": Rest("of_one_name", *_behind("after both", "invoice 7", "shipment 7")),
    "keyed": Rest("keyed", *_behind("after keyed", "<keyed a>", "<keyed b/c>")),
    "packed": Rest("packed", 1_100_000, ["after packed"]),
    "raising": Rest("raising", *_behind("after failures", *_FAILURES)),
    "backing-off": Rest("backing_off", notes=["flaky press 2"], outcome="suspended"),
    "asked-done": Rest("asked", "found done", ["ask done"]),
    "asked-not-done": Rest("asked", "charged open", ["ask open", "charge open"]),
    "to-decide": Rest("decided", "charged one", ["charge one"]),
    "deciding": Rest("decided", "settled"),
    "again": Rest("again", "charged three", ["charge three"]),
    "napping": Rest("napping", "<before nap><after nap>", ["after nap"]),
    "asleep": Rest("napping", outcome="suspended"),
    "asking": Rest("asking", "yes<after promise>", ["after promise"]),
    "asked-by-path": Rest("asking", "yes<after promise>", ["after promise"]),
    "told": Rest("asking", "sent<after promise>", ["after promise"]),
    "paused": Rest("asking", "yes<after promise>", ["after promise"]),
    "in-time": Rest("asking_in_time", "<yes>", ["yes"]),
    "overdue": Rest("asking_in_time", "<late>", ["late"]),
    "overdue-but-told": Rest("asking_in_time", "<sent>", ["sent"]),
    "out-of-time": Rest("out_of_time", "<after timeout>", ["after timeout"]),
    "rounds": Rest("rounds", _ROUNDS),
    "rounds-unheard": Rest("rounds", _ROUNDS),
    "three": Rest("three_of_one_name", ["one", "two", "three"]),
    "to-cancel": Rest("cleaning", notes=["clean 0", "clean 1"], outcome="cancelled"),
    "cleaning-up": Rest("cleaning", notes=["clean 1"], outcome="cancelled"),
    "cancelled": Rest("cleaning", outcome="cancelled"),
    "gathering": Rest("gathering", _PARTS, ["part 1", "after gather"]),
    "gathered": Rest("gathering", _PARTS, ["after gather"]),
    "gather-failing": Rest(
        "gather_failing",
        *_behind("after failing gather", *(_BROKEN.format(n + 1, n) for n in range(3))),
    ),
    "grouped": Rest(
        "grouped", [*_GROUPED, "<after group>"], ["second 1", "second 2", "after group"]
    ),
    "group-asking": Rest("grouped", *_behind("after group", *_GROUPED)),
    "group-failing": Rest("group_failing", *_behind("after failing group", "no use")),
    "mapping": Rest(
        "mapping",
        [f"<{item} 1><{item} 2>" for item in "abcd"] + ["<after map>"],
        ["c 2", "after map"],
    ),
    "racing": Rest("racing", *_behind("after race", "approved", "yes")),
    "raced": Rest("racing", *_behind("after race", "gave_up", "slept")),
    "restarting": Rest("restarting", "<life 3>", ["life 2", "life 3"]),
    "child": Rest("child", "kid", ["child kid", "report kid"]),
    "parent": Rest("parent", "kid<after child>", ["after child"]),
}
"""All but "making-values", whose output is what it has saved; the child before its parent."""
