"""The one partition dimension, and the tags by which runs are told apart."""

from __future__ import annotations

import dagster as dg

INTEGRATIONS = "integrations"
"""Name of the dynamic partition in a Dagster instance; its keys are the integrations' names."""

integrations = dg.DynamicPartitionsDefinition(name=INTEGRATIONS)

PARTITION_TAG = "dagster/partition"
"""Dagster's own; `dagster.yaml` lets one run at a time have each value."""

KIND_TAG = "cloudsync/kind"
"""Why a run exists: initial, reconcile, incremental or maintenance."""

SCAN_TAG = "cloudsync/scan"
"""Only on runs that list a whole bucket; `dagster.yaml` limits how many of them run at once."""

VERDICT_TAG = "cloudsync/verdict"
"""How a sync ended (`engine.results.Verdict`), set when it is reported."""
