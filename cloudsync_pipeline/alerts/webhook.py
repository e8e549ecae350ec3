"""A webhook that takes Slack's JSON: a `text`, and an attachment whose colour says how bad it is.

Slack, "Sending messages using incoming webhooks"; Mattermost, Rocket.Chat and Discord (`/slack`) take the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from yarl import URL

from cloudsync_pipeline.alerts.texts import Message
from cloudsync_pipeline.config.alerting import WebhookAlerts
from cloudsync_pipeline.core.errors import AccessDenied, Rejected, RemoteError, Throttled, Unavailable
from cloudsync_pipeline.transport.failures import retry_after
from cloudsync_pipeline.transport.http import HttpClient
from cloudsync_pipeline.transport.settings import HttpSettings

NAME = "webhook"
_BAD, _GOOD = "#c0392b", "#2e8b57"


class Webhook:
    """Posts messages; see the module's docstring."""

    name = NAME

    def __init__(self, settings: WebhookAlerts) -> None:
        self._settings = settings

    def send(self, message: Message) -> None:
        """Deliver one message: it is when the answer is of the 200s.

        Raises:
            RemoteError: it was not taken. No error shows the address: its path is the secret.
        """
        body = json.dumps(as_slack(message, self._settings.mentions)).encode()
        asyncio.run(self._post(body))

    async def _post(self, body: bytes) -> None:
        seconds = self._settings.timeout
        ca_file = str(self._settings.ca_file) if self._settings.ca_file else None
        http = HttpSettings(connect_timeout=seconds, read_timeout=seconds, ca_file=ca_file)
        headers = {"Content-Type": "application/json"}
        url = URL(self._settings.url.get_secret_value().strip())
        async with HttpClient(http, who="the alerts' webhook") as client:
            sending = client.request("POST", url, headers=headers, data=body, total_timeout=seconds)
            async with sending as answer:
                if answer.status >= 300:
                    raise _refused(answer.status, answer.headers)


def as_slack(message: Message, mentions: Mapping[str, str]) -> dict[str, Any]:
    """The message as JSON; owners are called as `mentions` says."""
    called = [mentions[owner] for owner in message.owners if owner in mentions]
    text = " ".join([*called, _escaped(message.subject)])
    colour = _GOOD if message.good else _BAD
    lines = _escaped("\n".join(message.lines))
    return {"text": text, "attachments": [{"color": colour, "fallback": lines, "text": lines}]}


def _escaped(text: str) -> str:
    # Slack's three; otherwise a file's name could call everybody (`<!channel>`).
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _refused(status: int, headers: Mapping[str, str]) -> RemoteError:
    told = f"The alerts' webhook answered {status}."
    if status in {401, 403, 404, 410}:
        return AccessDenied(told, remedy="Its address has been revoked, perhaps: correct `alerts.webhook.url`.")
    if status == 429:
        return Throttled(told, retry_after=retry_after(headers))
    return Unavailable(told) if status >= 500 else Rejected(told, remedy="Check that it takes Slack's JSON.")
