"""E-mail by a mail server (SMTP): with STARTTLS by default, a login where one is configured."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from cloudsync_pipeline.alerts.texts import Message
from cloudsync_pipeline.config.alerting import EmailAlerts
from cloudsync_pipeline.core.errors import (
    AccessDenied,
    ConfigError,
    Rejected,
    RemoteError,
    TlsFailed,
    Unavailable,
    Unreachable,
)

NAME = "email"


class Mail:
    """Sends messages; see the module's docstring."""

    name = NAME

    def __init__(self, settings: EmailAlerts) -> None:
        self._settings = settings

    def send(self, message: Message) -> None:
        """Deliver one message: it is when the server takes it for every recipient.

        Raises:
            RemoteError: it was not taken.
            ConfigError: the file of certificates cannot be used.
        """
        settings = self._settings
        where = f"the mail server {settings.host}:{settings.at_port}"
        context = self._context()
        try:
            with self._connect(context) as server:
                if settings.tls == "starttls":
                    server.starttls(context=context)
                if settings.user and settings.password:
                    server.login(settings.user, settings.password.get_secret_value())
                refused = server.send_message(self._mail(message))
        except smtplib.SMTPAuthenticationError as error:
            raise AccessDenied(
                f"{where} does not accept the login ({error.smtp_code}).", remedy="Correct `alerts.email`."
            ) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Rejected(
                f"{where} lacks what is configured: {error}", remedy="Correct `alerts.email.tls`."
            ) from error
        except smtplib.SMTPRecipientsRefused as error:
            raise Rejected(f"{where} refuses every recipient.", remedy="Correct `alerts.email.to`.") from error
        except smtplib.SMTPResponseException as error:
            raise _answered(where, error.smtp_code) from error
        except ssl.SSLError as error:
            raise TlsFailed(f"{where}: no trusted connection ({error.reason or error}).") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(f"{where} cannot be reached, or hung up ({type(error).__name__}).") from error
        if refused:
            raise Rejected(f"{where} refuses {', '.join(refused)}.", remedy="Correct `alerts.email.to`.")

    def _connect(self, context: ssl.SSLContext) -> smtplib.SMTP:
        settings = self._settings
        if settings.tls == "tls":
            return smtplib.SMTP_SSL(settings.host, settings.at_port, timeout=settings.timeout, context=context)
        return smtplib.SMTP(settings.host, settings.at_port, timeout=settings.timeout)

    def _context(self) -> ssl.SSLContext:
        ca_file = self._settings.ca_file
        try:
            return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except OSError as error:
            raise ConfigError(
                f"alerts.email.ca_file: the file {ca_file} cannot be used: {error.strerror or error}.",
                remedy="Name a file of PEM certificates.",
            ) from error

    def _mail(self, message: Message) -> EmailMessage:
        settings = self._settings
        mail = EmailMessage()
        mail["Subject"] = message.subject
        mail["From"] = settings.sender
        mail["To"] = ", ".join(settings.to)
        mail["Date"] = formatdate(localtime=False)
        mail["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
        # Answers of absent people to a machine help nobody (RFC 3834).
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n".join(message.lines) + "\n")
        return mail


def _answered(where: str, code: int) -> RemoteError:
    if 400 <= code < 500:
        return Unavailable(f"{where} cannot take mail now ({code}).")
    return Rejected(f"{where} refuses the mail ({code}).", remedy="Check `alerts.email`, the sender above all.")
