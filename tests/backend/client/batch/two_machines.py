"""A Ray cluster of two machines' daemons on this one, for tests and the rehearsal in ``tests/soak``."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

TOYS = "tests.backend.client.batch.toys:run"
REPOSITORY = Path(__file__).parents[4]
STORE_BYTES = 100 << 20  # of each machine's objects
QUICKLY = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 10_000,
    "health_check_failure_threshold": 4,
}
"""A machine that is gone refuses four checks in two seconds; one that is slow has ten for each."""


class TwoMachines(AbstractContextManager["TwoMachines", None]):
    """Two machines of so many CPUs each; ``ray://auto`` is their cluster, and so is ``client`` where asked for."""

    def __init__(self, diary: Path, cpus: int = 1, client_port: int | None = None) -> None:
        self._diary = diary
        self._cpus = cpus
        self._port = client_port
        self._before: dict[str, str | None] = {}
        self._cluster: Any = None
        self._second: Any = None
        self._folder = ""

    def __enter__(self) -> TwoMachines:
        self._folder = tempfile.mkdtemp(prefix="r-")  # not pytest's: a socket's path has 107 characters at most
        self._set("RAY_TMPDIR", self._folder)
        self._set("RAY_USAGE_STATS_ENABLED", "0")
        self._set("PYTHONPATH", os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH", "")))))
        self._set("FLOWFACE_TEST_DIARY", str(self._diary))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._cluster is not None:
            self._cluster.shutdown()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        from ray.cluster_utils import Cluster

        machine = {"num_cpus": self._cpus, "object_store_memory": STORE_BYTES, "include_log_monitor": False}
        head = {**machine, "include_dashboard": False, "no_monitor": True, "_system_config": QUICKLY}
        if self._port is not None:
            head["ray_client_server_port"] = self._port
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._second = self._cluster.add_node(**machine)
        self._set("RAY_ADDRESS", self._cluster.address)

    def kill_one(self) -> None:
        """Kill the machine that is not the cluster's head, without a word to anybody."""
        if self._second is not None:
            self._cluster.remove_node(self._second, allow_graceful=False)
            self._second = None

    def diary(self) -> list[str]:
        """The clips in the order in which work on them was begun, again and again where it was."""
        return self._diary.read_text().splitlines() if self._diary.exists() else []

    def _set(self, name: str, value: str) -> None:
        self._before.setdefault(name, os.environ.get(name))
        os.environ[name] = value
