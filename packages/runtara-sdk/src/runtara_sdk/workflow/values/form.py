"""The two forms in which values are written."""

from enum import IntEnum


class Form(IntEnum):
    """
    How the value of a record is written; in records of version 1 it is the first form.

    ALIASES: the fields of models have their aliases. NAMES: they have their names in the class.
    """

    ALIASES = 1
    NAMES = 2
    EITHER = 3  # never written: for input that people give
