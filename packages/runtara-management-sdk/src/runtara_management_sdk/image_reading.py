"""How messages become records of images."""

import json

from runtara_management_sdk import reading
from runtara_management_sdk.image_records import Image, Runner
from runtara_protocol.pb import environment_pb2 as pb

RUNNERS = {
    Runner.OCI: pb.RUNNER_OCI,
    Runner.NATIVE: pb.RUNNER_NATIVE,
    Runner.WASM: pb.RUNNER_WASM,
    Runner.PYTHON: pb.RUNNER_PYTHON,
}
_RUNNER_OF: dict[int, Runner] = {number: word for word, number in RUNNERS.items()}


def image(message: pb.ImageSummary) -> Image:
    """Read an image."""
    return Image(
        image_id=message.image_id,
        tenant_id=message.tenant_id,
        name=message.name,
        runner=_RUNNER_OF.get(message.runner_type, Runner.OCI),
        created_at=reading.moment(message.created_at_ms),
        description=reading.field(message, "description"),
        version=reading.field(message, "version"),
        is_current=reading.field(message, "is_current"),
        sha256=reading.field(message, "sha256"),
        size_bytes=reading.field(message, "size_bytes"),
        metadata=json.loads(message.metadata) if message.metadata else {},
        problem=reading.field(message, "problem"),
    )
