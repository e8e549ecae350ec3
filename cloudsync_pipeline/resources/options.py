"""What a person may choose when starting a run by hand."""

from __future__ import annotations

import dagster as dg
from pydantic import Field


class RunOptions(dg.ConfigurableResource):  # type: ignore[type-arg] # it provides itself
    """Choices for one run as a whole.

    A resource rather than the configuration of single assets, since they belong to the run: a dry run whose
    plan is dry, but whose execution was forgotten, would send something.
    """

    dry_run: bool = Field(default=False, description="Show what would be done; store no plan and send nothing.")
    full_scan: bool = Field(
        default=False, description="List the whole bucket first, even in a run that starts at the events."
    )
    approve_plan: str = Field(
        default="",
        description="Approve exactly the deletes that the plan of this id holds (its id stands in the metadata of "
        "state_diff and in `cloudsync plan show`), and send them in this run.",
    )
