"""What the server is made of, and how its parts fit together; nothing in here opens anything."""

from dependency_injector import containers, providers

from runtara_domain.activity import Activity
from runtara_domain.sessions import Places
from runtara_domain.system_clock import SystemClock
from runtara_domain.use_cases.checkpoints import GetCheckpoint, SaveCheckpoint
from runtara_domain.use_cases.core import Core
from runtara_domain.use_cases.events import Heartbeat, RecordEvent
from runtara_domain.use_cases.instances import GetInstanceStatus, RegisterInstance
from runtara_migrations import location
from runtara_persistence.connect import backend
from runtara_persistence.sqlite.persistence import SqlitePersistence
from runtara_server.config import Settings
from runtara_server.router import Router


class Container(containers.DeclarativeContainer):
    """Every part once, built when first asked for; `runtime` opens those with a lifetime."""

    settings = providers.Dependency(instance_of=Settings)
    clock = providers.Singleton(SystemClock)

    persistence = providers.Selector(
        providers.Callable(backend, settings.provided.database_url),
        sqlite=providers.Singleton(
            SqlitePersistence,
            providers.Callable(location.parse, settings.provided.database_url).provided.path,
        ),
    )
    places = providers.Singleton(Places, settings.provided.max_concurrent_instances)
    activity = providers.Singleton(Activity, persistence.provided.instances, clock)

    core = providers.Singleton(
        Core,
        places=places,
        register_instance=providers.Singleton(
            RegisterInstance, persistence.provided.instances, clock
        ),
        get_instance_status=providers.Singleton(
            GetInstanceStatus, persistence.provided.instances, activity
        ),
        save_checkpoint=providers.Singleton(
            SaveCheckpoint, persistence.provided.checkpoints, activity, clock
        ),
        get_checkpoint=providers.Singleton(
            GetCheckpoint, persistence.provided.checkpoints, activity
        ),
        record_event=providers.Singleton(RecordEvent, persistence.provided.events, clock),
        heartbeat=providers.Singleton(Heartbeat, persistence.provided.instances, activity),
    )
    router = providers.Singleton(Router, core)
