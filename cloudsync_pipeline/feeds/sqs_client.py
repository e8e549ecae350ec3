"""The calls of Amazon SQS that a feed needs: botocore in threads, with errors of ours."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cloudsync_pipeline.core.errors import BadAnswer, ConfigError, Unavailable
from cloudsync_pipeline.core.retry import delay_before
from cloudsync_pipeline.feeds.sqs_errors import sqs_error
from cloudsync_pipeline.transport.aws_keys import AwsCredentials
from cloudsync_pipeline.transport.settings import HttpSettings, tls_context

BATCH = 10
"""Most messages one call receives or deletes."""
PARALLEL = 8
"""Calls in flight at once."""
_DELETE_ATTEMPTS = 3
_AMAZON = re.compile(r"sqs(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?|([a-z0-9-]+)\.queue\.amazonaws\.com")
_EXPIRED = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"})


@dataclass(frozen=True, slots=True)
class SqsSettings:
    """One queue, and how to read it.

    Attributes:
        queue_url: as Amazon shows it; that of another server says where it is.
        region: for the signature; by default the one in the URL, else the profile's or the environment's.
        endpoint: address of the server where it is another one than the URL says, such as a VPC endpoint.
        credentials: where the keys come from.
        wait: seconds that a call waits for a first message (long polling), 0 to 20. Without waiting, Amazon asks
            only some of its servers, and may find nothing where there is something.
        visibility_timeout: seconds after which a message that a dead process had received comes again.
        page_size: most entries of one page.
        attempts: tries of one call, by botocore.
        http: how to connect; client certificates are not used.

    Raises:
        ConfigError: a value cannot be used.
    """

    queue_url: str
    region: str | None = None
    endpoint: str | None = None
    credentials: AwsCredentials = field(default_factory=AwsCredentials)
    wait: int = 1
    visibility_timeout: int = 120
    page_size: int = 500
    attempts: int = 3
    http: HttpSettings = field(default_factory=HttpSettings)

    def __post_init__(self) -> None:
        url = urlsplit(self.queue_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.username is not None or len(url.path) < 2:
            # The text itself is not shown: people do put credentials into URLs.
            raise ConfigError(
                "queue_url is no address of a queue",
                remedy="Write it like https://sqs.eu-central-1.amazonaws.com/123456789012/name.",
            )
        if self.credentials.anonymous:
            raise ConfigError("a queue cannot be read anonymously", remedy="Give the feed credentials.")
        limits = {"wait": (0, 20), "visibility_timeout": (1, 43_200), "page_size": (1, 5000), "attempts": (1, 10)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name} is {getattr(self, name)}", remedy=f"Give a number from {least} to {most}.")

    @property
    def address(self) -> str | None:
        """Where the server is; None for Amazon's own in the region."""
        url = urlsplit(self.queue_url)
        if self.endpoint is not None or _AMAZON.fullmatch(url.hostname or ""):
            return self.endpoint
        return f"{url.scheme}://{url.netloc}"

    @property
    def region_in_url(self) -> str | None:
        """The region that Amazon's own addresses name."""
        found = _AMAZON.fullmatch(urlsplit(self.queue_url).hostname or "")
        return (found[1] or found[2]) if found else None


@dataclass(frozen=True, slots=True)
class Message:
    """A message as received.

    Attributes:
        message_id: the same at each delivery of it.
        receipt: what this delivery is deleted by; of several, the newest counts.
    """

    message_id: str
    receipt: str
    body: str


class SqsClient:
    """See the module's docstring. Nothing is connected before the first call."""

    def __init__(self, settings: SqsSettings) -> None:
        self._settings = settings
        self._opening = threading.Lock()
        self._client: Any = None

    async def receive(self, count: int) -> list[Message]:
        """At most `count` messages, up to `BATCH`; none where the queue holds none that are visible."""
        answer = await self._call(
            "receive_message",
            "receiving from",
            MaxNumberOfMessages=min(count, BATCH),
            WaitTimeSeconds=self._settings.wait,
            VisibilityTimeout=self._settings.visibility_timeout,
        )
        return [Message(m["MessageId"], m["ReceiptHandle"], m["Body"]) for m in answer.get("Messages", ())]

    async def delete(self, receipts: Sequence[str]) -> None:
        """Delete messages; one whose receipt is no longer good is left, and comes again.

        Raises:
            Unavailable: some could not be deleted, also when they were tried again.
        """
        left = list(receipts)
        for attempt in range(1, _DELETE_ATTEMPTS + 1):
            if attempt > 1:
                await asyncio.sleep(delay_before(attempt, jitter=0.5))
            left = await self._in_batches("delete_message_batch", "deleting from", left)
            if not left:
                return
        raise Unavailable(
            f"{len(left)} messages could not be deleted from queue {self._settings.queue_url}; they come again",
            remedy="Nothing is lost: what they say is recorded.",
        )

    async def release(self, receipts: Sequence[str]) -> None:
        """Let messages be seen again at once, instead of when their visibility timeout is over."""
        await self._in_batches(
            "change_message_visibility_batch", "releasing messages of", receipts, VisibilityTimeout=0
        )

    async def describe(self) -> None:
        """Ask for the queue's name and nothing else."""
        await self._call("get_queue_attributes", "asking for", AttributeNames=["QueueArn"])

    async def count(self) -> int:
        """About how many messages the queue holds, whether they are visible now or not.

        Raises:
            BadAnswer: the answer holds no numbers.
        """
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = await self._call("get_queue_attributes", "asking for", AttributeNames=names)
        try:
            return sum(int(answer["Attributes"][name]) for name in names)
        except (KeyError, TypeError, ValueError) as error:
            raise BadAnswer(f"queue {self._settings.queue_url} does not say how many messages it holds") from error

    async def close(self) -> None:
        """Release connections; a second call does nothing."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close)

    async def _in_batches(self, action: str, doing: str, receipts: Sequence[str], **each: Any) -> list[str]:
        """Call an action on all of them. Returns those that failed by no fault of theirs."""
        gate = asyncio.Semaphore(PARALLEL)

        async def one(batch: Sequence[str]) -> list[str]:
            by_id = {str(number): receipt for number, receipt in enumerate(batch)}
            entries = [{"Id": name, "ReceiptHandle": receipt, **each} for name, receipt in by_id.items()]
            async with gate:
                answer = await self._call(action, doing, Entries=entries)
            settled = {done["Id"] for done in answer.get("Successful", ())}
            settled |= {failed["Id"] for failed in answer.get("Failed", ()) if _is_expired(failed)}
            return [receipt for name, receipt in by_id.items() if name not in settled]

        # All of them end before an error is told, so that none goes on behind a closed client.
        answers = await asyncio.gather(*map(one, _batches(receipts)), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [receipt for answer in answers if not isinstance(answer, BaseException) for receipt in answer]

    async def _call(self, action: str, doing: str, **arguments: Any) -> Mapping[str, Any]:
        what = f"{doing} queue {self._settings.queue_url}"

        def in_thread() -> Mapping[str, Any]:
            call: Callable[..., Mapping[str, Any]] = getattr(self._opened(), action)
            return call(QueueUrl=self._settings.queue_url, **arguments)

        try:
            answer = await asyncio.to_thread(in_thread)
        except (ClientError, BotoCoreError) as error:
            raise sqs_error(error, what=what) from error
        except ValueError as error:
            # Botocore's own for an endpoint that is no URL.
            raise ConfigError(f"{what}: its address cannot be used", remedy="Check queue_url and endpoint.") from error
        kind = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("content-type", "")
        if "json" not in kind:
            # Botocore takes a page of HTML for an answer in which nothing stands.
            raise BadAnswer(f"{what}: the answer is {kind or 'of no type'}, not JSON", remedy="Check queue_url.")
        return answer

    def _opened(self) -> Any:
        with self._opening:
            if self._client is None:
                self._client = self._connected()
            return self._client

    def _connected(self) -> Any:
        settings = self._settings
        keys, http = settings.credentials, settings.http
        # Botocore would tell of a file that it cannot use as of a broken connection.
        tls_context(http)
        session = botocore.session.Session(profile=keys.profile)
        config = Config(
            connect_timeout=http.connect_timeout,
            read_timeout=http.read_timeout + settings.wait,
            max_pool_connections=PARALLEL,
            retries={"total_max_attempts": settings.attempts, "mode": "standard"},
            proxies=None if http.trust_env else {},
        )
        return session.create_client(
            "sqs",
            region_name=settings.region
            or settings.region_in_url
            or session.get_config_variable("region")
            or ("us-east-1" if settings.address else None),
            endpoint_url=settings.address,
            verify=(http.ca_file or True) if http.verify_tls else False,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.session_token,
            config=config,
        )


def _batches(receipts: Sequence[str]) -> Iterable[Sequence[str]]:
    return (receipts[start : start + BATCH] for start in range(0, len(receipts), BATCH))


def _is_expired(failed: Mapping[str, Any]) -> bool:
    """Whether its visibility timeout was over before we came to it: another delivery has another receipt."""
    return str(failed.get("Code", "")).rpartition(".")[2] in _EXPIRED
