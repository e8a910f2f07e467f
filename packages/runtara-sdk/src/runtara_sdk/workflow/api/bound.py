"""Bound calls: a workflow with its arguments, as the start of an instance needs it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[R_co]):
    """
    A workflow with an input, and the functions that read an instance's result and failure.

    `bind` of a workflow makes it. `input` is JSON; None if there are no arguments. Two calls are
    equal if their workflows and inputs are.
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
        Return the error to raise for a failed instance, without raising it.

        `error` is the instance's error text, and `failure` its output or None. An error that the
        workflow names in `raises=` has its own type and notes; any other is WorkflowFailed.
        """
        return self._failure(error, failure)
