"""After a restore: the file manager is asked what it holds before anything is planned."""

from __future__ import annotations

import logging

from cloudsync_pipeline.core.rules import DeletePolicy
from cloudsync_pipeline.engine.session import Session
from cloudsync_pipeline.engine.verify import BATCH, ask, listed
from cloudsync_pipeline.lake import restored
from cloudsync_pipeline.lake.restored import Adopted
from cloudsync_pipeline.lake.verifying import Answers

log = logging.getLogger(__name__)


async def adopt_restored(session: Session, *, run_id: str) -> Adopted | None:
    """Hold a restored lake, into which a full scan was just merged, against the file manager; None for any other.

    Files that hold their object are taken as they are; what differs is owed. A file manager that can list is listed;
    one that can be asked is asked about every path that is known or owed; one that tells nothing gets everything again.

    Raises:
        RemoteError: the file manager stopped answering; nothing was concluded, and the next sync asks again.
    """
    lake, abilities = session.lake, session.file_manager.capabilities
    if restored.read_mark(lake) is None:
        return None
    keep = session.policy.deletes is DeletePolicy.KEEP
    if not abilities.list and not abilities.probe:
        found = restored.doubt_everything(lake, run_id, keep_deleted=keep, now=session.clock())
    else:
        answers = Answers(lake.folder / "tmp")
        try:
            if abilities.list:
                await listed(session, answers)
            else:
                await _asked(session, answers)
            answers.complete()
            found = restored.adopt(
                lake,
                run_id,
                answers,
                whole=abilities.list,
                keep_deleted=keep,
                learn=abilities.permissions and session.policy.read_permissions,
                now=session.clock(),
            )
        finally:
            answers.close()
    log.warning(
        "%s: the restored state was held against the file manager: %d files as known, %d hold their object by now, "
        "%d are sent again, %d are gone, %d appeared without an object and are quarantined",
        session.integration,
        found.as_known,
        found.adopted,
        found.changed,
        found.missing,
        found.doubtful,
    )
    return found


async def _asked(session: Session, answers: Answers) -> None:
    after: str | None = None
    while paths := restored.paths_to_ask(session.lake, after=after, limit=BATCH):
        await ask(session, answers, paths)
        after = paths[-1]
