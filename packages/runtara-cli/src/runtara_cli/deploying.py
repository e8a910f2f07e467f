"""Registers packed code as images, one for each workflow."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from runtara_cli.packing import Packed, Workflow

if TYPE_CHECKING:
    from runtara_management_sdk import ManagementClient, RegisteredImage


async def deploy(
    client: "ManagementClient",
    tenant_id: str,
    packed: Packed,
    workflow: Workflow,
    *,
    name: str | None = None,
    metadata: Mapping[str, object] | None = None,
    on_progress: Callable[[int, int], None] = lambda sent, size: None,
) -> "RegisteredImage":
    """Register a workflow's image; by default it has the workflow's name."""
    from runtara_management_sdk import Runner

    declared = {} if workflow.schedule is None else {"schedule": dict(workflow.schedule)}
    return await client.images.register(
        tenant_id,
        name or workflow.name,
        packed.content,
        Runner.PYTHON,
        metadata={
            "workflow": workflow.name,
            **declared,
            **(metadata or {}),
            "target": workflow.target,
        },
        on_progress=on_progress,
    )
