"""The arguments of step calls, in the form in which they are saved and compared."""

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

    `names` are the parameters that the function takes by position, and `defaults` returns the texts
    of their defaults. `old` is the call in form 1, if there are records in that form.
    """

    call: Call
    names: tuple[str, ...] = ()
    defaults: Callable[[], Mapping[str, str]] = dict
    old: FirstFormArguments | None = None

    def fits(self, saved: Call | str | None) -> bool:
        """
        Return whether this is the saved call; if that is a text, it is in form 1.

        A parameter passed by position may have another name by now. An argument that was left out
        counts as its default.
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
    """Return the name of an argument passed by position; one in `*args` has a number for it."""
    return names[number] if number < len(names) else f"*{number - len(names)}"


def shown(value: object) -> str:
    """Return an argument as text; a long text is cut, with a digest to distinguish it."""
    return shortened(described(value))
