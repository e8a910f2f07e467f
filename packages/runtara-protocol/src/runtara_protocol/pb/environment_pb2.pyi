from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunnerType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUNNER_OCI: _ClassVar[RunnerType]
    RUNNER_NATIVE: _ClassVar[RunnerType]
    RUNNER_WASM: _ClassVar[RunnerType]
    RUNNER_PYTHON: _ClassVar[RunnerType]

class MetricsGranularity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GRANULARITY_HOURLY: _ClassVar[MetricsGranularity]
    GRANULARITY_DAILY: _ClassVar[MetricsGranularity]

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

class Overlap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERLAP_SKIP: _ClassVar[Overlap]
    OVERLAP_BUFFER_ONE: _ClassVar[Overlap]
    OVERLAP_ALLOW: _ClassVar[Overlap]
    OVERLAP_CANCEL_OTHER: _ClassVar[Overlap]

class LocalTimeRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOCAL_TIME_AS_CRON: _ClassVar[LocalTimeRule]
    LOCAL_TIME_SKIP: _ClassVar[LocalTimeRule]
    LOCAL_TIME_FIRST: _ClassVar[LocalTimeRule]
    LOCAL_TIME_BOTH: _ClassVar[LocalTimeRule]

class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCOPE_UNSPECIFIED: _ClassVar[Scope]
    SCOPE_TENANT: _ClassVar[Scope]
    SCOPE_IMAGE_NAME: _ClassVar[Scope]
    SCOPE_WORKFLOW: _ClassVar[Scope]
    SCOPE_QUEUE: _ClassVar[Scope]
RUNNER_OCI: RunnerType
RUNNER_NATIVE: RunnerType
RUNNER_WASM: RunnerType
RUNNER_PYTHON: RunnerType
GRANULARITY_HOURLY: MetricsGranularity
GRANULARITY_DAILY: MetricsGranularity
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
OVERLAP_SKIP: Overlap
OVERLAP_BUFFER_ONE: Overlap
OVERLAP_ALLOW: Overlap
OVERLAP_CANCEL_OTHER: Overlap
LOCAL_TIME_AS_CRON: LocalTimeRule
LOCAL_TIME_SKIP: LocalTimeRule
LOCAL_TIME_FIRST: LocalTimeRule
LOCAL_TIME_BOTH: LocalTimeRule
SCOPE_UNSPECIFIED: Scope
SCOPE_TENANT: Scope
SCOPE_IMAGE_NAME: Scope
SCOPE_WORKFLOW: Scope
SCOPE_QUEUE: Scope

class HealthCheckRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HealthCheckResponse(_message.Message):
    __slots__ = ("healthy", "version", "uptime_ms", "active_instances")
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    healthy: bool
    version: str
    uptime_ms: int
    active_instances: int
    def __init__(self, healthy: _Optional[bool] = ..., version: _Optional[str] = ..., uptime_ms: _Optional[int] = ..., active_instances: _Optional[int] = ...) -> None: ...

class RegisterImageRequest(_message.Message):
    __slots__ = ("tenant_id", "name", "description", "binary", "runner_type", "metadata")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BINARY_FIELD_NUMBER: _ClassVar[int]
    RUNNER_TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    description: str
    binary: bytes
    runner_type: RunnerType
    metadata: bytes
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., binary: _Optional[bytes] = ..., runner_type: _Optional[_Union[RunnerType, str]] = ..., metadata: _Optional[bytes] = ...) -> None: ...

class RegisterImageStreamStart(_message.Message):
    __slots__ = ("tenant_id", "name", "description", "binary_size", "runner_type", "metadata", "sha256")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BINARY_SIZE_FIELD_NUMBER: _ClassVar[int]
    RUNNER_TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    description: str
    binary_size: int
    runner_type: RunnerType
    metadata: bytes
    sha256: str
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., binary_size: _Optional[int] = ..., runner_type: _Optional[_Union[RunnerType, str]] = ..., metadata: _Optional[bytes] = ..., sha256: _Optional[str] = ...) -> None: ...

class RegisterImageResponse(_message.Message):
    __slots__ = ("success", "image_id", "error", "code", "version", "created")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    success: bool
    image_id: str
    error: str
    code: str
    version: int
    created: bool
    def __init__(self, success: _Optional[bool] = ..., image_id: _Optional[str] = ..., error: _Optional[str] = ..., code: _Optional[str] = ..., version: _Optional[int] = ..., created: _Optional[bool] = ...) -> None: ...

class ListImagesRequest(_message.Message):
    __slots__ = ("tenant_id", "limit", "offset", "all_versions", "name_prefix")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    ALL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    limit: int
    offset: int
    all_versions: bool
    name_prefix: str
    def __init__(self, tenant_id: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., all_versions: _Optional[bool] = ..., name_prefix: _Optional[str] = ...) -> None: ...

class ListImagesResponse(_message.Message):
    __slots__ = ("images", "total_count")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[ImageSummary]
    total_count: int
    def __init__(self, images: _Optional[_Iterable[_Union[ImageSummary, _Mapping]]] = ..., total_count: _Optional[int] = ...) -> None: ...

class ImageSummary(_message.Message):
    __slots__ = ("image_id", "tenant_id", "name", "description", "runner_type", "created_at_ms", "version", "sha256", "size_bytes", "is_current", "metadata", "problem")
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    RUNNER_TYPE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    IS_CURRENT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    tenant_id: str
    name: str
    description: str
    runner_type: RunnerType
    created_at_ms: int
    version: int
    sha256: str
    size_bytes: int
    is_current: bool
    metadata: bytes
    problem: str
    def __init__(self, image_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., runner_type: _Optional[_Union[RunnerType, str]] = ..., created_at_ms: _Optional[int] = ..., version: _Optional[int] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., is_current: _Optional[bool] = ..., metadata: _Optional[bytes] = ..., problem: _Optional[str] = ...) -> None: ...

class GetImageRequest(_message.Message):
    __slots__ = ("image_id", "tenant_id")
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    tenant_id: str
    def __init__(self, image_id: _Optional[str] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class GetImageResponse(_message.Message):
    __slots__ = ("found", "image")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    found: bool
    image: ImageSummary
    def __init__(self, found: _Optional[bool] = ..., image: _Optional[_Union[ImageSummary, _Mapping]] = ...) -> None: ...

class DeleteImageRequest(_message.Message):
    __slots__ = ("image_id", "tenant_id")
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    tenant_id: str
    def __init__(self, image_id: _Optional[str] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class DeleteImageResponse(_message.Message):
    __slots__ = ("success", "error", "code")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    code: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class StartInstanceRequest(_message.Message):
    __slots__ = ("image_id", "tenant_id", "instance_id", "input", "timeout_seconds", "env", "workflow", "priority", "delay_ms", "queue", "dedupe_key")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    DEDUPE_KEY_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    tenant_id: str
    instance_id: str
    input: bytes
    timeout_seconds: int
    env: _containers.ScalarMap[str, str]
    workflow: str
    priority: int
    delay_ms: int
    queue: str
    dedupe_key: str
    def __init__(self, image_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., input: _Optional[bytes] = ..., timeout_seconds: _Optional[int] = ..., env: _Optional[_Mapping[str, str]] = ..., workflow: _Optional[str] = ..., priority: _Optional[int] = ..., delay_ms: _Optional[int] = ..., queue: _Optional[str] = ..., dedupe_key: _Optional[str] = ...) -> None: ...

class StartInstanceResponse(_message.Message):
    __slots__ = ("success", "instance_id", "error", "code", "created")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    success: bool
    instance_id: str
    error: str
    code: str
    created: bool
    def __init__(self, success: _Optional[bool] = ..., instance_id: _Optional[str] = ..., error: _Optional[str] = ..., code: _Optional[str] = ..., created: _Optional[bool] = ...) -> None: ...

class StopInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "grace_period_seconds", "reason")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    GRACE_PERIOD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    grace_period_seconds: int
    reason: str
    def __init__(self, instance_id: _Optional[str] = ..., grace_period_seconds: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class StopInstanceResponse(_message.Message):
    __slots__ = ("success", "error", "code")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    code: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class ResumeInstanceRequest(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class ResumeInstanceResponse(_message.Message):
    __slots__ = ("success", "error", "code")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    code: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class GetInstanceStatusRequest(_message.Message):
    __slots__ = ("instance_id", "brief")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    BRIEF_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    brief: bool
    def __init__(self, instance_id: _Optional[str] = ..., brief: _Optional[bool] = ...) -> None: ...

class GetInstanceStatusResponse(_message.Message):
    __slots__ = ("found", "instance_id", "status", "checkpoint_id", "created_at_ms", "started_at_ms", "finished_at_ms", "output", "error", "image_id", "image_name", "tenant_id", "input", "heartbeat_at_ms", "retry_count", "max_retries", "memory_peak_bytes", "cpu_usage_usec", "stderr", "workflow", "code_version", "run", "version", "blocked", "waiting_for", "progress", "launches", "crashes", "next_launch_ms", "queue", "parent_id", "not_launched", "wake_at_ms", "pending_signal", "priority", "env", "not_launched_kind")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FOUND_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_AT_MS_FIELD_NUMBER: _ClassVar[int]
    RETRY_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_RETRIES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_USAGE_USEC_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    CRASHES_FIELD_NUMBER: _ClassVar[int]
    NEXT_LAUNCH_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    NOT_LAUNCHED_FIELD_NUMBER: _ClassVar[int]
    WAKE_AT_MS_FIELD_NUMBER: _ClassVar[int]
    PENDING_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    NOT_LAUNCHED_KIND_FIELD_NUMBER: _ClassVar[int]
    found: bool
    instance_id: str
    status: InstanceStatus
    checkpoint_id: str
    created_at_ms: int
    started_at_ms: int
    finished_at_ms: int
    output: bytes
    error: str
    image_id: str
    image_name: str
    tenant_id: str
    input: bytes
    heartbeat_at_ms: int
    retry_count: int
    max_retries: int
    memory_peak_bytes: int
    cpu_usage_usec: int
    stderr: str
    workflow: str
    code_version: str
    run: int
    version: int
    blocked: bool
    waiting_for: _containers.RepeatedCompositeFieldContainer[Waiting]
    progress: bytes
    launches: int
    crashes: int
    next_launch_ms: int
    queue: str
    parent_id: str
    not_launched: str
    wake_at_ms: int
    pending_signal: SignalType
    priority: int
    env: _containers.ScalarMap[str, str]
    not_launched_kind: str
    def __init__(self, found: _Optional[bool] = ..., instance_id: _Optional[str] = ..., status: _Optional[_Union[InstanceStatus, str]] = ..., checkpoint_id: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., started_at_ms: _Optional[int] = ..., finished_at_ms: _Optional[int] = ..., output: _Optional[bytes] = ..., error: _Optional[str] = ..., image_id: _Optional[str] = ..., image_name: _Optional[str] = ..., tenant_id: _Optional[str] = ..., input: _Optional[bytes] = ..., heartbeat_at_ms: _Optional[int] = ..., retry_count: _Optional[int] = ..., max_retries: _Optional[int] = ..., memory_peak_bytes: _Optional[int] = ..., cpu_usage_usec: _Optional[int] = ..., stderr: _Optional[str] = ..., workflow: _Optional[str] = ..., code_version: _Optional[str] = ..., run: _Optional[int] = ..., version: _Optional[int] = ..., blocked: _Optional[bool] = ..., waiting_for: _Optional[_Iterable[_Union[Waiting, _Mapping]]] = ..., progress: _Optional[bytes] = ..., launches: _Optional[int] = ..., crashes: _Optional[int] = ..., next_launch_ms: _Optional[int] = ..., queue: _Optional[str] = ..., parent_id: _Optional[str] = ..., not_launched: _Optional[str] = ..., wake_at_ms: _Optional[int] = ..., pending_signal: _Optional[_Union[SignalType, str]] = ..., priority: _Optional[int] = ..., env: _Optional[_Mapping[str, str]] = ..., not_launched_kind: _Optional[str] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("kind", "name", "since_ms", "until_ms", "reason")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    since_ms: int
    until_ms: int
    reason: str
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., since_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ListInstancesRequest(_message.Message):
    __slots__ = ("tenant_id", "status", "limit", "offset", "image_id", "created_after_ms", "created_before_ms", "finished_after_ms", "finished_before_ms", "order_by", "image_name_prefix", "workflow", "error_contains", "blocked", "queue", "after", "parent_id", "count_limit")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_BEFORE_MS_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    ERROR_CONTAINS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PARENT_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    status: InstanceStatus
    limit: int
    offset: int
    image_id: str
    created_after_ms: int
    created_before_ms: int
    finished_after_ms: int
    finished_before_ms: int
    order_by: str
    image_name_prefix: str
    workflow: str
    error_contains: str
    blocked: bool
    queue: str
    after: str
    parent_id: str
    count_limit: int
    def __init__(self, tenant_id: _Optional[str] = ..., status: _Optional[_Union[InstanceStatus, str]] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., image_id: _Optional[str] = ..., created_after_ms: _Optional[int] = ..., created_before_ms: _Optional[int] = ..., finished_after_ms: _Optional[int] = ..., finished_before_ms: _Optional[int] = ..., order_by: _Optional[str] = ..., image_name_prefix: _Optional[str] = ..., workflow: _Optional[str] = ..., error_contains: _Optional[str] = ..., blocked: _Optional[bool] = ..., queue: _Optional[str] = ..., after: _Optional[str] = ..., parent_id: _Optional[str] = ..., count_limit: _Optional[int] = ...) -> None: ...

class ListInstancesResponse(_message.Message):
    __slots__ = ("instances", "total_count", "next", "known_fields")
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELDS_FIELD_NUMBER: _ClassVar[int]
    instances: _containers.RepeatedCompositeFieldContainer[InstanceSummary]
    total_count: int
    next: str
    known_fields: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, instances: _Optional[_Iterable[_Union[InstanceSummary, _Mapping]]] = ..., total_count: _Optional[int] = ..., next: _Optional[str] = ..., known_fields: _Optional[_Iterable[int]] = ...) -> None: ...

class InstanceSummary(_message.Message):
    __slots__ = ("instance_id", "tenant_id", "image_id", "status", "created_at_ms", "started_at_ms", "finished_at_ms", "has_error", "workflow", "error", "waiting_for", "next_ms", "blocked", "queue")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    HAS_ERROR_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    NEXT_MS_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    tenant_id: str
    image_id: str
    status: InstanceStatus
    created_at_ms: int
    started_at_ms: int
    finished_at_ms: int
    has_error: bool
    workflow: str
    error: str
    waiting_for: _containers.RepeatedCompositeFieldContainer[Waiting]
    next_ms: int
    blocked: bool
    queue: str
    def __init__(self, instance_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., image_id: _Optional[str] = ..., status: _Optional[_Union[InstanceStatus, str]] = ..., created_at_ms: _Optional[int] = ..., started_at_ms: _Optional[int] = ..., finished_at_ms: _Optional[int] = ..., has_error: _Optional[bool] = ..., workflow: _Optional[str] = ..., error: _Optional[str] = ..., waiting_for: _Optional[_Iterable[_Union[Waiting, _Mapping]]] = ..., next_ms: _Optional[int] = ..., blocked: _Optional[bool] = ..., queue: _Optional[str] = ...) -> None: ...

class SendSignalRequest(_message.Message):
    __slots__ = ("instance_id", "signal_type", "payload")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    signal_type: SignalType
    payload: bytes
    def __init__(self, instance_id: _Optional[str] = ..., signal_type: _Optional[_Union[SignalType, str]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class SendSignalResponse(_message.Message):
    __slots__ = ("success", "error", "code")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    code: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class SendCustomSignalRequest(_message.Message):
    __slots__ = ("instance_id", "checkpoint_id", "payload")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    checkpoint_id: str
    payload: bytes
    def __init__(self, instance_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...

class SendCustomSignalResponse(_message.Message):
    __slots__ = ("success", "error", "code", "first", "warning")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    WARNING_FIELD_NUMBER: _ClassVar[int]
    success: bool
    error: str
    code: str
    first: bool
    warning: str
    def __init__(self, success: _Optional[bool] = ..., error: _Optional[str] = ..., code: _Optional[str] = ..., first: _Optional[bool] = ..., warning: _Optional[str] = ...) -> None: ...

class ListCheckpointsRequest(_message.Message):
    __slots__ = ("instance_id", "checkpoint_id", "limit", "offset", "created_after_ms", "created_before_ms", "largest_data_bytes")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_MS_FIELD_NUMBER: _ClassVar[int]
    LARGEST_DATA_BYTES_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    checkpoint_id: str
    limit: int
    offset: int
    created_after_ms: int
    created_before_ms: int
    largest_data_bytes: int
    def __init__(self, instance_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., created_after_ms: _Optional[int] = ..., created_before_ms: _Optional[int] = ..., largest_data_bytes: _Optional[int] = ...) -> None: ...

class ListCheckpointsResponse(_message.Message):
    __slots__ = ("checkpoints", "total_count", "limit", "offset")
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[CheckpointSummary]
    total_count: int
    limit: int
    offset: int
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[CheckpointSummary, _Mapping]]] = ..., total_count: _Optional[int] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class CheckpointSummary(_message.Message):
    __slots__ = ("checkpoint_id", "instance_id", "created_at_ms", "data_size_bytes", "data")
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    DATA_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    checkpoint_id: str
    instance_id: str
    created_at_ms: int
    data_size_bytes: int
    data: bytes
    def __init__(self, checkpoint_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., data_size_bytes: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class GetCheckpointRequest(_message.Message):
    __slots__ = ("instance_id", "checkpoint_id")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    checkpoint_id: str
    def __init__(self, instance_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ...) -> None: ...

class GetCheckpointResponse(_message.Message):
    __slots__ = ("found", "checkpoint_id", "instance_id", "created_at_ms", "data")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    found: bool
    checkpoint_id: str
    instance_id: str
    created_at_ms: int
    data: bytes
    def __init__(self, found: _Optional[bool] = ..., checkpoint_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("instance_id", "event_type", "subtype", "limit", "offset", "created_after_ms", "created_before_ms", "payload_contains")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SUBTYPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_MS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_CONTAINS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    event_type: str
    subtype: str
    limit: int
    offset: int
    created_after_ms: int
    created_before_ms: int
    payload_contains: str
    def __init__(self, instance_id: _Optional[str] = ..., event_type: _Optional[str] = ..., subtype: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., created_after_ms: _Optional[int] = ..., created_before_ms: _Optional[int] = ..., payload_contains: _Optional[str] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "total_count", "limit", "offset")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[EventSummary]
    total_count: int
    limit: int
    offset: int
    def __init__(self, events: _Optional[_Iterable[_Union[EventSummary, _Mapping]]] = ..., total_count: _Optional[int] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class EventSummary(_message.Message):
    __slots__ = ("id", "instance_id", "event_type", "checkpoint_id", "payload", "created_at_ms", "subtype")
    ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SUBTYPE_FIELD_NUMBER: _ClassVar[int]
    id: int
    instance_id: str
    event_type: str
    checkpoint_id: str
    payload: bytes
    created_at_ms: int
    subtype: str
    def __init__(self, id: _Optional[int] = ..., instance_id: _Optional[str] = ..., event_type: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., payload: _Optional[bytes] = ..., created_at_ms: _Optional[int] = ..., subtype: _Optional[str] = ...) -> None: ...

class GetTenantMetricsRequest(_message.Message):
    __slots__ = ("tenant_id", "start_time_ms", "end_time_ms", "granularity")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    GRANULARITY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    start_time_ms: int
    end_time_ms: int
    granularity: MetricsGranularity
    def __init__(self, tenant_id: _Optional[str] = ..., start_time_ms: _Optional[int] = ..., end_time_ms: _Optional[int] = ..., granularity: _Optional[_Union[MetricsGranularity, str]] = ...) -> None: ...

class GetTenantMetricsResponse(_message.Message):
    __slots__ = ("tenant_id", "start_time_ms", "end_time_ms", "granularity", "buckets")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    GRANULARITY_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    start_time_ms: int
    end_time_ms: int
    granularity: MetricsGranularity
    buckets: _containers.RepeatedCompositeFieldContainer[MetricsBucket]
    def __init__(self, tenant_id: _Optional[str] = ..., start_time_ms: _Optional[int] = ..., end_time_ms: _Optional[int] = ..., granularity: _Optional[_Union[MetricsGranularity, str]] = ..., buckets: _Optional[_Iterable[_Union[MetricsBucket, _Mapping]]] = ...) -> None: ...

class MetricsBucket(_message.Message):
    __slots__ = ("bucket_time_ms", "invocation_count", "success_count", "failure_count", "cancelled_count", "avg_duration_ms", "min_duration_ms", "max_duration_ms", "avg_memory_bytes", "max_memory_bytes", "success_rate_percent")
    BUCKET_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_COUNT_FIELD_NUMBER: _ClassVar[int]
    AVG_DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    MIN_DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    AVG_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_RATE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    bucket_time_ms: int
    invocation_count: int
    success_count: int
    failure_count: int
    cancelled_count: int
    avg_duration_ms: float
    min_duration_ms: float
    max_duration_ms: float
    avg_memory_bytes: int
    max_memory_bytes: int
    success_rate_percent: float
    def __init__(self, bucket_time_ms: _Optional[int] = ..., invocation_count: _Optional[int] = ..., success_count: _Optional[int] = ..., failure_count: _Optional[int] = ..., cancelled_count: _Optional[int] = ..., avg_duration_ms: _Optional[float] = ..., min_duration_ms: _Optional[float] = ..., max_duration_ms: _Optional[float] = ..., avg_memory_bytes: _Optional[int] = ..., max_memory_bytes: _Optional[int] = ..., success_rate_percent: _Optional[float] = ...) -> None: ...

class TestCapabilityRequest(_message.Message):
    __slots__ = ("tenant_id", "agent_id", "capability_id", "input", "connection", "timeout_ms")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    agent_id: str
    capability_id: str
    input: bytes
    connection: bytes
    timeout_ms: int
    def __init__(self, tenant_id: _Optional[str] = ..., agent_id: _Optional[str] = ..., capability_id: _Optional[str] = ..., input: _Optional[bytes] = ..., connection: _Optional[bytes] = ..., timeout_ms: _Optional[int] = ...) -> None: ...

class TestCapabilityResponse(_message.Message):
    __slots__ = ("success", "output", "error", "execution_time_ms")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    output: bytes
    error: str
    execution_time_ms: int
    def __init__(self, success: _Optional[bool] = ..., output: _Optional[bytes] = ..., error: _Optional[str] = ..., execution_time_ms: _Optional[int] = ...) -> None: ...

class ListAgentsRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class ListAgentsResponse(_message.Message):
    __slots__ = ("agents_json",)
    AGENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    agents_json: bytes
    def __init__(self, agents_json: _Optional[bytes] = ...) -> None: ...

class GetCapabilityRequest(_message.Message):
    __slots__ = ("agent_id", "capability_id")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_ID_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    capability_id: str
    def __init__(self, agent_id: _Optional[str] = ..., capability_id: _Optional[str] = ...) -> None: ...

class GetCapabilityResponse(_message.Message):
    __slots__ = ("found", "capability_json", "inputs_json")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    CAPABILITY_JSON_FIELD_NUMBER: _ClassVar[int]
    INPUTS_JSON_FIELD_NUMBER: _ClassVar[int]
    found: bool
    capability_json: bytes
    inputs_json: bytes
    def __init__(self, found: _Optional[bool] = ..., capability_json: _Optional[bytes] = ..., inputs_json: _Optional[bytes] = ...) -> None: ...

class RetryInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "image_id", "forget_checkpoint_ids")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    FORGET_CHECKPOINT_IDS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    image_id: str
    forget_checkpoint_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, instance_id: _Optional[str] = ..., image_id: _Optional[str] = ..., forget_checkpoint_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RetryInstanceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ForkInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "new_instance_id", "through_checkpoint_id", "before_checkpoint_id", "image_id")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    THROUGH_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    new_instance_id: str
    through_checkpoint_id: str
    before_checkpoint_id: str
    image_id: str
    def __init__(self, instance_id: _Optional[str] = ..., new_instance_id: _Optional[str] = ..., through_checkpoint_id: _Optional[str] = ..., before_checkpoint_id: _Optional[str] = ..., image_id: _Optional[str] = ...) -> None: ...

class ForkInstanceResponse(_message.Message):
    __slots__ = ("instance_id", "copied", "repeated_checkpoint_ids")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    COPIED_FIELD_NUMBER: _ClassVar[int]
    REPEATED_CHECKPOINT_IDS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    copied: int
    repeated_checkpoint_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, instance_id: _Optional[str] = ..., copied: _Optional[int] = ..., repeated_checkpoint_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class MoveInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "image_id")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    image_id: str
    def __init__(self, instance_id: _Optional[str] = ..., image_id: _Optional[str] = ...) -> None: ...

class MoveInstanceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WaitInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "wait_ms")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    wait_ms: int
    def __init__(self, instance_id: _Optional[str] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class WaitInstanceResponse(_message.Message):
    __slots__ = ("instance",)
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    instance: GetInstanceStatusResponse
    def __init__(self, instance: _Optional[_Union[GetInstanceStatusResponse, _Mapping]] = ...) -> None: ...

class ListLaunchesRequest(_message.Message):
    __slots__ = ("instance_id", "open_only", "environment_id", "limit", "after")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    OPEN_ONLY_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    open_only: bool
    environment_id: str
    limit: int
    after: str
    def __init__(self, instance_id: _Optional[str] = ..., open_only: _Optional[bool] = ..., environment_id: _Optional[str] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class ListLaunchesResponse(_message.Message):
    __slots__ = ("launches", "next")
    LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    launches: _containers.RepeatedCompositeFieldContainer[Launch]
    next: str
    def __init__(self, launches: _Optional[_Iterable[_Union[Launch, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class Launch(_message.Message):
    __slots__ = ("launch_id", "instance_id", "environment_id", "number", "created_at_ms", "started_at_ms", "ended_at_ms", "run", "cause", "exit_code", "exit_signal", "memory_peak_bytes", "cpu_usage_usec", "stderr", "runner", "placement", "image_id", "verdict")
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    EXIT_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_USAGE_USEC_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    RUNNER_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    launch_id: str
    instance_id: str
    environment_id: str
    number: int
    created_at_ms: int
    started_at_ms: int
    ended_at_ms: int
    run: int
    cause: str
    exit_code: int
    exit_signal: int
    memory_peak_bytes: int
    cpu_usage_usec: int
    stderr: str
    runner: str
    placement: str
    image_id: str
    verdict: str
    def __init__(self, launch_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., environment_id: _Optional[str] = ..., number: _Optional[int] = ..., created_at_ms: _Optional[int] = ..., started_at_ms: _Optional[int] = ..., ended_at_ms: _Optional[int] = ..., run: _Optional[int] = ..., cause: _Optional[str] = ..., exit_code: _Optional[int] = ..., exit_signal: _Optional[int] = ..., memory_peak_bytes: _Optional[int] = ..., cpu_usage_usec: _Optional[int] = ..., stderr: _Optional[str] = ..., runner: _Optional[str] = ..., placement: _Optional[str] = ..., image_id: _Optional[str] = ..., verdict: _Optional[str] = ...) -> None: ...

class GetLogRequest(_message.Message):
    __slots__ = ("instance_id", "launch_id", "offset", "limit", "wait_ms")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    launch_id: str
    offset: int
    limit: int
    wait_ms: int
    def __init__(self, instance_id: _Optional[str] = ..., launch_id: _Optional[str] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class GetLogResponse(_message.Message):
    __slots__ = ("launch_id", "data", "next_offset", "is_complete")
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    NEXT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    IS_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    launch_id: str
    data: bytes
    next_offset: int
    is_complete: bool
    def __init__(self, launch_id: _Optional[str] = ..., data: _Optional[bytes] = ..., next_offset: _Optional[int] = ..., is_complete: _Optional[bool] = ...) -> None: ...

class ListEnvironmentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListEnvironmentsResponse(_message.Message):
    __slots__ = ("environments",)
    ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    environments: _containers.RepeatedCompositeFieldContainer[Environment]
    def __init__(self, environments: _Optional[_Iterable[_Union[Environment, _Mapping]]] = ...) -> None: ...

class Environment(_message.Message):
    __slots__ = ("environment_id", "kind", "machine", "version", "capacity", "open_launches", "lease_until_ms", "clock_offset_ms", "is_draining", "started_at_ms", "workflows", "tenant_id")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    OPEN_LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_OFFSET_MS_FIELD_NUMBER: _ClassVar[int]
    IS_DRAINING_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    kind: str
    machine: str
    version: str
    capacity: int
    open_launches: int
    lease_until_ms: int
    clock_offset_ms: int
    is_draining: bool
    started_at_ms: int
    workflows: _containers.RepeatedScalarFieldContainer[str]
    tenant_id: str
    def __init__(self, environment_id: _Optional[str] = ..., kind: _Optional[str] = ..., machine: _Optional[str] = ..., version: _Optional[str] = ..., capacity: _Optional[int] = ..., open_launches: _Optional[int] = ..., lease_until_ms: _Optional[int] = ..., clock_offset_ms: _Optional[int] = ..., is_draining: _Optional[bool] = ..., started_at_ms: _Optional[int] = ..., workflows: _Optional[_Iterable[str]] = ..., tenant_id: _Optional[str] = ...) -> None: ...

class DrainEnvironmentRequest(_message.Message):
    __slots__ = ("environment_id", "drain")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    drain: bool
    def __init__(self, environment_id: _Optional[str] = ..., drain: _Optional[bool] = ...) -> None: ...

class DrainEnvironmentResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SetHoldRequest(_message.Message):
    __slots__ = ("scope", "tenant_id", "name", "reason", "hold")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    tenant_id: str
    name: str
    reason: str
    hold: bool
    def __init__(self, scope: _Optional[_Union[Scope, str]] = ..., tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ..., hold: _Optional[bool] = ...) -> None: ...

class SetHoldResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListHoldsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListHoldsResponse(_message.Message):
    __slots__ = ("holds",)
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    holds: _containers.RepeatedCompositeFieldContainer[Hold]
    def __init__(self, holds: _Optional[_Iterable[_Union[Hold, _Mapping]]] = ...) -> None: ...

class PruneInstancesRequest(_message.Message):
    __slots__ = ("finished_before_ms", "limit")
    FINISHED_BEFORE_MS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    finished_before_ms: int
    limit: int
    def __init__(self, finished_before_ms: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class PruneInstancesResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class DeleteInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "expected_finished_at_ms", "also_suspended", "finished_before_ms")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FINISHED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    ALSO_SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    FINISHED_BEFORE_MS_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    expected_finished_at_ms: int
    also_suspended: bool
    finished_before_ms: int
    def __init__(self, instance_id: _Optional[str] = ..., expected_finished_at_ms: _Optional[int] = ..., also_suspended: _Optional[bool] = ..., finished_before_ms: _Optional[int] = ...) -> None: ...

class DeleteInstanceResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class ExportInstanceRequest(_message.Message):
    __slots__ = ("instance_id", "as_copy")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    AS_COPY_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    as_copy: bool
    def __init__(self, instance_id: _Optional[str] = ..., as_copy: _Optional[bool] = ...) -> None: ...

class ExportInstanceResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ImportInstanceRequest(_message.Message):
    __slots__ = ("data", "image_id")
    DATA_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    image_id: str
    def __init__(self, data: _Optional[bytes] = ..., image_id: _Optional[str] = ...) -> None: ...

class ImportInstanceResponse(_message.Message):
    __slots__ = ("instance_id", "created", "image_id", "workflow")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    created: bool
    image_id: str
    workflow: str
    def __init__(self, instance_id: _Optional[str] = ..., created: _Optional[bool] = ..., image_id: _Optional[str] = ..., workflow: _Optional[str] = ...) -> None: ...

class Hold(_message.Message):
    __slots__ = ("scope", "tenant_id", "name", "reason", "created_at_ms")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    tenant_id: str
    name: str
    reason: str
    created_at_ms: int
    def __init__(self, scope: _Optional[_Union[Scope, str]] = ..., tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ..., created_at_ms: _Optional[int] = ...) -> None: ...

class OpenWorkerRequest(_message.Message):
    __slots__ = ("environment_id", "tenant_id", "workflows", "capacity", "machine", "version")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    tenant_id: str
    workflows: _containers.RepeatedCompositeFieldContainer[ServedWorkflow]
    capacity: int
    machine: str
    version: str
    def __init__(self, environment_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., workflows: _Optional[_Iterable[_Union[ServedWorkflow, _Mapping]]] = ..., capacity: _Optional[int] = ..., machine: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ServedWorkflow(_message.Message):
    __slots__ = ("name", "code_version", "max_concurrent")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    code_version: str
    max_concurrent: int
    def __init__(self, name: _Optional[str] = ..., code_version: _Optional[str] = ..., max_concurrent: _Optional[int] = ...) -> None: ...

class OpenWorkerResponse(_message.Message):
    __slots__ = ("now_ms", "lease_until_ms", "renew_every_ms", "open_launches", "has_core")
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    RENEW_EVERY_MS_FIELD_NUMBER: _ClassVar[int]
    OPEN_LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    HAS_CORE_FIELD_NUMBER: _ClassVar[int]
    now_ms: int
    lease_until_ms: int
    renew_every_ms: int
    open_launches: _containers.RepeatedCompositeFieldContainer[Assignment]
    has_core: bool
    def __init__(self, now_ms: _Optional[int] = ..., lease_until_ms: _Optional[int] = ..., renew_every_ms: _Optional[int] = ..., open_launches: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ..., has_core: _Optional[bool] = ...) -> None: ...

class ClaimLaunchesRequest(_message.Message):
    __slots__ = ("environment_id", "limit", "wait_ms")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    limit: int
    wait_ms: int
    def __init__(self, environment_id: _Optional[str] = ..., limit: _Optional[int] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class ClaimLaunchesResponse(_message.Message):
    __slots__ = ("assignments",)
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    def __init__(self, assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("launch_id", "instance_id", "workflow", "tenant_id", "checkpoint_id", "queue", "crashes", "timeout_seconds", "is_suspect")
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    CRASHES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    IS_SUSPECT_FIELD_NUMBER: _ClassVar[int]
    launch_id: str
    instance_id: str
    workflow: str
    tenant_id: str
    checkpoint_id: str
    queue: str
    crashes: int
    timeout_seconds: int
    is_suspect: bool
    def __init__(self, launch_id: _Optional[str] = ..., instance_id: _Optional[str] = ..., workflow: _Optional[str] = ..., tenant_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., queue: _Optional[str] = ..., crashes: _Optional[int] = ..., timeout_seconds: _Optional[int] = ..., is_suspect: _Optional[bool] = ...) -> None: ...

class RenewWorkerRequest(_message.Message):
    __slots__ = ("environment_id", "launch_ids")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_IDS_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    launch_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, environment_id: _Optional[str] = ..., launch_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RenewWorkerResponse(_message.Message):
    __slots__ = ("now_ms", "lease_until_ms", "closed", "stops", "drain")
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    STOPS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    now_ms: int
    lease_until_ms: int
    closed: _containers.RepeatedScalarFieldContainer[str]
    stops: _containers.RepeatedCompositeFieldContainer[Stop]
    drain: bool
    def __init__(self, now_ms: _Optional[int] = ..., lease_until_ms: _Optional[int] = ..., closed: _Optional[_Iterable[str]] = ..., stops: _Optional[_Iterable[_Union[Stop, _Mapping]]] = ..., drain: _Optional[bool] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("launch_id", "stop_at_ms", "reason")
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    STOP_AT_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    launch_id: str
    stop_at_ms: int
    reason: str
    def __init__(self, launch_id: _Optional[str] = ..., stop_at_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class ReportLaunchesRequest(_message.Message):
    __slots__ = ("environment_id", "ends")
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    ends: _containers.RepeatedCompositeFieldContainer[LaunchEnd]
    def __init__(self, environment_id: _Optional[str] = ..., ends: _Optional[_Iterable[_Union[LaunchEnd, _Mapping]]] = ...) -> None: ...

class LaunchEnd(_message.Message):
    __slots__ = ("launch_id", "cause", "exit_code", "exit_signal", "error", "cpu_usage_usec")
    LAUNCH_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    EXIT_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CPU_USAGE_USEC_FIELD_NUMBER: _ClassVar[int]
    launch_id: str
    cause: str
    exit_code: int
    exit_signal: int
    error: str
    cpu_usage_usec: int
    def __init__(self, launch_id: _Optional[str] = ..., cause: _Optional[str] = ..., exit_code: _Optional[int] = ..., exit_signal: _Optional[int] = ..., error: _Optional[str] = ..., cpu_usage_usec: _Optional[int] = ...) -> None: ...

class ReportLaunchesResponse(_message.Message):
    __slots__ = ("already_closed",)
    ALREADY_CLOSED_FIELD_NUMBER: _ClassVar[int]
    already_closed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, already_closed: _Optional[_Iterable[str]] = ...) -> None: ...

class CloseWorkerRequest(_message.Message):
    __slots__ = ("environment_id",)
    ENVIRONMENT_ID_FIELD_NUMBER: _ClassVar[int]
    environment_id: str
    def __init__(self, environment_id: _Optional[str] = ...) -> None: ...

class CloseWorkerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PutQueueRequest(_message.Message):
    __slots__ = ("tenant_id", "name", "concurrency", "concurrency_per_worker", "rate", "rate_period_ms")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_PER_WORKER_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    RATE_PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    concurrency: int
    concurrency_per_worker: int
    rate: int
    rate_period_ms: int
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., concurrency: _Optional[int] = ..., concurrency_per_worker: _Optional[int] = ..., rate: _Optional[int] = ..., rate_period_ms: _Optional[int] = ...) -> None: ...

class PutQueueResponse(_message.Message):
    __slots__ = ("created",)
    CREATED_FIELD_NUMBER: _ClassVar[int]
    created: bool
    def __init__(self, created: _Optional[bool] = ...) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class ListQueuesResponse(_message.Message):
    __slots__ = ("queues",)
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    def __init__(self, queues: _Optional[_Iterable[_Union[Queue, _Mapping]]] = ...) -> None: ...

class Queue(_message.Message):
    __slots__ = ("tenant_id", "name", "concurrency", "concurrency_per_worker", "rate", "rate_period_ms", "waiting", "running", "oldest_waiting_ms")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_PER_WORKER_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    RATE_PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    OLDEST_WAITING_MS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    concurrency: int
    concurrency_per_worker: int
    rate: int
    rate_period_ms: int
    waiting: int
    running: int
    oldest_waiting_ms: int
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., concurrency: _Optional[int] = ..., concurrency_per_worker: _Optional[int] = ..., rate: _Optional[int] = ..., rate_period_ms: _Optional[int] = ..., waiting: _Optional[int] = ..., running: _Optional[int] = ..., oldest_waiting_ms: _Optional[int] = ...) -> None: ...

class DeleteQueueRequest(_message.Message):
    __slots__ = ("tenant_id", "name")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class DeleteQueueResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PutLimitRequest(_message.Message):
    __slots__ = ("scope", "tenant_id", "name", "max_concurrent")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    tenant_id: str
    name: str
    max_concurrent: int
    def __init__(self, scope: _Optional[_Union[Scope, str]] = ..., tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., max_concurrent: _Optional[int] = ...) -> None: ...

class PutLimitResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLimitsRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class ListLimitsResponse(_message.Message):
    __slots__ = ("limits",)
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    limits: _containers.RepeatedCompositeFieldContainer[Limit]
    def __init__(self, limits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ...) -> None: ...

class Limit(_message.Message):
    __slots__ = ("scope", "tenant_id", "name", "max_concurrent", "running")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    scope: Scope
    tenant_id: str
    name: str
    max_concurrent: int
    running: int
    def __init__(self, scope: _Optional[_Union[Scope, str]] = ..., tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., max_concurrent: _Optional[int] = ..., running: _Optional[int] = ...) -> None: ...

class PutScheduleRequest(_message.Message):
    __slots__ = ("schedule", "declared_in_code")
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    DECLARED_IN_CODE_FIELD_NUMBER: _ClassVar[int]
    schedule: Schedule
    declared_in_code: bool
    def __init__(self, schedule: _Optional[_Union[Schedule, _Mapping]] = ..., declared_in_code: _Optional[bool] = ...) -> None: ...

class PutScheduleResponse(_message.Message):
    __slots__ = ("created", "declared")
    CREATED_FIELD_NUMBER: _ClassVar[int]
    DECLARED_FIELD_NUMBER: _ClassVar[int]
    created: bool
    declared: str
    def __init__(self, created: _Optional[bool] = ..., declared: _Optional[str] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("tenant_id", "name", "workflow", "image_id", "cron", "time_zone", "overlap", "missing", "duplicate", "catch_up_ms", "jitter_ms", "input", "is_paused", "pause_reason", "code_version", "queue", "priority", "next_tick_ms", "last_tick_ms", "last_instance_id", "problem", "is_declared", "buffered_tick_ms")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    CRON_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_MS_FIELD_NUMBER: _ClassVar[int]
    JITTER_MS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    IS_PAUSED_FIELD_NUMBER: _ClassVar[int]
    PAUSE_REASON_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    NEXT_TICK_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_TICK_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    IS_DECLARED_FIELD_NUMBER: _ClassVar[int]
    BUFFERED_TICK_MS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    workflow: str
    image_id: str
    cron: str
    time_zone: str
    overlap: Overlap
    missing: LocalTimeRule
    duplicate: LocalTimeRule
    catch_up_ms: int
    jitter_ms: int
    input: bytes
    is_paused: bool
    pause_reason: str
    code_version: str
    queue: str
    priority: int
    next_tick_ms: int
    last_tick_ms: int
    last_instance_id: str
    problem: str
    is_declared: bool
    buffered_tick_ms: int
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., workflow: _Optional[str] = ..., image_id: _Optional[str] = ..., cron: _Optional[str] = ..., time_zone: _Optional[str] = ..., overlap: _Optional[_Union[Overlap, str]] = ..., missing: _Optional[_Union[LocalTimeRule, str]] = ..., duplicate: _Optional[_Union[LocalTimeRule, str]] = ..., catch_up_ms: _Optional[int] = ..., jitter_ms: _Optional[int] = ..., input: _Optional[bytes] = ..., is_paused: _Optional[bool] = ..., pause_reason: _Optional[str] = ..., code_version: _Optional[str] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., next_tick_ms: _Optional[int] = ..., last_tick_ms: _Optional[int] = ..., last_instance_id: _Optional[str] = ..., problem: _Optional[str] = ..., is_declared: _Optional[bool] = ..., buffered_tick_ms: _Optional[int] = ...) -> None: ...

class ListSchedulesRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class ListSchedulesResponse(_message.Message):
    __slots__ = ("schedules",)
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[Schedule]
    def __init__(self, schedules: _Optional[_Iterable[_Union[Schedule, _Mapping]]] = ...) -> None: ...

class PauseScheduleRequest(_message.Message):
    __slots__ = ("tenant_id", "name", "pause", "reason")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    pause: bool
    reason: str
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., pause: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class PauseScheduleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TriggerScheduleRequest(_message.Message):
    __slots__ = ("tenant_id", "name")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class TriggerScheduleResponse(_message.Message):
    __slots__ = ("instance_id",)
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    instance_id: str
    def __init__(self, instance_id: _Optional[str] = ...) -> None: ...

class BackfillScheduleRequest(_message.Message):
    __slots__ = ("tenant_id", "name", "from_ms", "until_ms", "dry_run")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    from_ms: int
    until_ms: int
    dry_run: bool
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., from_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class BackfillScheduleResponse(_message.Message):
    __slots__ = ("ticks",)
    TICKS_FIELD_NUMBER: _ClassVar[int]
    ticks: _containers.RepeatedCompositeFieldContainer[ScheduleTick]
    def __init__(self, ticks: _Optional[_Iterable[_Union[ScheduleTick, _Mapping]]] = ...) -> None: ...

class NextTicksRequest(_message.Message):
    __slots__ = ("tenant_id", "name", "limit")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    limit: int
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class NextTicksResponse(_message.Message):
    __slots__ = ("ticks",)
    TICKS_FIELD_NUMBER: _ClassVar[int]
    ticks: _containers.RepeatedCompositeFieldContainer[ScheduleTick]
    def __init__(self, ticks: _Optional[_Iterable[_Union[ScheduleTick, _Mapping]]] = ...) -> None: ...

class ScheduleTick(_message.Message):
    __slots__ = ("tick_ms", "local_time", "instance_id")
    TICK_MS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_TIME_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    tick_ms: int
    local_time: str
    instance_id: str
    def __init__(self, tick_ms: _Optional[int] = ..., local_time: _Optional[str] = ..., instance_id: _Optional[str] = ...) -> None: ...

class DeleteScheduleRequest(_message.Message):
    __slots__ = ("tenant_id", "name")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    name: str
    def __init__(self, tenant_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class DeleteScheduleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AuthenticateRequest(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class AuthenticateResponse(_message.Message):
    __slots__ = ("tenant_id", "role")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    role: str
    def __init__(self, tenant_id: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class RpcError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class RpcRequest(_message.Message):
    __slots__ = ("health_check", "register_image", "register_image_stream", "list_images", "get_image", "delete_image", "start_instance", "stop_instance", "resume_instance", "get_instance_status", "list_instances", "send_signal", "test_capability", "list_agents", "get_capability", "list_checkpoints", "get_checkpoint", "send_custom_signal", "list_events", "get_tenant_metrics", "retry_instance", "fork_instance", "move_instance", "wait_instance", "list_launches", "get_log", "list_environments", "drain_environment", "set_hold", "list_holds", "prune_instances", "delete_instance", "export_instance", "import_instance", "delete_instance_if", "open_worker", "claim_launches", "renew_worker", "report_launches", "close_worker", "put_queue", "list_queues", "delete_queue", "put_limit", "list_limits", "put_schedule", "list_schedules", "pause_schedule", "trigger_schedule", "backfill_schedule", "next_ticks", "delete_schedule", "authenticate")
    HEALTH_CHECK_FIELD_NUMBER: _ClassVar[int]
    REGISTER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    REGISTER_IMAGE_STREAM_FIELD_NUMBER: _ClassVar[int]
    LIST_IMAGES_FIELD_NUMBER: _ClassVar[int]
    GET_IMAGE_FIELD_NUMBER: _ClassVar[int]
    DELETE_IMAGE_FIELD_NUMBER: _ClassVar[int]
    START_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    STOP_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    RESUME_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    GET_INSTANCE_STATUS_FIELD_NUMBER: _ClassVar[int]
    LIST_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    SEND_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TEST_CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    LIST_AGENTS_FIELD_NUMBER: _ClassVar[int]
    GET_CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    LIST_CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    GET_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    SEND_CUSTOM_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    LIST_EVENTS_FIELD_NUMBER: _ClassVar[int]
    GET_TENANT_METRICS_FIELD_NUMBER: _ClassVar[int]
    RETRY_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    FORK_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    MOVE_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    WAIT_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    LIST_LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    GET_LOG_FIELD_NUMBER: _ClassVar[int]
    LIST_ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    SET_HOLD_FIELD_NUMBER: _ClassVar[int]
    LIST_HOLDS_FIELD_NUMBER: _ClassVar[int]
    PRUNE_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    DELETE_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    EXPORT_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    IMPORT_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    DELETE_INSTANCE_IF_FIELD_NUMBER: _ClassVar[int]
    OPEN_WORKER_FIELD_NUMBER: _ClassVar[int]
    CLAIM_LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    RENEW_WORKER_FIELD_NUMBER: _ClassVar[int]
    REPORT_LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    CLOSE_WORKER_FIELD_NUMBER: _ClassVar[int]
    PUT_QUEUE_FIELD_NUMBER: _ClassVar[int]
    LIST_QUEUES_FIELD_NUMBER: _ClassVar[int]
    DELETE_QUEUE_FIELD_NUMBER: _ClassVar[int]
    PUT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    LIST_LIMITS_FIELD_NUMBER: _ClassVar[int]
    PUT_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    LIST_SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    PAUSE_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    NEXT_TICKS_FIELD_NUMBER: _ClassVar[int]
    DELETE_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATE_FIELD_NUMBER: _ClassVar[int]
    health_check: HealthCheckRequest
    register_image: RegisterImageRequest
    register_image_stream: RegisterImageStreamStart
    list_images: ListImagesRequest
    get_image: GetImageRequest
    delete_image: DeleteImageRequest
    start_instance: StartInstanceRequest
    stop_instance: StopInstanceRequest
    resume_instance: ResumeInstanceRequest
    get_instance_status: GetInstanceStatusRequest
    list_instances: ListInstancesRequest
    send_signal: SendSignalRequest
    test_capability: TestCapabilityRequest
    list_agents: ListAgentsRequest
    get_capability: GetCapabilityRequest
    list_checkpoints: ListCheckpointsRequest
    get_checkpoint: GetCheckpointRequest
    send_custom_signal: SendCustomSignalRequest
    list_events: ListEventsRequest
    get_tenant_metrics: GetTenantMetricsRequest
    retry_instance: RetryInstanceRequest
    fork_instance: ForkInstanceRequest
    move_instance: MoveInstanceRequest
    wait_instance: WaitInstanceRequest
    list_launches: ListLaunchesRequest
    get_log: GetLogRequest
    list_environments: ListEnvironmentsRequest
    drain_environment: DrainEnvironmentRequest
    set_hold: SetHoldRequest
    list_holds: ListHoldsRequest
    prune_instances: PruneInstancesRequest
    delete_instance: DeleteInstanceRequest
    export_instance: ExportInstanceRequest
    import_instance: ImportInstanceRequest
    delete_instance_if: DeleteInstanceRequest
    open_worker: OpenWorkerRequest
    claim_launches: ClaimLaunchesRequest
    renew_worker: RenewWorkerRequest
    report_launches: ReportLaunchesRequest
    close_worker: CloseWorkerRequest
    put_queue: PutQueueRequest
    list_queues: ListQueuesRequest
    delete_queue: DeleteQueueRequest
    put_limit: PutLimitRequest
    list_limits: ListLimitsRequest
    put_schedule: PutScheduleRequest
    list_schedules: ListSchedulesRequest
    pause_schedule: PauseScheduleRequest
    trigger_schedule: TriggerScheduleRequest
    backfill_schedule: BackfillScheduleRequest
    next_ticks: NextTicksRequest
    delete_schedule: DeleteScheduleRequest
    authenticate: AuthenticateRequest
    def __init__(self, health_check: _Optional[_Union[HealthCheckRequest, _Mapping]] = ..., register_image: _Optional[_Union[RegisterImageRequest, _Mapping]] = ..., register_image_stream: _Optional[_Union[RegisterImageStreamStart, _Mapping]] = ..., list_images: _Optional[_Union[ListImagesRequest, _Mapping]] = ..., get_image: _Optional[_Union[GetImageRequest, _Mapping]] = ..., delete_image: _Optional[_Union[DeleteImageRequest, _Mapping]] = ..., start_instance: _Optional[_Union[StartInstanceRequest, _Mapping]] = ..., stop_instance: _Optional[_Union[StopInstanceRequest, _Mapping]] = ..., resume_instance: _Optional[_Union[ResumeInstanceRequest, _Mapping]] = ..., get_instance_status: _Optional[_Union[GetInstanceStatusRequest, _Mapping]] = ..., list_instances: _Optional[_Union[ListInstancesRequest, _Mapping]] = ..., send_signal: _Optional[_Union[SendSignalRequest, _Mapping]] = ..., test_capability: _Optional[_Union[TestCapabilityRequest, _Mapping]] = ..., list_agents: _Optional[_Union[ListAgentsRequest, _Mapping]] = ..., get_capability: _Optional[_Union[GetCapabilityRequest, _Mapping]] = ..., list_checkpoints: _Optional[_Union[ListCheckpointsRequest, _Mapping]] = ..., get_checkpoint: _Optional[_Union[GetCheckpointRequest, _Mapping]] = ..., send_custom_signal: _Optional[_Union[SendCustomSignalRequest, _Mapping]] = ..., list_events: _Optional[_Union[ListEventsRequest, _Mapping]] = ..., get_tenant_metrics: _Optional[_Union[GetTenantMetricsRequest, _Mapping]] = ..., retry_instance: _Optional[_Union[RetryInstanceRequest, _Mapping]] = ..., fork_instance: _Optional[_Union[ForkInstanceRequest, _Mapping]] = ..., move_instance: _Optional[_Union[MoveInstanceRequest, _Mapping]] = ..., wait_instance: _Optional[_Union[WaitInstanceRequest, _Mapping]] = ..., list_launches: _Optional[_Union[ListLaunchesRequest, _Mapping]] = ..., get_log: _Optional[_Union[GetLogRequest, _Mapping]] = ..., list_environments: _Optional[_Union[ListEnvironmentsRequest, _Mapping]] = ..., drain_environment: _Optional[_Union[DrainEnvironmentRequest, _Mapping]] = ..., set_hold: _Optional[_Union[SetHoldRequest, _Mapping]] = ..., list_holds: _Optional[_Union[ListHoldsRequest, _Mapping]] = ..., prune_instances: _Optional[_Union[PruneInstancesRequest, _Mapping]] = ..., delete_instance: _Optional[_Union[DeleteInstanceRequest, _Mapping]] = ..., export_instance: _Optional[_Union[ExportInstanceRequest, _Mapping]] = ..., import_instance: _Optional[_Union[ImportInstanceRequest, _Mapping]] = ..., delete_instance_if: _Optional[_Union[DeleteInstanceRequest, _Mapping]] = ..., open_worker: _Optional[_Union[OpenWorkerRequest, _Mapping]] = ..., claim_launches: _Optional[_Union[ClaimLaunchesRequest, _Mapping]] = ..., renew_worker: _Optional[_Union[RenewWorkerRequest, _Mapping]] = ..., report_launches: _Optional[_Union[ReportLaunchesRequest, _Mapping]] = ..., close_worker: _Optional[_Union[CloseWorkerRequest, _Mapping]] = ..., put_queue: _Optional[_Union[PutQueueRequest, _Mapping]] = ..., list_queues: _Optional[_Union[ListQueuesRequest, _Mapping]] = ..., delete_queue: _Optional[_Union[DeleteQueueRequest, _Mapping]] = ..., put_limit: _Optional[_Union[PutLimitRequest, _Mapping]] = ..., list_limits: _Optional[_Union[ListLimitsRequest, _Mapping]] = ..., put_schedule: _Optional[_Union[PutScheduleRequest, _Mapping]] = ..., list_schedules: _Optional[_Union[ListSchedulesRequest, _Mapping]] = ..., pause_schedule: _Optional[_Union[PauseScheduleRequest, _Mapping]] = ..., trigger_schedule: _Optional[_Union[TriggerScheduleRequest, _Mapping]] = ..., backfill_schedule: _Optional[_Union[BackfillScheduleRequest, _Mapping]] = ..., next_ticks: _Optional[_Union[NextTicksRequest, _Mapping]] = ..., delete_schedule: _Optional[_Union[DeleteScheduleRequest, _Mapping]] = ..., authenticate: _Optional[_Union[AuthenticateRequest, _Mapping]] = ...) -> None: ...

class RpcResponse(_message.Message):
    __slots__ = ("health_check", "register_image", "list_images", "get_image", "delete_image", "start_instance", "stop_instance", "resume_instance", "get_instance_status", "list_instances", "send_signal", "test_capability", "list_agents", "error", "get_capability", "list_checkpoints", "get_checkpoint", "send_custom_signal", "list_events", "get_tenant_metrics", "retry_instance", "fork_instance", "move_instance", "wait_instance", "list_launches", "get_log", "list_environments", "drain_environment", "set_hold", "list_holds", "prune_instances", "delete_instance", "export_instance", "import_instance", "delete_instance_if", "open_worker", "claim_launches", "renew_worker", "report_launches", "close_worker", "put_queue", "list_queues", "delete_queue", "put_limit", "list_limits", "put_schedule", "list_schedules", "pause_schedule", "trigger_schedule", "backfill_schedule", "next_ticks", "delete_schedule", "authenticate")
    HEALTH_CHECK_FIELD_NUMBER: _ClassVar[int]
    REGISTER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    LIST_IMAGES_FIELD_NUMBER: _ClassVar[int]
    GET_IMAGE_FIELD_NUMBER: _ClassVar[int]
    DELETE_IMAGE_FIELD_NUMBER: _ClassVar[int]
    START_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    STOP_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    RESUME_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    GET_INSTANCE_STATUS_FIELD_NUMBER: _ClassVar[int]
    LIST_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    SEND_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TEST_CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    LIST_AGENTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    GET_CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    LIST_CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    GET_CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    SEND_CUSTOM_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    LIST_EVENTS_FIELD_NUMBER: _ClassVar[int]
    GET_TENANT_METRICS_FIELD_NUMBER: _ClassVar[int]
    RETRY_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    FORK_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    MOVE_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    WAIT_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    LIST_LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    GET_LOG_FIELD_NUMBER: _ClassVar[int]
    LIST_ENVIRONMENTS_FIELD_NUMBER: _ClassVar[int]
    DRAIN_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    SET_HOLD_FIELD_NUMBER: _ClassVar[int]
    LIST_HOLDS_FIELD_NUMBER: _ClassVar[int]
    PRUNE_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    DELETE_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    EXPORT_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    IMPORT_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    DELETE_INSTANCE_IF_FIELD_NUMBER: _ClassVar[int]
    OPEN_WORKER_FIELD_NUMBER: _ClassVar[int]
    CLAIM_LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    RENEW_WORKER_FIELD_NUMBER: _ClassVar[int]
    REPORT_LAUNCHES_FIELD_NUMBER: _ClassVar[int]
    CLOSE_WORKER_FIELD_NUMBER: _ClassVar[int]
    PUT_QUEUE_FIELD_NUMBER: _ClassVar[int]
    LIST_QUEUES_FIELD_NUMBER: _ClassVar[int]
    DELETE_QUEUE_FIELD_NUMBER: _ClassVar[int]
    PUT_LIMIT_FIELD_NUMBER: _ClassVar[int]
    LIST_LIMITS_FIELD_NUMBER: _ClassVar[int]
    PUT_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    LIST_SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    PAUSE_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    BACKFILL_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    NEXT_TICKS_FIELD_NUMBER: _ClassVar[int]
    DELETE_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATE_FIELD_NUMBER: _ClassVar[int]
    health_check: HealthCheckResponse
    register_image: RegisterImageResponse
    list_images: ListImagesResponse
    get_image: GetImageResponse
    delete_image: DeleteImageResponse
    start_instance: StartInstanceResponse
    stop_instance: StopInstanceResponse
    resume_instance: ResumeInstanceResponse
    get_instance_status: GetInstanceStatusResponse
    list_instances: ListInstancesResponse
    send_signal: SendSignalResponse
    test_capability: TestCapabilityResponse
    list_agents: ListAgentsResponse
    error: RpcError
    get_capability: GetCapabilityResponse
    list_checkpoints: ListCheckpointsResponse
    get_checkpoint: GetCheckpointResponse
    send_custom_signal: SendCustomSignalResponse
    list_events: ListEventsResponse
    get_tenant_metrics: GetTenantMetricsResponse
    retry_instance: RetryInstanceResponse
    fork_instance: ForkInstanceResponse
    move_instance: MoveInstanceResponse
    wait_instance: WaitInstanceResponse
    list_launches: ListLaunchesResponse
    get_log: GetLogResponse
    list_environments: ListEnvironmentsResponse
    drain_environment: DrainEnvironmentResponse
    set_hold: SetHoldResponse
    list_holds: ListHoldsResponse
    prune_instances: PruneInstancesResponse
    delete_instance: DeleteInstanceResponse
    export_instance: ExportInstanceResponse
    import_instance: ImportInstanceResponse
    delete_instance_if: DeleteInstanceResponse
    open_worker: OpenWorkerResponse
    claim_launches: ClaimLaunchesResponse
    renew_worker: RenewWorkerResponse
    report_launches: ReportLaunchesResponse
    close_worker: CloseWorkerResponse
    put_queue: PutQueueResponse
    list_queues: ListQueuesResponse
    delete_queue: DeleteQueueResponse
    put_limit: PutLimitResponse
    list_limits: ListLimitsResponse
    put_schedule: PutScheduleResponse
    list_schedules: ListSchedulesResponse
    pause_schedule: PauseScheduleResponse
    trigger_schedule: TriggerScheduleResponse
    backfill_schedule: BackfillScheduleResponse
    next_ticks: NextTicksResponse
    delete_schedule: DeleteScheduleResponse
    authenticate: AuthenticateResponse
    def __init__(self, health_check: _Optional[_Union[HealthCheckResponse, _Mapping]] = ..., register_image: _Optional[_Union[RegisterImageResponse, _Mapping]] = ..., list_images: _Optional[_Union[ListImagesResponse, _Mapping]] = ..., get_image: _Optional[_Union[GetImageResponse, _Mapping]] = ..., delete_image: _Optional[_Union[DeleteImageResponse, _Mapping]] = ..., start_instance: _Optional[_Union[StartInstanceResponse, _Mapping]] = ..., stop_instance: _Optional[_Union[StopInstanceResponse, _Mapping]] = ..., resume_instance: _Optional[_Union[ResumeInstanceResponse, _Mapping]] = ..., get_instance_status: _Optional[_Union[GetInstanceStatusResponse, _Mapping]] = ..., list_instances: _Optional[_Union[ListInstancesResponse, _Mapping]] = ..., send_signal: _Optional[_Union[SendSignalResponse, _Mapping]] = ..., test_capability: _Optional[_Union[TestCapabilityResponse, _Mapping]] = ..., list_agents: _Optional[_Union[ListAgentsResponse, _Mapping]] = ..., error: _Optional[_Union[RpcError, _Mapping]] = ..., get_capability: _Optional[_Union[GetCapabilityResponse, _Mapping]] = ..., list_checkpoints: _Optional[_Union[ListCheckpointsResponse, _Mapping]] = ..., get_checkpoint: _Optional[_Union[GetCheckpointResponse, _Mapping]] = ..., send_custom_signal: _Optional[_Union[SendCustomSignalResponse, _Mapping]] = ..., list_events: _Optional[_Union[ListEventsResponse, _Mapping]] = ..., get_tenant_metrics: _Optional[_Union[GetTenantMetricsResponse, _Mapping]] = ..., retry_instance: _Optional[_Union[RetryInstanceResponse, _Mapping]] = ..., fork_instance: _Optional[_Union[ForkInstanceResponse, _Mapping]] = ..., move_instance: _Optional[_Union[MoveInstanceResponse, _Mapping]] = ..., wait_instance: _Optional[_Union[WaitInstanceResponse, _Mapping]] = ..., list_launches: _Optional[_Union[ListLaunchesResponse, _Mapping]] = ..., get_log: _Optional[_Union[GetLogResponse, _Mapping]] = ..., list_environments: _Optional[_Union[ListEnvironmentsResponse, _Mapping]] = ..., drain_environment: _Optional[_Union[DrainEnvironmentResponse, _Mapping]] = ..., set_hold: _Optional[_Union[SetHoldResponse, _Mapping]] = ..., list_holds: _Optional[_Union[ListHoldsResponse, _Mapping]] = ..., prune_instances: _Optional[_Union[PruneInstancesResponse, _Mapping]] = ..., delete_instance: _Optional[_Union[DeleteInstanceResponse, _Mapping]] = ..., export_instance: _Optional[_Union[ExportInstanceResponse, _Mapping]] = ..., import_instance: _Optional[_Union[ImportInstanceResponse, _Mapping]] = ..., delete_instance_if: _Optional[_Union[DeleteInstanceResponse, _Mapping]] = ..., open_worker: _Optional[_Union[OpenWorkerResponse, _Mapping]] = ..., claim_launches: _Optional[_Union[ClaimLaunchesResponse, _Mapping]] = ..., renew_worker: _Optional[_Union[RenewWorkerResponse, _Mapping]] = ..., report_launches: _Optional[_Union[ReportLaunchesResponse, _Mapping]] = ..., close_worker: _Optional[_Union[CloseWorkerResponse, _Mapping]] = ..., put_queue: _Optional[_Union[PutQueueResponse, _Mapping]] = ..., list_queues: _Optional[_Union[ListQueuesResponse, _Mapping]] = ..., delete_queue: _Optional[_Union[DeleteQueueResponse, _Mapping]] = ..., put_limit: _Optional[_Union[PutLimitResponse, _Mapping]] = ..., list_limits: _Optional[_Union[ListLimitsResponse, _Mapping]] = ..., put_schedule: _Optional[_Union[PutScheduleResponse, _Mapping]] = ..., list_schedules: _Optional[_Union[ListSchedulesResponse, _Mapping]] = ..., pause_schedule: _Optional[_Union[PauseScheduleResponse, _Mapping]] = ..., trigger_schedule: _Optional[_Union[TriggerScheduleResponse, _Mapping]] = ..., backfill_schedule: _Optional[_Union[BackfillScheduleResponse, _Mapping]] = ..., next_ticks: _Optional[_Union[NextTicksResponse, _Mapping]] = ..., delete_schedule: _Optional[_Union[DeleteScheduleResponse, _Mapping]] = ..., authenticate: _Optional[_Union[AuthenticateResponse, _Mapping]] = ...) -> None: ...
