"""The numbers of the protocol, and the words for them."""

from runtara_protocol.pb.instance_pb2 import InstanceStatus as WireStatus
from runtara_protocol.pb.instance_pb2 import SignalType as WireSignalType
from runtara_sdk.records import InstanceStatus, SignalType

STATUSES = {
    WireStatus.STATUS_UNKNOWN: InstanceStatus.UNKNOWN,
    WireStatus.STATUS_PENDING: InstanceStatus.PENDING,
    WireStatus.STATUS_RUNNING: InstanceStatus.RUNNING,
    WireStatus.STATUS_SUSPENDED: InstanceStatus.SUSPENDED,
    WireStatus.STATUS_COMPLETED: InstanceStatus.COMPLETED,
    WireStatus.STATUS_FAILED: InstanceStatus.FAILED,
    WireStatus.STATUS_CANCELLED: InstanceStatus.CANCELLED,
}

SIGNALS = {
    WireSignalType.SIGNAL_CANCEL: SignalType.CANCEL,
    WireSignalType.SIGNAL_PAUSE: SignalType.PAUSE,
    WireSignalType.SIGNAL_RESUME: SignalType.RESUME,
}
