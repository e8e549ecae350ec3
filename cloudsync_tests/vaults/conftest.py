"""Secrets Manager, as moto has it, with secrets of one test."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from cloudsync_tests.servers import S3Server, unused_port


@dataclass
class Vault:
    """Secrets below a prefix that no other test has."""

    endpoint: str
    client: Any = field(repr=False)
    prefix: str = field(default_factory=lambda: f"t-{uuid.uuid4().hex[:8]}/")

    def put(self, name: str, text: str) -> None:
        """Create a secret, or rotate it."""
        try:
            self.client.create_secret(Name=self.prefix + name, SecretString=text)
        except self.client.exceptions.ResourceExistsException:
            self.client.put_secret_value(SecretId=self.prefix + name, SecretString=text)

    def section(self, *, ttl: str = "5m", endpoint: str | None = None) -> str:
        """The section `secrets` of a main file."""
        where = f"region: eu-central-1, endpoint: '{endpoint or self.endpoint}', prefix: {self.prefix}"
        return f"secrets: {{type: aws, {where}, ttl: {ttl}}}\n"

    def nowhere(self) -> str:
        """The section of a service that is not there."""
        return self.section(endpoint=f"http://127.0.0.1:{unused_port()}")


@pytest.fixture
def vault(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """An empty vault, and credentials to ask it with."""
    for name, value in (("AWS_ACCESS_KEY_ID", "vault"), ("AWS_SECRET_ACCESS_KEY", "vault")):
        monkeypatch.setenv(name, value)
    return Vault(moto.endpoint, boto3.client("secretsmanager", endpoint_url=moto.endpoint, region_name="eu-central-1"))
