"""
Lists the workflows in modules: `python discovery.py ROOT MODULE... [-- REQUIREMENT...]`.

The Python that will run the workflows runs this file by its path. That Python need not have this
package, so the file imports only the standard library, the SDK and the modules. It prints a line of
JSON after a line feed: the workflows, the files of the root that were imported, and the
requirements that are not met. A failed import is reported as `problem`, with its traceback.
"""

import importlib
import json
import re
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> None:
    """Import the modules, and print the workflows found."""
    root, *rest = arguments
    cut = rest.index("--") if "--" in rest else len(rest)
    modules, requirements = rest[:cut], rest[cut + 1 :]
    sys.path.insert(0, root)
    sys.dont_write_bytecode = True
    found: dict[str, Any] = {"lacking": [one for one in requirements if not _is_met(one)]}
    try:
        found["workflows"] = [each for name in modules for each in _workflows(name)]
    except BaseException as error:
        found["problem"] = _told(error)
    found["files"] = sorted(_imported(Path(root)))
    print("\n" + json.dumps(found))  # noqa: T201  # What it prints is its product.


def _told(error: BaseException) -> str:
    """Return the traceback with only the frames of user code."""
    told = traceback.TracebackException.from_exception(error)
    ours = (__file__, importlib.__file__)
    frames = [one for one in told.stack if one.filename not in ours and one.filename[0] != "<"]
    told.stack = traceback.StackSummary.from_list(frames)
    return "".join(told.format())


def _workflows(name: str) -> list[dict[str, Any]]:
    from runtara_sdk.workflow.api.workflows import Workflow

    module = importlib.import_module(name)
    return [
        {"name": each.name, "target": f"{name}:{attribute}", **_scheduled(each)}
        for attribute, each in vars(module).items()
        # Not those that the module imports from another one.
        if isinstance(each, Workflow) and each.function.__module__ == name
    ]


def _scheduled(workflow: Any) -> dict[str, Any]:
    # The interpreter may have an older SDK, that knows no schedules.
    schedule = getattr(workflow, "schedule", None)
    return {} if schedule is None else {"schedule": dict(schedule.metadata)}


def _imported(root: Path) -> set[str]:
    """Name the files below the root that were imported, with the packages that hold them."""
    files: set[str] = set()
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or not Path(path).is_relative_to(root):
            continue
        parts = Path(path).relative_to(root).parts
        if not any(part.startswith(".") or part == "site-packages" for part in parts):
            files.add("/".join(parts))
    return files


def _is_met(requirement: str) -> bool:
    name = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    if name is None or "extra ==" in requirement:
        return True
    try:
        installed = version(name[0])
    except PackageNotFoundError:
        return _is_for_others(requirement)
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return True
    asked = Requirement(requirement)
    return not _applies(asked) or asked.specifier.contains(installed, prereleases=True)


def _is_for_others(requirement: str) -> bool:
    """Return whether a marker says that this interpreter does without it."""
    if ";" not in requirement:
        return False
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return True
    return not _applies(Requirement(requirement))


def _applies(requirement: Any) -> bool:
    return requirement.marker is None or bool(requirement.marker.evaluate())


if __name__ == "__main__":
    main(sys.argv[1:])
