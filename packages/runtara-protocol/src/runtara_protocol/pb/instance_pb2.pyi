from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InstanceEventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_HEARTBEAT: _ClassVar[InstanceEventType]
    EVENT_COMPLETED: _ClassVar[InstanceEventType]
    EVENT_FAILED: _ClassVar[InstanceEventType]
    EVENT_SUSPENDED: _ClassVar[InstanceEventType]
    EVENT_CUSTOM: _ClassVar[InstanceEventType]

class SignalType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNAL_CANCEL: _ClassVar[SignalType]
    SIGNAL_PAUSE: _ClassVar[SignalType]
    SIGNAL_RESUME: _ClassVar[SignalType]

class InstanceStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_UNKNOWN: _ClassVar[InstanceStatus]
    STATUS_PENDING: _ClassVar[InstanceStatus]
    STATUS_RUNNING: _ClassVar[InstanceStatus]
    STATUS_SUSPENDED: _ClassVar[InstanceStatus]
    STATUS_COMPLETED: _ClassVar[InstanceStatus]
    STATUS_FAILED: _ClassVar[InstanceStatus]
    STATUS_CANCELLED: _ClassVar[InstanceStatus]
EVENT_HEARTBEAT: InstanceEventType
EVENT_COMPLETED: InstanceEventType
EVENT_FAILED: InstanceEventType
EVENT_SUSPENDED: InstanceEventType
EVENT_CUSTOM: InstanceEventType
SIGNAL_CANCEL: SignalType
SIGNAL_PAUSE: SignalType
SIGNAL_RESUME: SignalType
STATUS_UNKNOWN: InstanceStatus
STATUS_PENDING: InstanceStatus
STATUS_RUNNING: InstanceStatus
STATUS_SUSPENDED: InstanceStatus
STATUS_COMPLETED: InstanceStatus
STATUS_FAILED: InstanceStatus
STATUS_CANCELLED: InstanceStatus

class RegisterInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "tenant_id", "checkpoint_id", "continue_run", "workflow", "code_version", "launch_id", "look")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_RUN_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    LOOK_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    tenant_id: str
    checkpoint_id: str
    continue_run: int
    workflow: str
    code_version: str
    launch_id: str
    look: bool
    def __init__(self, instance_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., continue_run: _Optional[int] = ..., workflow: _Optional[str] = ..., code_version: _Optional[str] = ..., launch_id: _Optional[str] = ..., look: _Optional[bool] = ...) -> None: ...

class RegisterInstanceResponse(_message.Message):
    __slots__ = ("success", "error", "run", "code", "input", "checkpoints", "pending_signal", "knows_preceding", "knows_together", "knows_children")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    PENDING_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    KNOWS_PRECEDING_FIELD_NUMBER: _ClassVar[int]
    KNOWS_TOGETHER_FIELD_NUMBER: _ClassVar[int]
    KNOWS_CHILDREN_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    run: int
    code: str
    input: bytes
    checkpoints: ListCheckpointsResponse
    pending_signal: Signal
    knows_preceding: bool
    knows_together: bool
    knows_children: bool
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ..., run: _Optional[int] = ..., code: _Optional[str] = ..., input: _Optional[bytes] = ..., checkpoints: _Optional[_Union[ListCheckpointsResponse, _Mapping]] = ..., pending_signal: _Optional[_Union[Signal, _Mapping]] = ..., knows_preceding: _Optional[bool] = ..., knows_together: _Optional[bool] = ..., knows_children: _Optional[bool] = ...) -> None: ...

class CheckpointRequest(_message.Message):
    __slots__ = ("instance_id", "checkpoint_id", "state", "preceding", "more_preceding")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PRECEDING_FIELD_NUMBER: _ClassVar[int]
    MORE_PRECEDING_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    checkpoint_id: str
    state: bytes
    preceding: PrecedingCheckpoint
    more_preceding: _containers.RepeatedCompositeFieldContainer[PrecedingCheckpoint]
    def __init__(self, instance_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., state: _Optional[bytes] = ..., preceding: _Optional[_Union[PrecedingCheckpoint, _Mapping]] = ..., more_preceding: _Optional[_Iterable[_Union[PrecedingCheckpoint, _Mapping]]] = ...) -> None: ...

class PrecedingCheckpoint(_message.Message):
    __slots__ = ("checkpoint_id", "state")
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    checkpoint_id: str
    state: bytes
    def __init__(self, checkpoint_id: _Optional[str] = ..., state: _Optional[bytes] = ...) -> None: ...

class CheckpointResponse(_message.Message):
    __slots__ = ("found", "state", "pending_signal", "custom_signal")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PENDING_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    found: bool
    state: bytes
    pending_signal: Signal
    custom_signal: CustomSignal
    def __init__(self, found: _Optional[bool] = ..., state: _Optional[bytes] = ..., pending_signal: _Optional[_Union[Signal, _Mapping]] = ..., custom_signal: _Optional[_Union[CustomSignal, _Mapping]] = ...) -> None: ...

class GetCheckpointRequest(_message.Message):
    __slots__ = ("instance_id", "checkpoint_id")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    checkpoint_id: str
    def __init__(self, instance_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ...) -> None: ...

class GetCheckpointResponse(_message.Message):
    __slots__ = ("found", "state")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    found: bool
    state: bytes
    def __init__(self, found: _Optional[bool] = ..., state: _Optional[bytes] = ...) -> None: ...

class ListCheckpointsRequest(_message.Message):
    __slots__ = ("instance_id", "after_id", "limit")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    after_id: int
    limit: int
    def __init__(self, instance_id: _Optional[str] = ..., after_id: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListCheckpointsResponse(_message.Message):
    __slots__ = ("checkpoints", "next_id")
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_ID_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[CheckpointEntry]
    next_id: int
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[CheckpointEntry, _Mapping]]] = ..., next_id: _Optional[int] = ...) -> None: ...

class CheckpointEntry(_message.Message):
    __slots__ = ("checkpoint_id", "state", "created_at_ms", "failed_attempts", "last_attempt_ms", "wake_at_ms")
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ATTEMPT_MS_FIELD_NUMBER: _ClassVar[int]
    WAKE_AT_MS_FIELD_NUMBER: _ClassVar[int]
    checkpoint_id: str
    state: bytes
    created_at_ms: int
    failed_attempts: int
    last_attempt_ms: int
    wake_at_ms: int
    def __init__(self, checkpoint_id: _Optional[str] = ..., state: _Optional[bytes] = ..., created_at_ms: _Optional[int] = ..., failed_attempts: _Optional[int] = ..., last_attempt_ms: _Optional[int] = ..., wake_at_ms: _Optional[int] = ...) -> None: ...

class SleepRequest(_message.Message):
    __slots__ = ("instance_id", "duration_ms", "checkpoint_id", "state", "keep_running", "detach", "waits")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    KEEP_RUNNING_FIELD_NUMBER: _ClassVar[int]
    DETACH_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    duration_ms: int
    checkpoint_id: str
    state: bytes
    keep_running: bool
    detach: bool
    waits: str
    def __init__(self, instance_id: _Optional[str] = ..., duration_ms: _Optional[int] = ..., checkpoint_id: _Optional[str] = ..., state: _Optional[bytes] = ..., keep_running: _Optional[bool] = ..., detach: _Optional[bool] = ..., waits: _Optional[str] = ...) -> None: ...

class SleepResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class InstanceEvent(_message.Message):
    __slots__ = ("instance_id", "event_type", "checkpoint_id", "payload", "timestamp_ms", "subtype", "blocked_reason", "waits", "failure", "progress", "exit_code")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    SUBTYPE_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_REASON_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    event_type: InstanceEventType
    checkpoint_id: str
    payload: bytes
    timestamp_ms: int
    subtype: str
    blocked_reason: str
    waits: str
    failure: bytes
    progress: bytes
    exit_code: int
    def __init__(self, instance_id: _Optional[str] = ..., event_type: _Optional[_Union[InstanceEventType, str]] = ..., checkpoint_id: _Optional[str] = ..., payload: _Optional[bytes] = ..., timestamp_ms: _Optional[int] = ..., subtype: _Optional[str] = ..., blocked_reason: _Optional[str] = ..., waits: _Optional[str] = ..., failure: _Optional[bytes] = ..., progress: _Optional[bytes] = ..., exit_code: _Optional[int] = ...) -> None: ...

class InstanceEventResponse(_message.Message):
    __slots__ = ("success", "error", "launch_closed")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_CLOSED_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    launch_closed: bool
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ..., launch_closed: _Optional[bool] = ...) -> None: ...

class InstanceEventBatch(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[InstanceEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[InstanceEvent, _Mapping]]] = ...) -> None: ...

class RetryAttemptEvent(_message.Message):
    __slots__ = ("instance_id", "checkpoint_id", "attempt_number", "timestamp_ms", "error_message")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    checkpoint_id: str
    attempt_number: int
    timestamp_ms: int
    error_message: str
    def __init__(self, instance_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., attempt_number: _Optional[int] = ..., timestamp_ms: _Optional[int] = ..., error_message: _Optional[str] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("instance_id", "signal_type", "payload")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    signal_type: SignalType
    payload: bytes
    def __init__(self, instance_id: _Optional[str] = ..., signal_type: _Optional[_Union[SignalType, str]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class CustomSignal(_message.Message):
    __slots__ = ("checkpoint_id", "payload")
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    checkpoint_id: str
    payload: bytes
    def __init__(self, checkpoint_id: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...

class SignalAck(_message.Message):
    __slots__ = ("instance_id", "signal_type", "acknowledged")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    signal_type: SignalType
    acknowledged: bool
    def __init__(self, instance_id: _Optional[str] = ..., signal_type: _Optional[_Union[SignalType, str]] = ..., acknowledged: _Optional[bool] = ...) -> None: ...

class PollSignalsRequest(_message.Message):
    __slots__ = ("instance_id", "checkpoint_id", "wait_ms", "more_checkpoint_ids")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    MORE_CHECKPOINT_IDS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    checkpoint_id: str
    wait_ms: int
    more_checkpoint_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, instance_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., wait_ms: _Optional[int] = ..., more_checkpoint_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PollSignalsResponse(_message.Message):
    __slots__ = ("signal", "custom_signal", "custom_signals", "knows_more")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    KNOWS_MORE_FIELD_NUMBER: _ClassVar[int]
    signal: Signal
    custom_signal: CustomSignal
    custom_signals: _containers.RepeatedCompositeFieldContainer[CustomSignal]
    knows_more: bool
    def __init__(self, signal: _Optional[_Union[Signal, _Mapping]] = ..., custom_signal: _Optional[_Union[CustomSignal, _Mapping]] = ..., custom_signals: _Optional[_Iterable[_Union[CustomSignal, _Mapping]]] = ..., knows_more: _Optional[bool] = ...) -> None: ...

class GetInstanceStatusRequest(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class GetInstanceStatusResponse(_message.Message):
    __slots__ = ("instance_id", "status", "checkpoint_id", "started_at_ms", "finished_at_ms", "output", "error")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    status: InstanceStatus
    checkpoint_id: str
    started_at_ms: int
    finished_at_ms: int
    output: bytes
    error: str
    def __init__(self, instance_id: _Optional[str] = ..., status: _Optional[_Union[InstanceStatus, str]] = ..., checkpoint_id: _Optional[str] = ..., started_at_ms: _Optional[int] = ..., finished_at_ms: _Optional[int] = ..., output: _Optional[bytes] = ..., error: _Optional[str] = ...) -> None: ...

class StartChildRequest(_message.Message):
    __slots__ = ("instance_id", "child_id", "workflow", "input", "is_successor")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHILD_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    IS_SUCCESSOR_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    child_id: str
    workflow: str
    input: bytes
    is_successor: bool
    def __init__(self, instance_id: _Optional[str] = ..., child_id: _Optional[str] = ..., workflow: _Optional[str] = ..., input: _Optional[bytes] = ..., is_successor: _Optional[bool] = ...) -> None: ...

class StartChildResponse(_message.Message):
    __slots__ = ("created",)
    CREATED_FIELD_NUMBER: _ClassVar[int]
    created: bool
    def __init__(self, created: _Optional[bool] = ...) -> None: ...

class StartChildrenRequest(_message.Message):
    __slots__ = ("instance_id", "children", "checkpoints")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    children: _containers.RepeatedCompositeFieldContainer[ChildToStart]
    checkpoints: _containers.RepeatedCompositeFieldContainer[PrecedingCheckpoint]
    def __init__(self, instance_id: _Optional[str] = ..., children: _Optional[_Iterable[_Union[ChildToStart, _Mapping]]] = ..., checkpoints: _Optional[_Iterable[_Union[PrecedingCheckpoint, _Mapping]]] = ...) -> None: ...

class ChildToStart(_message.Message):
    __slots__ = ("child_id", "workflow", "input")
    CHILD_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    child_id: str
    workflow: str
    input: bytes
    def __init__(self, child_id: _Optional[str] = ..., workflow: _Optional[str] = ..., input: _Optional[bytes] = ...) -> None: ...

class StartChildrenResponse(_message.Message):
    __slots__ = ("children", "checkpoints", "pending_signal")
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    PENDING_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    children: _containers.RepeatedCompositeFieldContainer[StartChildResponse]
    checkpoints: _containers.RepeatedCompositeFieldContainer[StoredCheckpoint]
    pending_signal: Signal
    def __init__(self, children: _Optional[_Iterable[_Union[StartChildResponse, _Mapping]]] = ..., checkpoints: _Optional[_Iterable[_Union[StoredCheckpoint, _Mapping]]] = ..., pending_signal: _Optional[_Union[Signal, _Mapping]] = ...) -> None: ...

class StoredCheckpoint(_message.Message):
    __slots__ = ("found", "state")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    found: bool
    state: bytes
    def __init__(self, found: _Optional[bool] = ..., state: _Optional[bytes] = ...) -> None: ...

class CancelChildRequest(_message.Message):
    __slots__ = ("instance_id", "child_id")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHILD_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    child_id: str
    def __init__(self, instance_id: _Optional[str] = ..., child_id: _Optional[str] = ...) -> None: ...

class CancelChildResponse(_message.Message):
    __slots__ = ("sent",)
    SENT_FIELD_NUMBER: _ClassVar[int]
    sent: bool
    def __init__(self, sent: _Optional[bool] = ...) -> None: ...

class RpcError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class RpcRequest(_message.Message):
    __slots__ = ("register_instance", "sleep", "instance_event", "instance_event_batch", "get_instance_status", "checkpoint", "get_checkpoint", "poll_signals", "signal_ack", "retry_attempt", "list_checkpoints", "start_child", "cancel_child", "checkpoint_after", "save_together", "start_children")
    REGISTER_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SLEEP_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_EVENT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_EVENT_BATCH_FIELD_NUMBER: _ClassVar[int]
    GET_INSTANCE_STATUS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    GET_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    POLL_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ACK_FIELD_NUMBER: _ClassVar[int]
    RETRY_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LIST_CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    START_CHILD_FIELD_NUMBER: _ClassVar[int]
    CANCEL_CHILD_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_AFTER_FIELD_NUMBER: _ClassVar[int]
    SAVE_TOGETHER_FIELD_NUMBER: _ClassVar[int]
    START_CHILDREN_FIELD_NUMBER: _ClassVar[int]
    register_instance: RegisterInstanceRequest
    sleep: SleepRequest
    instance_event: InstanceEvent
    instance_event_batch: InstanceEventBatch
    get_instance_status: GetInstanceStatusRequest
    checkpoint: CheckpointRequest
    get_checkpoint: GetCheckpointRequest
    poll_signals: PollSignalsRequest
    signal_ack: SignalAck
    retry_attempt: RetryAttemptEvent
    list_checkpoints: ListCheckpointsRequest
    start_child: StartChildRequest
    cancel_child: CancelChildRequest
    checkpoint_after: CheckpointRequest
    save_together: CheckpointRequest
    start_children: StartChildrenRequest
    def __init__(self, register_instance: _Optional[_Union[RegisterInstanceRequest, _Mapping]] = ..., sleep: _Optional[_Union[SleepRequest, _Mapping]] = ..., instance_event: _Optional[_Union[InstanceEvent, _Mapping]] = ..., instance_event_batch: _Optional[_Union[InstanceEventBatch, _Mapping]] = ..., get_instance_status: _Optional[_Union[GetInstanceStatusRequest, _Mapping]] = ..., checkpoint: _Optional[_Union[CheckpointRequest, _Mapping]] = ..., get_checkpoint: _Optional[_Union[GetCheckpointRequest, _Mapping]] = ..., poll_signals: _Optional[_Union[PollSignalsRequest, _Mapping]] = ..., signal_ack: _Optional[_Union[SignalAck, _Mapping]] = ..., retry_attempt: _Optional[_Union[RetryAttemptEvent, _Mapping]] = ..., list_checkpoints: _Optional[_Union[ListCheckpointsRequest, _Mapping]] = ..., start_child: _Optional[_Union[StartChildRequest, _Mapping]] = ..., cancel_child: _Optional[_Union[CancelChildRequest, _Mapping]] = ..., checkpoint_after: _Optional[_Union[CheckpointRequest, _Mapping]] = ..., save_together: _Optional[_Union[CheckpointRequest, _Mapping]] = ..., start_children: _Optional[_Union[StartChildrenRequest, _Mapping]] = ...) -> None: ...

class RpcResponse(_message.Message):
    __slots__ = ("register_instance", "sleep", "instance_event", "get_instance_status", "checkpoint", "get_checkpoint", "poll_signals", "error", "list_checkpoints", "start_child", "cancel_child", "start_children")
    REGISTER_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SLEEP_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_EVENT_FIELD_NUMBER: _ClassVar[int]
    GET_INSTANCE_STATUS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    GET_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    POLL_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LIST_CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    START_CHILD_FIELD_NUMBER: _ClassVar[int]
    CANCEL_CHILD_FIELD_NUMBER: _ClassVar[int]
    START_CHILDREN_FIELD_NUMBER: _ClassVar[int]
    register_instance: RegisterInstanceResponse
    sleep: SleepResponse
    instance_event: InstanceEventResponse
    get_instance_status: GetInstanceStatusResponse
    checkpoint: CheckpointResponse
    get_checkpoint: GetCheckpointResponse
    poll_signals: PollSignalsResponse
    error: RpcError
    list_checkpoints: ListCheckpointsResponse
    start_child: StartChildResponse
    cancel_child: CancelChildResponse
    start_children: StartChildrenResponse
    def __init__(self, register_instance: _Optional[_Union[RegisterInstanceResponse, _Mapping]] = ..., sleep: _Optional[_Union[SleepResponse, _Mapping]] = ..., instance_event: _Optional[_Union[InstanceEventResponse, _Mapping]] = ..., get_instance_status: _Optional[_Union[GetInstanceStatusResponse, _Mapping]] = ..., checkpoint: _Optional[_Union[CheckpointResponse, _Mapping]] = ..., get_checkpoint: _Optional[_Union[GetCheckpointResponse, _Mapping]] = ..., poll_signals: _Optional[_Union[PollSignalsResponse, _Mapping]] = ..., error: _Optional[_Union[RpcError, _Mapping]] = ..., list_checkpoints: _Optional[_Union[ListCheckpointsResponse, _Mapping]] = ..., start_child: _Optional[_Union[StartChildResponse, _Mapping]] = ..., cancel_child: _Optional[_Union[CancelChildResponse, _Mapping]] = ..., start_children: _Optional[_Union[StartChildrenResponse, _Mapping]] = ...) -> None: ...
