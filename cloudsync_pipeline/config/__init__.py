"""What a person configured: `load_fleet` reads it, from files or from the environment, without any network."""

from cloudsync_pipeline.config.fleet import FILE_NAME, FILE_VARIABLE, Fleet, load_fleet
from cloudsync_pipeline.config.integration import IntegrationConfig
from cloudsync_pipeline.config.settings import Settings

__all__ = ["FILE_NAME", "FILE_VARIABLE", "Fleet", "IntegrationConfig", "Settings", "load_fleet"]
