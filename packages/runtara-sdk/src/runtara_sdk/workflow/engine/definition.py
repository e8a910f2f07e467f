"""The parts of a workflow's definition that the engine needs."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from runtara_sdk.workflow.engine.options import RunOptions
from runtara_sdk.workflow.engine.records import Record
from runtara_sdk.workflow.values.form import Form


class Definition(Protocol):
    """A workflow: its function, its name, its options, and how its input and output are written."""

    @property
    def name(self) -> str: ...

    @property
    def function(self) -> Callable[..., Coroutine[Any, Any, Any]]: ...

    @property
    def options(self) -> RunOptions: ...

    def first(self, text: bytes | None, form: Form = Form.ALIASES) -> Record:
        """Make the first record of an instance, from its input as JSON."""
        ...

    def check(self, instance_id: str, name: str, function: str | None) -> None:
        """Raise Incompatible unless an instance that began as this name and function fits."""
        ...

    def arguments(
        self, text: bytes | None, *, is_saved: bool = False, form: Form = Form.ALIASES
    ) -> dict[str, Any]:
        """Read an input; raises InputRefused (Incompatible where `is_saved`) if it does not fit."""
        ...

    def input(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[bytes | None, Form]:
        """Write the arguments of a call as an input."""
        ...

    def failure(self, error: BaseException) -> bytes:
        """Return the function's error as bytes, for `decode_failure` of its calls."""
        ...

    def output(self, value: object) -> bytes:
        """Return the function's result as bytes; raises NotSerializable if it can't be saved."""
        ...
