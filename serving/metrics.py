"""The numbers for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Generator

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from persistence.database import Unavailable
from persistence.gauges import gauges
from persistence.supervisor import FAILURES
from schema.edge.http import Connections
from serving.parts import Parts


class Failures(Collector):
    """How often each background task has failed and gone on."""

    def collect(self) -> Generator[Metric]:
        """The counts as they are now."""
        counter = CounterMetricFamily(
            "lifeos_background_failures", "How often a task in the background failed, and went on.", labels=["task"]
        )
        for name, count in sorted(FAILURES.items()):
            counter.add_metric([name], count)
        yield counter


class Metrics:
    """The numbers of this process, and those that the database knows."""

    def __init__(self, parts: Parts) -> None:
        self.registry = CollectorRegistry()
        self._database = parts.database
        self.connections: Connections | None = None
        """Of the site, once there is one."""
        local: dict[str, tuple[str, Callable[[], float]]] = {
            "steps_owned": ("Steps that this process runs now.", lambda: parts.engine.running),
            "timeline_followers": ("Subscriptions to timelines here.", lambda: parts.timeline.followers),
            "approvals_followers": ("Subscriptions to approvals here.", lambda: parts.approvals_feed.followers),
            "sockets_open": ("WebSockets that are served here.", lambda: self._open("sockets")),
            "streams_open": ("Event streams that are served here.", lambda: self._open("streams")),
            "wakeups_published": ("Notifications sent by this process.", lambda: parts.wakeups.published),
            "wakeups_failed": ("Notifications that could not be sent.", lambda: parts.wakeups.failed),
            "loop_lag_seconds": (
                "Longest hold-up of the loop in the last minute.",
                lambda: parts.lag.worst_seconds,
            ),
        }
        for name, (text, value) in local.items():
            Gauge(f"lifeos_{name}", text, registry=self.registry).set_function(value)
        self.registry.register(Failures())
        self._shared = {
            name: Gauge(f"lifeos_{name}", text, registry=self.registry)
            for name, text in {
                "ready": "Steps that wait for a worker.",
                "running": "Steps that run anywhere.",
                "dead_letters": "Steps that wait for a person to retry them.",
                "approvals_open": "Approvals that wait for a person.",
                "runs_queued": "Runs that wait to be planned.",
                "workers_alive": "Processes that run steps.",
            }.items()
        }

    def _open(self, kind: str) -> int:
        return 0 if self.connections is None else self.connections.open[kind]

    async def refresh(self) -> bool:
        """Ask the database; False when it is away."""
        try:
            found = await gauges(self._database)
        except Unavailable:
            return False
        for name, value in found.items():
            self._shared[name].set(value)
        return True
