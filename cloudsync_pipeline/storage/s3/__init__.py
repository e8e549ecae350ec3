"""S3 and what speaks like it: listing, HEAD and GET over aiohttp; never a write."""

from cloudsync_pipeline.storage.s3.settings import S3Settings
from cloudsync_pipeline.storage.s3.storage import S3Storage

__all__ = ["S3Settings", "S3Storage"]
