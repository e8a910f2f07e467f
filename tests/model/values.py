"""The values of the state machines' steps: few enough to meet again."""

from datetime import timedelta

from hypothesis import strategies as st
from tests.support.clock import START

from runtara_domain.model import Ending, EventFilter, EventType, InstanceFilter
from runtara_domain.status import FINAL, InstanceStatus, State

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)

# Two are running at first, one is pending, one is unknown.
names = st.sampled_from(["a", "a", "a", "b", "p", "n"])
# Children of those; one of them has no parent yet.
kids = st.sampled_from(["k", "k", "l", "n"])
ages = st.sampled_from([0, 0, 0, None, -1, 1])
mortals = st.sampled_from(["b", "p", "n"])
tenants = st.sampled_from(["t", "t", "t", "u"])
workflows = st.sampled_from(["orders", "mail"])
checkpoints = st.sampled_from(["c", "d", "c::retry::x"])
payloads = st.sampled_from([b"", b"1", b"\xff\x00", b"x" * 65_537])
small = st.sampled_from([b"", b"1", b"\xff"])
durations = st.sampled_from([SECOND, SECOND, HOUR, timedelta(0), timedelta(days=70_000)])
reasons = st.sampled_from([None, None, None, "changed"])
waits = st.sampled_from([None, None, "[]", '[{"kind": "sleep"}]'])
keeps_running = st.sampled_from([False, False, True])
spans = st.sampled_from([timedelta(milliseconds=1), SECOND, 31 * SECOND, HOUR])
tokens = st.sampled_from(["server/1", "server/2", "environment"])
limits = st.sampled_from([1, 2, 100])
moments = st.none() | spans.map(lambda span: START + span)
endings = st.one_of(
    st.builds(Ending, st.just(State.COMPLETED), output=small),
    st.builds(Ending, st.just(State.FAILED), error=st.sampled_from(["", "broken"])),
)
finals = endings | st.builds(
    Ending,
    st.sampled_from(sorted(FINAL)),
    output=st.none() | small,
    error=st.none() | st.just("killed"),
    stderr=st.none() | st.just("Traceback"),
    memory_peak_bytes=st.none() | st.just(2**40),
    cpu_usage_usec=st.none() | st.just(0),
)
chosen_instances = st.builds(
    InstanceFilter,
    st.none() | tenants,
    st.none() | st.sampled_from(InstanceStatus),
    workflow=st.none() | workflows,
    parent_id=st.none() | names,
    blocked=st.booleans(),
)
chosen_events = st.builds(
    EventFilter,
    names,
    st.none() | st.sampled_from(EventType),
    st.sampled_from([None, None, "", "s"]),
    moments,
    moments,
    st.sampled_from([None, None, "", "1"]),
)
