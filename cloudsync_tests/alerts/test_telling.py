"""People are told of what is wrong, once, by every channel that can, and when it is over."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from cloudsync_pipeline import wiring
from cloudsync_pipeline.alerts import mail, texts
from cloudsync_pipeline.alerts.changes import changes
from cloudsync_pipeline.alerts.conditions import Condition
from cloudsync_pipeline.control import Told
from cloudsync_pipeline.core.errors import TlsFailed
from cloudsync_tests.alerts.conftest import Alerted
from cloudsync_tests.alerts.receivers import PASSWORD, PATH


def test_a_failure_is_told_once_by_both_and_its_end_too(alerted: Alerted) -> None:
    alerted.add("photos", extra="owner: the photo team\n")
    alerted.ended("photos", verdict="failed", error="photos: The key <!channel> expired.\nRenew it.")
    first = alerted.round()
    assert {name: one.told for name, one in first.items()} == {"webhook": ("photos",), "email": ("photos",)}
    assert {name: one.told for name, one in alerted.round().items()} == {"webhook": (), "email": ()}
    alerted.ended("photos", verdict="in_sync")
    alerted.round(after=600)
    alerted.round()

    bad, good = alerted.hook.got
    assert bad["text"] == "<!subteam^S1> cloudsync: photos is failed"
    told = bad["attachments"][0]["text"]
    assert "reason: photos: The key &lt;!channel&gt; expired. Renew it." in told
    assert "paths: 3 owed, 1 quarantined, 0 deletes held" in told
    assert "run: https://dagster.example.com/runs/run-" in told
    assert good["text"] == "<!subteam^S1> cloudsync: photos is well again"
    assert "over: failed, after 12 min" in good["attachments"][0]["text"]

    assert [one["Subject"] for one in alerted.inbox.got] == [
        "cloudsync: photos is failed",
        "cloudsync: photos is well again",
    ]
    assert alerted.inbox.recipients[0] == ["ops@example.com", "lead@example.com"]
    assert (alerted.inbox.got[0]["From"], alerted.inbox.got[0]["Auto-Submitted"]) == (
        "sync@example.com",
        "auto-generated",
    )
    assert "owner: the photo team" in alerted.inbox.got[0].get_content()


def test_each_condition_is_told(alerted: Alerted) -> None:
    alerted.add("held", "partial", "late", "broken")
    alerted.ended("held", verdict="held", held=7)
    alerted.ended("partial", verdict="partial", errors=[{"error": "too long a name"}])
    alerted.ended("late", verdict="in_sync")
    alerted.place.integration("broken", "nonsense: 1\n")
    # Three intervals of five minutes without a sync.
    alerted.ended("held", verdict="held", held=7)
    alerted.round()
    assert sorted(alerted.hook.texts) == [
        "cloudsync: broken is unusable",
        "cloudsync: held is held",
        "cloudsync: partial is partial",
    ]
    alerted.round(after=1000)
    assert sorted(alerted.hook.texts[3:]) == [
        "cloudsync: held is overdue and held",
        "cloudsync: late is overdue",
        "cloudsync: partial is overdue and partial",
    ]
    texts = [one["attachments"][0]["text"] for one in alerted.hook.got]
    assert any("cloudsync plan approve" in text and "7 deletes held" in text for text in texts)
    assert any("unknown key" in text for text in texts)
    assert any("reason: too long a name" in text for text in texts)


def test_a_file_that_was_never_usable_is_told_of_and_that_it_is_now(alerted: Alerted) -> None:
    alerted.place.integration("new", "nonsense: 1\n")
    for _ in range(2):
        alerted.round()
    assert alerted.hook.texts == ["cloudsync: new is unusable"]
    alerted.place.local("new")
    for _ in range(2):
        alerted.round()
    assert alerted.hook.texts[1:] == ["cloudsync: new is well again"]


def test_what_a_channel_could_not_deliver_it_tells_later_and_the_other_does_not_wait(alerted: Alerted) -> None:
    alerted.add("photos")
    alerted.ended("photos", verdict="failed")
    alerted.hook.status = 503
    outcomes = alerted.round()
    assert outcomes["webhook"].told == ()
    assert "answered 503" in str(outcomes["webhook"].error)
    assert outcomes["email"].told == ("photos",)
    alerted.hook.status = 200
    alerted.round()
    alerted.round()
    assert len(alerted.hook.got) == len(alerted.inbox.got) == 1


def test_a_channel_that_hangs_ends_no_round_late_and_tells_nothing_twice(alerted: Alerted) -> None:
    alerted.add("photos")
    alerted.ended("photos", verdict="failed")
    alerted.hook.open.clear()
    began = time.monotonic()
    outcomes = alerted.round(within=0.5)
    assert time.monotonic() - began < 10
    assert "longer" in str(outcomes["webhook"].error)
    assert "still busy" in str(alerted.round(within=0.5)["webhook"].error)
    alerted.hook.open.set()
    deadline = time.monotonic() + 20
    while not (stored := _told(alerted, "webhook")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [one.condition for one in stored] == ["failed"]
    alerted.round()
    assert len(alerted.hook.got) == len(alerted.inbox.got) == 1


def test_a_storage_that_goes_down_is_one_message(alerted: Alerted) -> None:
    names = [f"n{number:02}" for number in range(40)]
    alerted.add(*names)
    alerted.ended(*names, verdict="failed", error="no connection")
    assert alerted.round()["webhook"].told == tuple(names)
    [message] = alerted.hook.got
    assert message["text"] == "cloudsync: 40 integrations are not well, 0 are well again"
    assert "n00 is failed" in message["attachments"][0]["text"]
    assert "and 10 more" in message["attachments"][0]["text"]
    assert alerted.round()["webhook"].told == ()


def test_while_a_run_is_at_it_nothing_is_told_and_a_pause_is_no_recovery(alerted: Alerted) -> None:
    alerted.add("photos")
    alerted.ended("photos", verdict="failed")
    alerted.round()
    with wiring.open_control(alerted.load().settings) as control:
        control.record_start("photos", run_id="next", mode="incremental", at=alerted.at)
    alerted.round(after=7200)
    assert len(alerted.hook.got) == 1
    alerted.ended("photos", verdict="failed")
    with wiring.open_control(alerted.load().settings) as control:
        control.pause("photos", "holidays")
    alerted.round()
    assert len(alerted.hook.got) == 1
    assert _told(alerted, "webhook") == []
    with wiring.open_control(alerted.load().settings) as control:
        control.resume("photos", now=alerted.at)
    alerted.round()
    assert alerted.hook.texts[1:] == ["cloudsync: photos is failed"]


def test_runs_that_never_end_are_told_of_as_overdue_and_what_was_wrong_is_so_still(alerted: Alerted) -> None:
    alerted.add("photos")
    alerted.ended("photos", verdict="partial")
    alerted.round()
    # Each one is killed before its end: the next begins an hour later.
    for number in range(7):
        assert len(alerted.hook.got) == 1
        with wiring.open_control(alerted.load().settings) as control:
            control.record_start("photos", run_id=f"killed-{number}", mode="incremental", at=alerted.at)
        alerted.round(after=3600)
    assert alerted.hook.texts[1:] == ["cloudsync: photos is overdue and partial"]
    assert "partial: still" in alerted.hook.got[1]["attachments"][0]["text"]
    alerted.round()
    alerted.ended("photos", verdict="in_sync")
    alerted.round()
    assert alerted.hook.texts[2:] == ["cloudsync: photos is well again"]


def test_only_what_is_wanted_is_news() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    state = {"a": {Condition.PARTIAL: at, Condition.OVERDUE: at}}
    assert changes(state, [], ["failed"]) == []
    [one] = changes(state, [], ["overdue", "failed"])
    assert (list(one.begun), one.recovered) == ([Condition.OVERDUE], False)
    [now] = changes(state, [Told("a", "webhook", "failed", at, at)], ["overdue", "failed"])
    assert (list(now.begun), list(now.over), now.recovered) == ([Condition.OVERDUE], [Condition.FAILED], False)


def test_no_error_shows_the_hook_or_the_password(alerted: Alerted) -> None:
    alerted.add("photos")
    alerted.ended("photos", verdict="failed")
    text = alerted.place.config.read_text()
    alerted.place.config.write_text(text.replace(PATH, f"{PATH}-revoked").replace(PASSWORD, f"{PASSWORD}-wrong"))
    errors = {name: str(one.error) for name, one in alerted.round().items()}
    assert "alerts.webhook.url" in errors["webhook"]
    assert "does not accept the login (535)" in errors["email"]
    alerted.hook.close()
    errors |= {f"{name} again": str(one.error) for name, one in alerted.round().items()}
    assert "hook-that" not in str(errors)
    assert "mail-password" not in str(errors)
    ran = alerted.place.run("alerts", "test", "--json")
    assert ran.code == 6
    assert "hook-that" not in ran.out + ran.err
    assert "mail-password" not in ran.out + ran.err


def test_a_mail_server_without_a_trusted_certificate_gets_no_password(alerted: Alerted) -> None:
    settings = alerted.load().settings.alerts
    assert settings is not None
    assert settings.email is not None
    untrusted = settings.email.model_copy(update={"ca_file": None})
    with pytest.raises(TlsFailed, match="no trusted connection"):
        mail.Mail(untrusted).send(texts.test_message())
    assert alerted.inbox.got == []


def _told(alerted: Alerted, channel: str) -> list[Told]:
    with wiring.open_control(alerted.load().settings) as control:
        return list(control.alerts.told(channel))
