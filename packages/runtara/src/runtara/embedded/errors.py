"""Refusals of the core in this process, raised as a server's are."""

from collections.abc import Iterator
from contextlib import contextmanager

from runtara_domain.error import CoreError
from runtara_management_sdk.errors import refusal


@contextmanager
def as_client_errors() -> Iterator[None]:
    """Raise a CoreError of the block as the ServerError that stands for its code."""
    try:
        yield
    except CoreError as error:
        raise refusal(error.code, str(error)) from error
