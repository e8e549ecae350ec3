"""The one integration that environment variables describe where there is no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudsync_pipeline.config.document import Document
from cloudsync_pipeline.core.errors import ConfigError
from cloudsync_pipeline.core.names import check_name

LABEL = "the environment"
DEFAULT_NAME = "default"


def integration_name(environ: Mapping[str, str]) -> str:
    """`CUSTOMER_ID`, or `default`.

    Raises:
        ConfigError: it cannot name an integration.
    """
    name = environ.get("CUSTOMER_ID") or DEFAULT_NAME
    try:
        return check_name(name)
    except ConfigError as error:
        raise ConfigError(f"CUSTOMER_ID: {error.message}", remedy=error.remedy) from error


def settings_document(environ: Mapping[str, str]) -> Document:
    """The main file that the variables stand for."""
    database = _given(environ, path="DATABASE_PATH")
    logging = _given(environ, level="LOG_LEVEL")
    api = _given(environ, keys="API_KEYS")
    return Document(LABEL, {"database": database, "logging": logging, "api": api})


def integration_document(environ: Mapping[str, str], looked_for: str) -> Document:
    """The integration's file that the variables stand for.

    Args:
        environ: a variable that is empty counts as not set.
        looked_for: the main file that is not there, for the error.

    Raises:
        ConfigError: names every variable that is missing.
    """
    url = next((name for name in ("FILE_MANAGER_API_URL", "MOCK_API_URL") if environ.get(name)), None)
    missing = [] if environ.get("CUSTOMER_S3_BUCKET") else ["CUSTOMER_S3_BUCKET"]
    if url is None:
        missing.append("FILE_MANAGER_API_URL")
    if bool(environ.get("CUSTOMER_S3_ACCESS_KEY")) != bool(environ.get("CUSTOMER_S3_SECRET_KEY")):
        missing += [name for name in ("CUSTOMER_S3_ACCESS_KEY", "CUSTOMER_S3_SECRET_KEY") if not environ.get(name)]
    if missing:
        raise ConfigError(
            f"there is no {looked_for}, and to describe an integration by environment variables alone, "
            f"these are missing: {', '.join(missing)}.",
            remedy=(
                "Set them (and CUSTOMER_S3_ENDPOINT for a storage that is not Amazon's, CUSTOMER_S3_ACCESS_KEY and "
                "CUSTOMER_S3_SECRET_KEY unless this machine has credentials), or write that file, "
                "or name another in CLOUDSYNC_CONFIG."
            ),
        )
    keys = {"access_key": "CUSTOMER_S3_ACCESS_KEY", "secret_key": "CUSTOMER_S3_SECRET_KEY"}
    credentials = _given(environ, **keys)
    storage = _given(environ, endpoint="CUSTOMER_S3_ENDPOINT", bucket="CUSTOMER_S3_BUCKET", region="CUSTOMER_S3_REGION")
    content: dict[str, Any] = {
        "storage": {"type": "s3", **storage, "credentials": credentials},
        "file_manager": {"type": "http_api", "url": f"${{{url}}}"},
        "feed": {"type": "http"},
        "sync": _given(environ, interval="SYNC_INTERVAL"),
        "destination_prefix": "",
    }
    return Document(LABEL, content)


def _given(environ: Mapping[str, str], **variables: str) -> dict[str, str]:
    """References to those variables that are set, so that errors name the variable and never show its text."""
    return {key: f"${{{name}}}" for key, name in variables.items() if environ.get(name)}
