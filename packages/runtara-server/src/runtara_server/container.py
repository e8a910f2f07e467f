"""Builds the server from its parts; nothing is opened here."""

import secrets

from dependency_injector import containers, providers

from runtara_domain.activity import Activity
from runtara_domain.held_sleeps import HeldSleeps
from runtara_domain.sessions import InstanceSlots
from runtara_domain.system_clock import SystemClock
from runtara_domain.use_cases.checkpoints import (
    GetCheckpoint,
    ListCheckpoints,
    RecordRetryAttempt,
    SaveCheckpoint,
)
from runtara_domain.use_cases.core import Core
from runtara_domain.use_cases.events import Heartbeat, RecordEvent, RecordEvents
from runtara_domain.use_cases.instances import (
    CancelChild,
    GetInstanceStatus,
    RegisterInstance,
    StartChild,
    StartChildren,
)
from runtara_domain.use_cases.signals import AcknowledgeSignal, PollSignals
from runtara_domain.use_cases.sleep import SleepDurably
from runtara_domain.waits import Waits
from runtara_migrations import location
from runtara_persistence.connect import backend, postgres, sqlite
from runtara_server.config import Settings
from runtara_server.operations import router


def _token() -> str:
    """Name this server as one of those that hold the core's claims."""
    return f"core/{secrets.token_hex(16)}"


class Container(containers.DeclarativeContainer):
    """Every part once, built when first asked for; `runtime` opens those with a lifetime."""

    settings = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)

    persistence = providers.Selector(
        providers.Callable(backend, settings.provided.database_url),
        postgres=providers.Singleton(
            postgres,
            settings.provided.database_url,
            migrates=True,
            pool_size=settings.provided.db_pool_size,
        ),
        sqlite=providers.Singleton(
            sqlite,
            providers.Callable(location.parse, settings.provided.database_url).provided.path,
        ),
    )
    slots = providers.Singleton(InstanceSlots, settings.provided.max_concurrent_instances)
    activity = providers.Singleton(Activity, persistence.provided.instances, clock)
    waits = providers.Singleton(Waits, persistence.provided.watch, clock)
    held_sleeps = providers.Singleton(
        HeldSleeps,
        providers.Callable(_token),
        persistence.provided.claims,
        waits,
        clock,
    )

    instances = persistence.provided.instances
    claims = persistence.provided.claims
    checkpoints = persistence.provided.checkpoints
    events = persistence.provided.events
    signals = persistence.provided.signals

    core = providers.Singleton(
        Core,
        slots=slots,
        register_instance=providers.Singleton(RegisterInstance, instances, slots, waits, clock),
        get_instance_status=providers.Singleton(GetInstanceStatus, instances, activity),
        start_child=providers.Singleton(StartChild, instances, activity, clock),
        start_children=providers.Singleton(StartChildren, instances, activity, clock),
        cancel_child=providers.Singleton(CancelChild, instances, signals, activity, clock),
        save_checkpoint=providers.Singleton(SaveCheckpoint, checkpoints, activity, clock),
        get_checkpoint=providers.Singleton(GetCheckpoint, checkpoints, instances, activity),
        list_checkpoints=providers.Singleton(ListCheckpoints, checkpoints, activity),
        record_retry_attempt=providers.Singleton(RecordRetryAttempt, checkpoints, clock),
        sleep=providers.Singleton(
            SleepDurably, checkpoints, claims, signals, waits, held_sleeps, clock
        ),
        record_event=providers.Singleton(RecordEvent, events, waits, clock),
        record_events=providers.Singleton(RecordEvents, events, instances, waits, activity, clock),
        heartbeat=providers.Singleton(Heartbeat, instances, activity, clock),
        poll_signals=providers.Singleton(PollSignals, signals, waits, activity, clock),
        acknowledge_signal=providers.Singleton(AcknowledgeSignal, signals, waits, activity, clock),
    )
    router = providers.Singleton(router, core)
