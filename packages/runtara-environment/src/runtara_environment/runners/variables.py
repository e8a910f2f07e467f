"""The variables of launched processes."""

import os
from collections.abc import Mapping

from runtara_domain.model.launches import Assignment
from runtara_domain.model.stored_images import Image
from runtara_environment.runners.port import LaunchFolders
from runtara_environment.runners.python import COMMON


def base_variables(keeps_dont_write_bytecode: bool) -> dict[str, str]:
    """
    Return the environment's own variables that processes get: none is a secret.

    A process without byte code compiles 200 modules at each start. So PYTHONDONTWRITEBYTECODE is
    left out, unless it is to be kept.
    """
    names = COMMON if keeps_dont_write_bytecode else COMMON - {"PYTHONDONTWRITEBYTECODE"}
    return {name: os.environ[name] for name in names if name in os.environ}


def launch_variables(
    assignment: Assignment, image: Image, folders: LaunchFolders, core: Mapping[str, str]
) -> dict[str, str]:
    """Return a launch's variables: the image's, then the start's, then those of the instance."""
    named = image.metadata.get("env")
    found = {name: str(value) for name, value in named.items()} if isinstance(named, dict) else {}
    found.update(assignment.env)
    found.update(core)
    found["RUNTARA_INSTANCE_ID"] = assignment.instance_id
    found["RUNTARA_TENANT_ID"] = assignment.tenant_id
    found["RUNTARA_LAUNCH_ID"] = assignment.launch_id
    found["RUNTARA_WORKSPACE_DIR"] = str(folders.workspace)
    if assignment.checkpoint_id is not None:
        found["RUNTARA_CHECKPOINT_ID"] = assignment.checkpoint_id
    return found
