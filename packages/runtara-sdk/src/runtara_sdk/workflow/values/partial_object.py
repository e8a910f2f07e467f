"""The rest of an object that could not be saved whole."""

from collections.abc import Mapping


class PartialObject:
    """
    Stands for an object of which only the numbers were saved, such as an error's response.

    It has the attributes with these numbers, and its text is the object's. Any other attribute
    raises an AttributeError, which says that it was not saved.
    """

    def __init__(self, kind: str, shown: str, kept: Mapping[str, object]) -> None:
        self.__dict__.update(kept)
        self.__kind = kind
        self.__shown = shown
        self.__kept = dict(kept)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        kept = ", ".join(self.__kept) or "nothing"
        raise AttributeError(
            f"{name!r} of this {self.__kind} was not saved (only {kept} was): catch the error in"
            " the step, and raise one of your own with the data that the workflow needs"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartialObject) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # its attributes may change

    def __repr__(self) -> str:
        return self.__shown
