"""Whom to tell of integrations that are not well."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from cloudsync_pipeline.config.fields import Address, Place, Seconds, Secret, SecretAddress, Section

Conditions = Literal["failed", "held", "partial", "overdue", "unusable"]


def _mailbox(value: str) -> str:
    name, at, domain = value.strip().rpartition("@")
    if not (name and at and domain) or any(ord(char) < 33 or char in '<>,;"' for char in value.strip()):
        raise PydanticCustomError("mailbox", "a mail address like `sync@example.com`")
    return value.strip()


Mailbox = Annotated[str, AfterValidator(_mailbox)]


class WebhookAlerts(Section):
    """An address that takes Slack's JSON."""

    url: SecretAddress = Field(description="the webhook's address, a secret")
    mentions: dict[str, str] = Field(
        default_factory=dict, description="how to call an integration's `owner` there, like `<@U012345>`"
    )
    ca_file: Place | None = Field(None, description="a file of certificates to trust")
    timeout: Seconds = Field(10, description="how long one message may take")


class EmailAlerts(Section):
    """A mail server that sends for us."""

    model_config = ConfigDict(populate_by_name=True)

    host: str = Field(min_length=1, pattern=r"^[A-Za-z0-9.:_-]+$", description="the mail server")
    port: int | None = Field(None, ge=1, le=65535, description="its port; 587 with starttls, 465 with tls, else 25")
    tls: Literal["starttls", "tls", "none"] = Field("starttls", description="how the connection is encrypted")
    user: str | None = Field(None, min_length=1, description="the login's name")
    password: Secret | None = Field(None, description="the login's password")
    sender: Mailbox = Field(alias="from", description="the address that mails come from")
    to: list[Mailbox] = Field(min_length=1, description="a list of addresses that mails go to")
    ca_file: Place | None = Field(None, description="a file of certificates to trust")
    timeout: Seconds = Field(10, description="how long the server may be silent")

    @model_validator(mode="after")
    def _whole(self) -> EmailAlerts:
        if (self.user is None) != (self.password is None):
            raise PydanticCustomError("login", "`user` and `password` together")
        if self.password is not None and self.tls == "none" and self.host not in {"127.0.0.1", "::1", "localhost"}:
            raise PydanticCustomError("login", "`tls: starttls` or `tls: tls` where there is a password")
        return self

    @property
    def at_port(self) -> int:
        """The port, as configured or as usual."""
        return self.port or {"starttls": 587, "tls": 465, "none": 25}[self.tls]


def _all() -> list[Conditions]:
    return list(get_args(Conditions))


class AlertSettings(Section):
    """Who is told, of what."""

    webhook: WebhookAlerts | None = Field(None, description="a webhook that takes Slack's JSON")
    email: EmailAlerts | None = Field(None, description="a mail server, and who gets mail")
    conditions: list[Conditions] = Field(
        default_factory=_all,
        description="what is told: failed, held, partial, overdue, unusable",
    )
    dagster_url: Address | None = Field(None, description="the Dagster web UI, for links to runs")
