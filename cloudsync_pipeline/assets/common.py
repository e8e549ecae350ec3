"""What the assets have in common."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

GROUP = "sync"
OWNERS = ["team:data-platform"]

AFTER_EACH_SYNC = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=30), fail_window=timedelta(hours=2))
"""Dagster looks at an asset as a whole: this fails when no integration is synced any more. See the check `overdue`."""
AFTER_EACH_SCAN = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=50))
