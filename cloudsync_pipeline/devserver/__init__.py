"""A small file manager of its own, speaking the HTTP file-manager API: content on disk, index in SQLite.

It promises more than that API does: a put is atomic and durable once acknowledged, internal ids survive
update, move and restart, any text is a path, and it lists, reads back and hashes what it holds.
Run it with `python -m cloudsync_pipeline.devserver --root DIR`; start it from Python with `running(DIR)`.
It imports nothing else of this project.
"""

from cloudsync_pipeline.devserver.app import create_app
from cloudsync_pipeline.devserver.process import DevServer, launch, running
from cloudsync_pipeline.devserver.serving import serve
from cloudsync_pipeline.devserver.settings import Settings

__all__ = ["DevServer", "Settings", "create_app", "launch", "running", "serve"]
