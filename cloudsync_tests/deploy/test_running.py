"""Every service of ours in docker-compose.yml, started by its own command: together they work, on PostgreSQL.

One whole is started for all tests here, and ended service by service by the last of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import httpx
import pytest
import sqlalchemy as sa
from dagster._core.scheduler.instigation import TickStatus

from cloudsync_pipeline import wiring
from cloudsync_pipeline.config import load_fleet
from cloudsync_tests.alerts.receivers import PASSWORD, Hook, Inbox, mail_server
from cloudsync_tests.api.builders import KEYS, SYNCER
from cloudsync_tests.cli.builders import Place, a_place
from cloudsync_tests.control.postgres import ask_for_password, postgres
from cloudsync_tests.deploy.containers import SERVICES, Container, Host
from cloudsync_tests.devserver.certificates import Authority
from cloudsync_tests.house.root import ROOT
from cloudsync_tests.queue.rabbitmq import Queues, queues
from cloudsync_tests.servers import unused_port

OURS = ("consumer", "api", "webserver", "daemon", "code")
"""Those that need another one come before it."""
WORKING = ("one", "two")


@dataclass
class Whole:
    """All of it: the services by name, and what they work on."""

    services: dict[str, Container]
    ports: dict[str, int]
    place: Place
    instance: dg.DagsterInstance
    control: sa.Engine
    hook: Hook
    mails: Inbox
    queue: Queues

    def runs(self, job: str, *statuses: dg.DagsterRunStatus) -> dict[str, str]:
        """Run ids by integration, of a job's runs that stand so."""
        found = self.instance.get_runs(dg.RunsFilter(job_name=job, statuses=statuses))
        return {run.tags["dagster/partition"]: run.run_id for run in found}

    def until(self, what: Callable[[], object]) -> None:
        """Wait for something, while every service lives."""
        deadline = time.monotonic() + 300
        while not what():
            for one in self.services.values():
                assert one.process.poll() is None, f"{one.name} ended:\n{one.log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, self.services["daemon"].log.read_text()[-4000:]
            time.sleep(0.2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Started, but for the daemon."""
    folder = tmp_path_factory.mktemp("containers")
    names = ("postgres", "code", "webserver", "api")
    ports = {name: unused_port() for name in names}
    with ExitStack() as stack:
        server = stack.enter_context(postgres(ports["postgres"]))
        (folder / "postgres-password").write_text("sesame\n")
        control = _databases(server)
        ask_for_password(server, "dagster")
        stack.callback(control.dispose)
        hook, queue = Hook(), stack.enter_context(queues())
        stack.callback(hook.close)
        authority = Authority(folder)
        mails, port = stack.enter_context(mail_server(*authority.issue("mail")))
        mail = f"host: 127.0.0.1, port: {port}, ca_file: {authority.certificate}, user: sync, password: {PASSWORD}, "
        mail += "from: sync@example.com, to: [ops@example.com]"
        (folder / "config").mkdir()
        place = _configured(folder / "config", control.url, hook, mail, queue)
        host = Host(
            folder,
            {
                "/opt/dagster": str(folder / "dagster"),
                "/etc/cloudsync": str(place.folder),
                "/tmp/consumer": str(folder / "consumer"),
                "0.0.0.0": "127.0.0.1",
                "4000": str(ports["code"]),
                "3000": str(ports["webserver"]),
                "8080": str(ports["api"]),
                "/run/secrets/postgres_password": str(folder / "postgres-password"),
            },
            # What the image says, where the database is, and that a busy machine takes its time to load the code.
            {
                "DAGSTER_HOME": str(folder / "dagster"),
                "DAGSTER_POSTGRES_HOST": "127.0.0.1",
                "DAGSTER_GRPC_TIMEOUT_SECONDS": "250",
            },
        )
        _instance(folder, ports)
        services: dict[str, Container] = {}

        def start(name: str) -> Container:
            services[name] = one = host.start(name)
            stack.callback(one.kill)
            return one

        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in {**SERVICES["code"]["environment"], **host.environment}.items():
            patch.setenv(name, host.here(value))
        with wiring.open_control(load_fleet(place.config).settings):
            """Its tables are there."""
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(folder / "dagster")))
        start("code").wait(ports["code"])
        for name in ("webserver", "api", "consumer", "daemon"):
            start(name)
        whole = Whole(services, ports, place, instance, control, hook, mails, queue)
        yield whole


def _databases(server: sa.URL) -> sa.Engine:
    """Dagster's database and ours."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in (
            "CREATE ROLE dagster LOGIN SUPERUSER PASSWORD 'sesame'",
            "CREATE DATABASE dagster",
            "CREATE DATABASE fleet",
        ):
            connection.execute(sa.text(statement))
    engine.dispose()
    return sa.create_engine(server.set(database="fleet"))


def _configured(folder: Path, control: sa.URL, hook: Hook, mail: str, queue: Queues) -> Place:
    """Two integrations that work, and two whose files cannot be used."""
    url = control.set(drivername="postgresql").render_as_string(hide_password=False)
    place = a_place(folder)
    place.config.write_text(
        f"database: {{path: state, url: '{url}'}}\n"
        f"alerts: {{webhook: {{url: '{hook.url}'}}, email: {{{mail}}}}}\n"
        f"queue: {{url: '{queue.url}', name: {queue.name}}}\n"
        f"api: {{keys: '{KEYS}'}}\n"
        "defaults: {sync: {interval: 1h}}\n"
    )
    for name in WORKING:
        place.local(name, {"a.txt": "alpha", "folder/b.txt": name})
    for name in ("broken", "hopeless"):
        place.integration(name, "storage: {type: nonsense}\n")
    return place


def _instance(folder: Path, ports: dict[str, int]) -> None:
    """The image's /opt/dagster, with this machine's places."""
    (folder / "dagster").mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        text = (ROOT / "deploy" / "dagster" / name).read_text()
        text = text.replace("port: 5432", f"port: {ports['postgres']}").replace(
            "/var/log/dagster", str(folder / "logs")
        )
        text = text.replace("host: code", "host: 127.0.0.1").replace("port: 4000", f"port: {ports['code']}")
        (folder / "dagster" / name).write_text(text)
    # As in the image, for whoever is not root.
    (folder / "dagster").chmod(0o555)


def test_several_integrations_run_at_once(whole: Whole) -> None:
    # No run can record its result before the lock is gone: until then, all of them are under way.
    with whole.control.begin() as connection:
        connection.execute(sa.text("LOCK TABLE run_results IN SHARE ROW EXCLUSIVE MODE"))
        whole.until(lambda: set(whole.runs("initial_sync", dg.DagsterRunStatus.STARTED)) == set(WORKING))
    whole.until(lambda: set(whole.runs("initial_sync", dg.DagsterRunStatus.SUCCESS)) == set(WORKING))
    for name in WORKING:
        assert whole.place.files(name) == {"a.txt": "alpha", "folder/b.txt": name}
    # Where the machine is slow, the upkeep that is due once an hour has begun too.
    assert whole.instance.get_runs_count(dg.RunsFilter(job_name="initial_sync")) == len(WORKING)
    # Dagster's folder can be a mount that is read-only: it makes these two for telemetry, and goes on where it cannot.
    home = {file.name for file in (whole.place.folder.parent / "dagster").iterdir()} - {"logs", ".logs_queue"}
    assert home == {"dagster.yaml", "workspace.yaml"}


def test_the_web_ui_shows_what_dagster_keeps_in_postgresql(whole: Whole) -> None:
    whole.services["webserver"].wait()
    question = {"query": "{ runsOrError { ... on Runs { results { runId status jobName } } } }"}
    answer = httpx.post(f"http://127.0.0.1:{whole.ports['webserver']}/graphql", json=question, timeout=60).json()
    shown = {run["runId"]: run["status"] for run in answer["data"]["runsOrError"]["results"]}
    expected = whole.runs("initial_sync", dg.DagsterRunStatus.SUCCESS)
    assert {run_id: shown.get(run_id) for run_id in expected.values()} == dict.fromkeys(expected.values(), "SUCCESS")


def test_what_the_api_and_the_queue_are_asked_for_is_run(whole: Whole) -> None:
    for name in ("api", "consumer"):
        whole.services[name].wait()
    whole.until(whole.queue.made)
    whole.queue.send('{"type": "reconcile", "integration": "two"}')
    (whole.place.folder / "one-source" / "c.txt").write_text("gamma")
    answer = httpx.post(
        f"http://127.0.0.1:{whole.ports['api']}/sync/reconcile",
        json={"integration": "one"},
        headers={"Authorization": f"Bearer {SYNCER}"},
        timeout=300,
    )
    assert answer.status_code == 202, answer.text
    whole.until(lambda: set(whole.runs("reconcile", dg.DagsterRunStatus.SUCCESS)) == set(WORKING))
    assert whole.runs("reconcile")["one"] == answer.json()["run_id"]
    assert whole.place.files("one")["c.txt"] == "gamma"


def test_the_daemon_s_ticks_tell_of_each_change_once_by_webhook_and_by_mail(whole: Whole) -> None:
    def told() -> tuple[list[str], list[str]]:
        return sorted(whole.hook.texts), sorted(mail["Subject"] for mail in whole.mails.got)

    unusable = ["cloudsync: broken is unusable", "cloudsync: hopeless is unusable"]
    whole.until(lambda: min(map(len, told())) >= 2)
    assert told() == (unusable, unusable)
    whole.place.local("broken", {"a.txt": "alpha"})
    whole.until(lambda: min(map(len, told())) > 2)
    # The other one is unusable still, and nothing was said of it by the tick that told of this one.
    after = [unusable[0], "cloudsync: broken is well again", unusable[1]]
    assert told() == (after, after)
    assert whole.mails.recipients == [["ops@example.com"]] * 3
    [sensor] = [one for one in whole.instance.all_instigator_state() if one.instigator_name == "alerts"]
    ticks = whole.instance.get_ticks(sensor.instigator_origin_id, sensor.selector_id)
    assert len([tick for tick in ticks if tick.status is TickStatus.SKIPPED]) >= 2


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_watched_and_ends_when_it_is_told_to(whole: Whole, name: str) -> None:
    service = whole.services[name]
    service.wait()

    assert service.stop() in {0, 143, -15}
    assert "Traceback" not in service.log.read_text().rpartition("Started")[2]

    if name == "consumer":
        os.utime(whole.services[name].log.parent / "consumer", (0, 0))
    # Dagster's own check takes a daemon for alive as long as its last sign of life is not half an hour old.
    if name != "daemon":
        assert not service.healthy()
