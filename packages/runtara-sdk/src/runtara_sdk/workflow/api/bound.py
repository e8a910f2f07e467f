"""Bound calls: a workflow with its arguments, as the start of an instance needs it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[R_co]):
    """
    A workflow's name and input, and how an ending of its instances is read.

    Made by `bind` of a workflow. `input` is JSON, None where no arguments were given. Two calls are
    equal if an instance of one is an instance of the other.
    """

    workflow: str
    input: bytes | None
    _result: Callable[[bytes], R_co] = field(repr=False, compare=False)
    _failure: Callable[[str, bytes | None], Exception] = field(repr=False, compare=False)

    def decode_result(self, output: bytes) -> R_co:
        """Read the output of a completed instance; raises StateUnreadable if it doesn't fit."""
        return self._result(output)

    def decode_failure(self, error: str, failure: bytes | None) -> Exception:
        """
        Give the error to raise for a failed instance; it is not raised here.

        `error` is the instance's error text, and `failure` its output, None for none. An error that
        the workflow names in `raises=` is itself, with its notes; any other is WorkflowFailed.
        """
        return self._failure(error, failure)
