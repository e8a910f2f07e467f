"""Instances as files: taken from one database, and put into another."""

import asyncio

from runtara_domain.error import InvalidValue
from runtara_environment import instance_file
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.management_handlers import translation
from runtara_protocol.pb import environment_pb2 as pb


async def export_instance(
    core: Management, request: ManagementRequest, message: pb.ExportInstanceRequest
) -> pb.RpcResponse:
    """Return an instance as a file."""
    async with core.copying:
        copy = await core.operations.export(message.instance_id, as_copy=message.as_copy)
        data = await asyncio.to_thread(instance_file.encode, copy)
    return pb.RpcResponse(export_instance=pb.ExportInstanceResponse(data=data))


async def import_instance(
    core: Management, request: ManagementRequest, message: pb.ImportInstanceRequest
) -> pb.RpcResponse:
    """Keep the instance that a file holds; the same file again changes nothing."""
    if not message.data:
        raise InvalidValue("data is required")
    image_id = translation.optional(message, "image_id")
    async with core.copying:
        file = await asyncio.to_thread(instance_file.decode, message.data)
        kept, put = await core.operations.import_copy(file.copy, file.sha256, image_id)
    return pb.RpcResponse(
        import_instance=pb.ImportInstanceResponse(
            instance_id=kept.instance_id,
            created=put.created,
            image_id=kept.image_id,
            workflow=kept.workflow,
        )
    )
