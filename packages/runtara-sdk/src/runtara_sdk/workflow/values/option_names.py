"""Options that are misspelt, or known by other names elsewhere."""

from collections.abc import Collection, Mapping

_ATTEMPTS = (
    "retries",
    "max_retries",
    "attempts",
    "max_attempts",
    "tries",
    "max_tries",
    "retry_policy",
)
_TIMEOUTS = ("timeout_s", "timeout_ms", "timeout_seconds", "start_to_close_timeout", "time_limit")
_WAITS = ("backoff", "delay", "interval", "initial_interval", "retry_delay", "wait_s")
_ERRORS = ("retry_on", "exceptions", "errors", "expected", "non_retryable_error_types")


def check_known(what: str, given: Mapping[str, object], known: Collection[str]) -> None:
    """Raise TypeError for an unknown option, with the option to write instead."""
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"{what} takes no {name}=: {_instead(name, value, known)}")


def _instead(name: str, value: object, known: Collection[str]) -> str:
    number = value if isinstance(value, int) else 3
    if name in _ATTEMPTS:
        return f"write retry=Retry(attempts={number})" if "retry" in known else "write attempts=3"
    if name in _TIMEOUTS and "timeout" in known:
        return 'write timeout="30s", or a number of seconds'
    if name in _WAITS:
        return 'write retry=Retry(wait="1s")' if "retry" in known else 'write wait="1s"'
    if name in _ERRORS and "raises" in known:
        return (
            "write raises=SomeError for what is an answer, retry=Retry(on=SomeError) for the rest"
        )
    from difflib import get_close_matches  # Imported here: only a misspelt option needs it.

    near = get_close_matches(name, known, 1)
    listed = ", ".join(f"{one}=" for one in known)
    return f"did you mean {near[0]}=?" if near else f"it takes {listed}"
