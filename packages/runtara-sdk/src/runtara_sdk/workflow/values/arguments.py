"""Calls of steps: what they were called with, as it is saved and compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runtara_sdk.workflow.values.describing import described, shortened
from runtara_sdk.workflow.values.first_form import FirstFormArguments


@dataclass(slots=True)
class Call:
    """
    The arguments of a call, each by its name, as text.

    The first `by_position` were passed by position, the others by name.
    """

    arguments: tuple[tuple[str, str], ...]
    by_position: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{name}={text}" for name, text in self.arguments)


@dataclass(slots=True)
class LiveCall:
    """
    A call that is made now, and how it may look in a record.

    `names` are those of what its function takes by position, and `defaults` gives the texts of what
    may be left out. `old` is it as form 1 shows it, where there are records in that.
    """

    call: Call
    names: tuple[str, ...] = ()
    defaults: Callable[[], Mapping[str, str]] = dict
    old: FirstFormArguments | None = None

    def fits(self, saved: Call | str | None) -> bool:
        """
        Return whether this is the call that was saved; a text is one in form 1.

        What was passed by position may have another name by now; what is left out is its default.
        """
        if isinstance(saved, str):
            return self.old is not None and self.old.fits(saved)
        if saved is None or saved == self.call:
            return saved is not None
        defaults = self.defaults()
        now = {**defaults, **dict(self.call.arguments)}
        renamed = [
            (positional(self.names, number) if number < saved.by_position else name, text)
            for number, (name, text) in enumerate(saved.arguments)
        ]
        return now in ({**defaults, **dict(saved.arguments)}, {**defaults, **dict(renamed)})


def positional(names: tuple[str, ...], number: int) -> str:
    """Name an argument that is passed by position, also one that goes into `*args`."""
    return names[number] if number < len(names) else f"*{number - len(names)}"


def shown(value: object) -> str:
    """Show an argument: a long one is cut, with a digest that tells it from others."""
    return shortened(described(value))
