"""Checks an image's metadata; unknown keys are stored, and have no effect."""

import re
from collections.abc import Callable, Mapping

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.stored_images import RunnerType
from runtara_schedules import declared

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*\Z")
_EXAMPLE = '{"target": "orders.flow:run"}'
_Check = Callable[[object], bool]


def check_metadata(runner_type: RunnerType, metadata: Mapping[str, object]) -> None:
    """Raise InvalidValue, with the key and the values it takes, for unusable metadata."""
    for key, value in metadata.items():
        if key in KEYS:
            takes, check = KEYS[key]
            if not check(value):
                raise InvalidValue(f"metadata: {key}: takes {takes}, got {_shown(value)}")
    env = metadata.get("env")
    if isinstance(env, dict):
        _check_env(env)
    if "schedule" in metadata:
        _check_schedule(metadata["schedule"])
    if runner_type is RunnerType.PYTHON and "target" not in metadata:
        raise InvalidValue(f"metadata: target: a Python image needs it, as in {_EXAMPLE}")


def _check_env(env: Mapping[str, str]) -> None:
    for name, value in env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise InvalidValue(f"metadata: env: takes names of variables, got {_shown(name)}")
        if name.upper().startswith("RUNTARA_"):
            raise InvalidValue(
                f"metadata: env: {name} is set by the environment; take another name"
            )


def _check_schedule(schedule: object) -> None:
    problem = declared.problem(schedule)
    if problem is not None:
        raise InvalidValue(f"metadata: schedule: {problem}")


def _is_id(value: object) -> bool:
    try:
        values.check_id("value", str(value))
    except InvalidValue:
        return False
    return isinstance(value, str)


def _number(least: float, most: float, *, whole: bool = False) -> _Check:
    def check(value: object) -> bool:
        kinds = int if whole else int | float
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        return is_number and least <= value <= most  # type: ignore[operator]  # It is a number.

    return check


def _is_env(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _is_target(value: object) -> bool:
    return isinstance(value, str) and _TARGET.match(value) is not None


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/") and "\0" not in value


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


_YEAR_S = 366 * 24 * 3600
KEYS: Mapping[str, tuple[str, _Check]] = {
    "workflow": ("the name of a workflow, 1 to 1024 bytes", _is_id),
    "placement": ("the name of a placement, 1 to 1024 bytes", _is_id),
    "memory_mb": ("a number of MiB from 4 to 16777216", _number(4, 16 * 1024 * 1024)),
    "cpus": ("a number from 0.01 to 4096", _number(0.01, 4096)),
    "timeout_s": ("a number of seconds from 0.001 to a year", _number(0.001, _YEAR_S)),
    "start_timeout_s": ("a number of seconds from 1 to a year", _number(1, _YEAR_S)),
    "grace_s": ("a number of seconds from 0 to a day", _number(0, 24 * 3600)),
    "max_concurrent": ("a whole number from 1", _number(1, values.MAX_LIMIT, whole=True)),
    "env": ("an object of texts", _is_env),
    "target": ("MODULE:FUNCTION", _is_target),
    "warm": ("true or false", _is_bool),
    "python": ("the absolute path of a Python interpreter", _is_path),
}
"""The values that each key takes, in words, and their check."""
