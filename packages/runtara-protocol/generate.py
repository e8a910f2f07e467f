"""Generate the messages: `uv run python packages/runtara-protocol/generate.py`."""

from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # It ships no types.

PACKAGE = Path(__file__).parent
PROTO = PACKAGE / "proto"


def generate(out: Path) -> None:
    """Write the messages and their stubs under `out`; raise RuntimeError if protoc refuses."""
    files = [str(path) for path in PROTO.rglob("*.proto")]
    if protoc.main(["protoc", f"-I{PROTO}", f"--python_out={out}", f"--pyi_out={out}", *files]):
        raise RuntimeError(f"protoc refused {files}")


if __name__ == "__main__":
    generate(PACKAGE / "src")
