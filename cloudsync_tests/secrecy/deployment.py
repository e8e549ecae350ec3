"""A deployment with secrets of every kind that works and fails in every way, and all that it leaves behind."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import sqlalchemy as sa
from starlette.testclient import TestClient

from cloudsync_pipeline.api.app import create_app
from cloudsync_pipeline.api.keys import hash_of
from cloudsync_pipeline.definitions import assemble
from cloudsync_pipeline.devserver import DevServer
from cloudsync_tests.alerts.receivers import Hook
from cloudsync_tests.cli.builders import Place, a_place, forget_logging
from cloudsync_tests.e2e.builders import HTTP_FEED, Bucket
from cloudsync_tests.secrecy.planted import SECRETS, Remains
from cloudsync_tests.servers import unused_port
from cloudsync_tests.vaults.conftest import Vault

LOGGING = "logging: {file: logs/sync.log, level: DEBUG, format: json}\n"


@dataclass
class Planted:
    """A fleet, and runs of it in one Dagster instance; whatever is said goes to `remains`."""

    place: Place
    instance: dg.DagsterInstance
    remains: Remains

    @classmethod
    def new(cls, folder: Path, instance: dg.DagsterInstance, remains: Remains) -> Planted:
        """An empty one in a new folder."""
        folder.mkdir()
        return cls(a_place(folder), instance, remains)

    @property
    def vault(self) -> Path:
        return self.place.folder.parent / f"{self.place.folder.name}-vault"

    def put(self, name: str, text: str) -> None:
        """Write or replace a secret's file."""
        self.vault.mkdir(exist_ok=True)
        (self.vault / name).write_text(f"{text}\n")

    def run(self, job: str, name: str) -> bool:
        """A job in this process, as Dagster runs it; whether it succeeded."""
        self.instance.add_dynamic_partitions("integrations", [name])
        result = (
            assemble(str(self.place.config))
            .resolve_job_def(job)
            .execute_in_process(instance=self.instance, partition_key=name, raise_on_error=False)
        )
        self.remains.add(f"events of Dagster: {name}", "\n".join(map(repr, result.all_events)))
        return result.success

    def command(self, *command: str, json: bool = True) -> int:
        """A command as it shows everything, for people and as JSON."""
        code = 0
        for more in [(), ("--json",)] if json else [()]:
            try:
                ran = self.place.run(*command, *more, whole=("--debug",))
            finally:
                forget_logging()
            assert ran.code != 2, ran.err
            code = code or ran.code
            self.remains.add(f"cloudsync {command[0]} {' '.join(more)}".strip(), ran.out + ran.err)
        return code

    def asked(self, client: TestClient, method: str, path: str, key: str, **request: Any) -> int:
        """The status of a call of the API, whose answer is kept."""
        answer = client.request(method, path, headers={"Authorization": f"Bearer {key}"}, **request)
        self.remains.add(
            "answers of the API", f"{method} {path} {answer.status_code} {answer.headers}\n{answer.text}\n"
        )
        return int(answer.status_code)

    def ask_everything(self, name: str) -> None:
        """Every call of the API, with a good key and with a wrong one."""
        app = create_app(self.place.config, local_only=False)
        with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
            for template, calls in client.get("/openapi.json").json()["paths"].items():
                path = re.sub("{.*?}", name, template)
                for method in calls:
                    body = {} if method == "get" else {"json": {"integration": name, "plan_id": "x"}}
                    assert self.asked(client, method.upper(), path, SECRETS["key of the API"], **body) < 600
                    self.asked(client, method.upper(), path, SECRETS["wrong key of the API"], **body)


def configure_files(
    planted: Planted, bucket: Bucket, server: DevServer, hooks: tuple[Hook, Hook], database: sa.URL, mail: str
) -> None:
    """Secrets in files: one integration that works, and one for every way in which a login is wrong."""
    place = planted.place
    alerts, reports = (hook.url.rpartition("/")[0] + "/" for hook in hooks)
    for name, text in {
        "token": SECRETS["bearer token"],
        "wrong-token": SECRETS["wrong bearer token"],
        "basic": SECRETS["password of a basic login"],
        "in-address": quote(SECRETS["password in an address"], safe=""),
        "wrong-key": SECRETS["wrong secret key of the storage"],
        "database": database.render_as_string(hide_password=False),
        "alerts": alerts + SECRETS["address of the alerts' webhook"],
        "reports": reports + SECRETS["address that results are reported to"],
        "mail": SECRETS["password of the mail server"],
        "queue": f"amqp://guest:{quote(SECRETS['password of the message queue'], safe='')}@127.0.0.1:5672/",
    }.items():
        planted.put(name, text)
    place.config.write_text(
        f"database: {{path: state, url: '${{secret:database}}'}}\n"
        f"secrets: {{folder: {planted.vault}}}\n{LOGGING}"
        "queue: {url: '${secret:queue}', name: secrecy}\n"
        f"api: {{keys: [{{name: all, hash: '{hash_of(SECRETS['key of the API'])}', scopes: [admin]}}], burst: 1000}}\n"
        f"alerts: {{webhook: {{url: '${{secret:alerts}}'}}, email: {{{mail}, password: '${{secret:mail}}'}}}}\n"
    )
    at = f"type: http_api, url: '{server.url}'"
    away = f"type: http_api, url: 'http://127.0.0.1:{unused_port()}'"
    login = "auth: {type: bearer, token: '${secret:token}'}"
    storage = bucket.as_yaml()
    good = f"file_manager: {{{at}, {login}, reporting_url: '${{secret:reports}}'}}\n"
    ways = {
        "good": storage + good + HTTP_FEED,
        "token": storage + good.replace("secret:token", "secret:wrong-token"),
        "basic": storage
        + f"file_manager: {{{at}, auth: {{type: basic, username: sync, password: '${{secret:basic}}'}}}}\n",
        "login": storage + "file_manager: {type: http_api, url: 'http://sync:${secret:in-address}@127.0.0.1:1'}\n",
        "away": storage + f"file_manager: {{{away}, auth: {{type: bearer, token: '${{PLANTED_TOKEN}}'}}}}\n",
        "key": storage.replace(bucket.server.secret_key, "${secret:wrong-key}") + good,
    }
    for name, text in ways.items():
        place.integration(name, text)


def configure_secrets_manager(planted: Planted, bucket: Bucket, server: DevServer, vault: Vault) -> None:
    """Secrets in Secrets Manager: one integration that works, and one whose secret is not there."""
    planted.place.config.write_text(f"database: {{path: state}}\n{vault.section(ttl='1h')}{LOGGING}")
    vault.put("storage", json.dumps({"secret": SECRETS["field of a secret in Secrets Manager"]}))
    vault.put("token", SECRETS["token from Secrets Manager"])
    storage = bucket.as_yaml().replace(bucket.server.secret_key, "${secret:storage#secret}")
    login = "auth: {type: bearer, token: '${secret:token}'}"
    target = f"file_manager: {{type: http_api, url: '{server.url}', {login}}}\n"
    planted.place.integration("vaulted", storage + target)
    planted.place.integration("missing", storage + target.replace("secret:token", "secret:nowhere"))
