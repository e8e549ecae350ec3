"""What the demonstration found, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudsync_pipeline.cli import render

if TYPE_CHECKING:
    from cloudsync_pipeline.demo.story import Outcome, Told


def show(outcome: Outcome) -> None:
    """Print the whole outcome."""
    render.say()
    _operations(outcome)
    for one in outcome.told:
        render.say()
        _integration(one)
    render.say()
    if outcome.folder is not None:
        render.say(f"data, state and logs are kept in {outcome.folder}")
    verdict = "everything is in step" if outcome.ok else "SOMETHING IS WRONG, see above"
    render.say(f"{verdict}; it took {render.duration(outcome.seconds)}")


def _operations(outcome: Outcome) -> None:
    rows: list[tuple[object, ...]] = []
    for one in outcome.told:
        for run, known in one.runs:
            if known is None:
                rows.append((one.integration, run.job, run.run_id, "no result", None, None, run.seconds))
                continue
            done = render.counted(known.done)
            rows.append(
                (one.integration, run.job, run.run_id, known.verdict, done, render.size(known.bytes), known.seconds)
            )
    render.table(("integration", "job", "Dagster run", "verdict", "operations done", "sent", "seconds"), rows)


def _integration(one: Told) -> None:
    if (compared := one.compared) is None:
        render.say(f"{one.integration}: was not compared")
        return
    render.say(
        f"{one.integration}: {compared.equal:,} files, {render.size(compared.bytes)}, are byte for byte those of the "
        f"bucket; {len(compared.differing)} differ"
    )
    for path, what in sorted(compared.differing.items())[:20]:
        render.say(f"  DIFFERENT  {render.printable(path)}: {what}")
    for path, why in sorted(one.quarantined.items()):
        render.say(f"  quarantined  {render.printable(path)}: {render.printable(why)}")
    for what, problem in one.checks.items():
        render.say(f"  ok  {what}" if problem is None else f"  FAILED  {what}: {render.printable(problem)}")
    if one.rclone is not None:
        render.say(f"  {'ok' if one.rclone == 0 else 'FAILED'}  rclone check: {one.rclone} differences")
