"""RpcRequest and RpcResponse: which message is in the oneof, by its field number."""

from runtara_conformance import messages, protobuf
from runtara_conformance.message import Message

REQUESTS: dict[type[Message], int] = {
    messages.RegisterInstanceRequest: 1,
    messages.SleepRequest: 4,
    messages.InstanceEvent: 5,
    messages.InstanceEventBatch: 6,
    messages.GetInstanceStatusRequest: 7,
    messages.CheckpointRequest: 8,
    messages.GetCheckpointRequest: 9,
    messages.PollSignalsRequest: 10,
    messages.SignalAck: 11,
    messages.RetryAttemptEvent: 12,
    messages.ListCheckpointsRequest: 100,
    messages.StartChildRequest: 101,
    messages.CancelChildRequest: 102,
    messages.StartChildrenRequest: 105,
}

CHECKPOINT_AFTER = 103
"""The number of a `CheckpointRequest` with `preceding`."""

SAVE_TOGETHER = 104
"""The number of a `CheckpointRequest` with `more_preceding`."""

RESPONSES: dict[int, type[Message]] = {
    1: messages.RegisterInstanceResponse,
    4: messages.SleepResponse,
    5: messages.InstanceEventResponse,
    7: messages.GetInstanceStatusResponse,
    8: messages.CheckpointResponse,
    9: messages.GetCheckpointResponse,
    10: messages.PollSignalsResponse,
    15: messages.RpcError,
    100: messages.ListCheckpointsResponse,
    101: messages.StartChildResponse,
    102: messages.CancelChildResponse,
    105: messages.StartChildrenResponse,
}


def wrap(request: Message) -> bytes:
    """Write the RpcRequest that carries this message."""
    number = REQUESTS[type(request)]
    if isinstance(request, messages.CheckpointRequest):
        if request.more_preceding:
            number = SAVE_TOGETHER
        elif request.preceding is not None:
            number = CHECKPOINT_AFTER
    return protobuf.encode([(number, request.encode())])


def unwrap(response: bytes) -> Message:
    """Read the message an RpcResponse carries; raise `NotProtobufError` if it carries none."""
    for number, value in reversed(protobuf.decode(response)):
        if number in RESPONSES and isinstance(value, bytes):
            return RESPONSES[number].decode(value)
    raise protobuf.NotProtobufError(f"nothing known in the response {response.hex()}")
