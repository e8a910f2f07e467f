"""Python workflows: forked from an interpreter that has imported them, or started anew."""

import hashlib
import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from runtara_domain.model.stored_images import Image
from runtara_environment.runners.port import LaunchFolders, ProcessSpec, Warm, limits_of

_PRELOADED = "?runtara_sdk.workflow.process.preloaded"
"""The module of the SDK that imports all late imports; `?`: an older SDK may not have it."""

_PREPARE = "runtara_sdk.workflow.process.ahead:prepare"
_CORE = (
    "RUNTARA_SERVER_ADDR",
    "RUNTARA_SERVER_NAME",
    "RUNTARA_TLS_CA",
    "RUNTARA_SKIP_CERT_VERIFICATION",
)
"""The variables by which any launch finds the core."""


class PythonRunner:
    """Runs a workflow of the SDK in a zip of source, or a wheel."""

    reports = True
    sends_launch_id = True

    def install(self, content: Path, folder: Path) -> None:
        with zipfile.ZipFile(content) as archive:
            archive.extractall(folder)

    def spec(
        self, image: Image, folders: LaunchFolders, env: Mapping[str, str], *, warm: bool
    ) -> ProcessSpec:
        memory_bytes, cpus = limits_of(image)
        python = str(image.metadata.get("python") or sys.executable)
        target = str(image.metadata["target"])
        is_warm = warm and image.metadata.get("warm") is not False
        command = ["runtara_sdk", "run", target]
        return ProcessSpec(
            argv=command if is_warm else [python, "-m", *command],
            env={**env, "PYTHONPATH": _path(folders.code, env)},
            cwd=folders.folder,
            memory_bytes=memory_bytes,
            cpus=cpus,
            warm=_warm(image, folders, python, target, env) if is_warm else None,
        )


def _warm(
    image: Image, folders: LaunchFolders, python: str, target: str, env: Mapping[str, str]
) -> Warm:
    # Variables of a single launch must not be set when the image is imported.
    named = image.metadata.get("env")
    own = named if isinstance(named, dict) else {}
    common = {name: value for name, value in env.items() if name in own or name in COMMON}
    common["PYTHONPATH"] = _path(folders.code, common)
    described = json.dumps([image.image_id, python, sorted(common.items())])
    return Warm(
        key=hashlib.sha256(described.encode()).hexdigest(),
        python=python,
        modules=[_PRELOADED, target.partition(":")[0]],
        env={**common, **{name: str(value) for name, value in own.items()}},
        cwd=str(folders.code),
        prepare=_PREPARE,
        variables={name: env[name] for name in _CORE if name in env},
    )


COMMON = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SHELL",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
        "http_proxy", "https_proxy", "no_proxy", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH",
        "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
    }
)  # fmt: skip
"""The variables of the environment that its processes get, too; no other is passed on."""


def _path(code: Path, env: Mapping[str, str]) -> str:
    return ":".join(each for each in (str(code), env.get("PYTHONPATH", "")) if each)
