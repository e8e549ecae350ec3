"""Dagster resources: how assets, checks, sensors and schedules reach configuration, both ends, and state.

A resource keeps the path of the configuration and nothing else; it opens what it is asked for, for one
integration, and closes it again. Which implementation that is, a fake among them, is chosen by configuration.
"""

from cloudsync_pipeline.resources.ends import EventFeedResource, FileManagerResource, StorageResource
from cloudsync_pipeline.resources.fleet import FleetResource
from cloudsync_pipeline.resources.options import RunOptions
from cloudsync_pipeline.resources.session import SessionResource
from cloudsync_pipeline.resources.state import ControlResource, LakeResource

__all__ = [
    "FleetResource",
    "StorageResource",
    "FileManagerResource",
    "EventFeedResource",
    "LakeResource",
    "ControlResource",
    "SessionResource",
    "RunOptions",
]
