"""What an integration's configuration puts on its runs, so that they can be found by it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudsync_pipeline.config import IntegrationConfig

OWNER_TAG = "cloudsync/owner"
"""Who answers for the run's integration."""

LABELS = "cloudsync.tag"
"""Namespace of the integration's own labels: Dagster allows a tag's name one slash."""

_LONGEST = 63


def run_tags(config: IntegrationConfig) -> dict[str, str]:
    """Tags of an integration's runs: its owner, and its labels as `cloudsync.tag/<label>`.

    Dagster's names have letters, digits, `_`, `-` and `.`, at most 63: anything else of a label becomes `_`.
    """
    owner = {OWNER_TAG: config.owner} if config.owner else {}
    return owner | {f"{LABELS}/{_allowed(label)}": text for label, text in config.tags.items()}


def _allowed(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", label)[:_LONGEST] or "_"
