"""How an entry of the event list is understood."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.core.events import PERMISSION_FIELDS, Event, EventType, identity_of
from cloudsync_pipeline.core.records import Permissions
from cloudsync_pipeline.feeds.entries import parse


def an_entry(event_type: str = "create", file_path: Any = "a", **fields: Any) -> dict[str, Any]:
    return {"event_type": event_type, "file_path": file_path, "timestamp": "2026-01-02T03:04:05Z", **fields}


def understood(entry: Any, prefix: str | None = None) -> Event:
    parsed = parse([entry], prefix)
    assert parsed.malformed == ()
    (event,) = parsed.events
    return event


def refused(entry: Any, prefix: str | None = None) -> str:
    """The reason for which an entry is malformed."""
    parsed = parse([entry], prefix)
    assert (parsed.events, parsed.others) == ((), ())
    (malformed,) = parsed.malformed
    return malformed.reason


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "key", "also"),
    [
        ("a/b", "a/b", ()),
        ("/a/b", "a/b", ("/a/b",)),
        ("//a", "/a", ("//a",)),
        ("/", "/", ()),
        ("a//b/", "a//b/", ()),
        ("nul\0", "nul\x1a00", ()),
    ],
)
def test_a_leading_slash_is_dropped_but_the_key_with_it_is_looked_at_too(
    path: str, key: str, also: tuple[str, ...]
) -> None:
    event = understood(an_entry(file_path=path))
    assert (event.key, event.also) == (key, also)


def test_both_ends_of_a_move_may_carry_a_slash() -> None:
    event = understood(an_entry("move", "/a", new_path="/b"))
    assert (event.key, event.new_key, set(event.also)) == ("a", "b", {"/a", "/b"})


@pytest.mark.parametrize(
    ("path", "key"),
    [("acme/a", "a"), ("/acme/a", "a"), ("acme//a", "/a"), ("acme/acme/a", "acme/a"), ("acme/../x", "../x")],
)
def test_below_the_prefix_the_rest_is_the_key_as_it_stands(path: str, key: str) -> None:
    event = understood(an_entry(file_path=path), "acme")
    assert (event.key, event.also) == (key, ())


@pytest.mark.parametrize("path", ["other/a", "acmeland/a", "acme", "a", "//acme/a", "ACME/a", "/", "other/acme/a"])
def test_what_does_not_lie_below_the_prefix_is_anothers(path: str) -> None:
    entry = an_entry(file_path=path)
    parsed = parse([entry], "acme")
    assert (parsed.events, parsed.malformed, parsed.others) == ((), (), (identity_of(entry),))


def test_the_prefix_alone_names_no_file() -> None:
    assert "no file" in refused(an_entry(file_path="/acme/"), "acme")


def test_a_move_out_of_the_prefix_is_a_delete() -> None:
    event = understood(an_entry("move", "/acme/a", new_path="/other/a"), "acme")
    assert (event.event_type, event.key, event.new_key) == (EventType.DELETE, "a", None)


def test_a_move_into_the_prefix_is_a_create() -> None:
    event = understood(an_entry("rename", "/other/a", new_path="/acme/b"), "acme")
    assert (event.event_type, event.key, event.new_key) == (EventType.CREATE, "b", None)


@pytest.mark.parametrize(
    "entry",
    [
        an_entry("explode", "other/a"),
        an_entry("move", "other/a"),
        an_entry("move", "other/a", new_path=5),
        an_entry("change_permission", "other/a", metadata=5),
    ],
)
def test_what_is_wrong_with_anothers_entry_is_not_ours_to_report(entry: dict[str, Any]) -> None:
    assert parse([entry], "acme").others == (identity_of(entry),)


# --- permissions --------------------------------------------------------------------------------


@pytest.mark.parametrize("field", PERMISSION_FIELDS)
def test_new_permissions_stand_under_one_of_five_names(field: str) -> None:
    event = understood(an_entry("change_permission", metadata={field: "rwxr-x---"}))
    assert event.permissions == Permissions(permissions="rwxr-x---")


def test_of_several_permission_fields_the_first_wins() -> None:
    metadata = {"access": "---------", "permissions": "r--r--r--", "new_permissions": "rwxrwxrwx"}
    assert understood(an_entry("change_permission", metadata=metadata)).permissions == Permissions("rwxrwxrwx")


def test_owner_and_group_may_change_alone() -> None:
    event = understood(an_entry("change_permission", metadata={"owner": "ann", "group": "staff"}))
    assert event.permissions == Permissions(owner="ann", group="staff")


@pytest.mark.parametrize("metadata", [{}, None, {"permissions": None, "owner": ""}])
def test_a_change_of_permissions_need_not_say_which(metadata: Any) -> None:
    assert understood(an_entry("change_permission", metadata=metadata)).permissions is None


def test_permissions_beside_another_event_are_not_desired() -> None:
    assert understood(an_entry("create", metadata={"permissions": "rwxrwxrwx"})).permissions is None


@pytest.mark.parametrize(
    "metadata", [{"permissions": "0644"}, {"permissions": 420}, {"access": "public"}, {"owner": 5}, [], "rw-r--r--"]
)
def test_permissions_that_cannot_be_understood_are_refused(metadata: Any) -> None:
    assert refused(an_entry("change_permission", metadata=metadata))


# --- time, identity, malformed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.5+01:00", datetime(2026, 1, 2, 2, 4, 5, 500_000, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1.5, datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)),
        ("yesterday", None),
        (10**30, None),
        (True, None),
        (None, None),
        ({}, None),
    ],
)
def test_a_time_is_read_where_it_can_be(timestamp: Any, moment: datetime | None) -> None:
    assert understood(an_entry() | {"timestamp": timestamp}).occurred_at == moment


def test_the_identity_is_that_of_the_whole_entry_in_any_order_of_its_fields() -> None:
    entry = an_entry(metadata={"a": 1, "b": 2})
    turned = dict(reversed(entry.items()))
    assert understood(entry).identity == understood(turned).identity == identity_of(entry)
    assert understood(entry).identity != understood(entry | {"timestamp": "2026-01-02T03:04:06Z"}).identity


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (5, "no JSON object"),
        (None, "no JSON object"),
        (["create", "a"], "no JSON object"),
        ({}, "file_path is missing"),
        (an_entry(file_path=""), "file_path is missing"),
        (an_entry(file_path=5), "file_path is no text"),
        (an_entry(file_path="\ud800"), "stands for no byte"),
        (an_entry("explode"), "'explode' is not known"),
        (an_entry("CREATE"), "'CREATE' is not known"),
        ({"file_path": "a"}, "None is not known"),
        ({"file_path": "a", "event_type": ["create"]}, "is not known"),
        (an_entry("move"), "new_path is missing"),
        (an_entry("rename", new_path={}), "new_path is no text"),
    ],
)
def test_what_cannot_be_understood_is_kept_with_the_reason(entry: Any, reason: str) -> None:
    assert reason in refused(entry)


def test_a_new_path_that_is_not_needed_is_not_looked_at() -> None:
    assert understood(an_entry("delete", new_path=5)).new_key is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
entries = json_values | st.fixed_dictionaries(
    {},
    optional={
        "event_type": st.sampled_from([*EventType]) | json_values,
        "file_path": st.text(st.characters(codec=None), max_size=12) | json_values,
        "new_path": st.text(st.characters(codec=None), max_size=12) | json_values,
        "metadata": st.dictionaries(st.sampled_from([*PERMISSION_FIELDS, "owner"]), json_values) | json_values,
        "timestamp": json_values,
    },
)


@given(st.lists(entries, max_size=5), st.sampled_from([None, "a", "acme/b"]))
def test_every_entry_comes_out_once_whatever_it_is(page: list[Any], prefix: str | None) -> None:
    parsed = parse(page, prefix)
    assert len(parsed.events) + len(parsed.malformed) + len(parsed.others) == len(page)
