"""The two forms in which values are written."""

from enum import IntEnum


class Form(IntEnum):
    """
    How the value of an entry is written. In entries of version 1 it was the first.

    ALIASES: fields of models have the names that others know. NAMES: those of the class.
    """

    ALIASES = 1
    NAMES = 2
    EITHER = 3  # never written: for what a person gives
