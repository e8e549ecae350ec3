"""Ordering of moves: carrying the legs out, stage by stage, puts every file where it is wanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.core.ordering import Leg, Move, ancestors, is_parking, order_moves


def moves(*pairs: tuple[str, str]) -> list[Move]:
    return [Move(number, path, new_path) for number, (path, new_path) in enumerate(pairs)]


def carry_out(legs: list[Leg], files: set[str], *, folders_are_files: bool) -> dict[str, str]:
    """Move names about as a file manager would, refusing what it would refuse; returns where each file went."""
    where = {path: path for path in files}
    for stage in sorted({leg.stage for leg in legs}):
        for leg in (leg for leg in legs if leg.stage == stage):
            assert leg.path in where, f"nothing stands at {leg.path}"
            assert leg.new_path not in where, f"{leg.new_path} is taken"
            content = where.pop(leg.path)
            if not folders_are_files:
                for folder in ancestors(leg.new_path):
                    assert folder not in where, f"{folder} is a file"
                assert not any(path.startswith(leg.new_path + "/") for path in where), f"{leg.new_path} is a folder"
            where[leg.new_path] = content
    return {content: path for path, content in where.items()}


def result_of(wanted: list[Move], *, folders_are_files: bool = True) -> dict[str, str]:
    legs = order_moves(wanted, plan_id="p", folders_are_files=folders_are_files)
    return carry_out(legs, {move.path for move in wanted}, folders_are_files=folders_are_files)


def test_independent_moves_share_one_stage() -> None:
    legs = order_moves(moves(("a", "b"), ("c", "d")), plan_id="p")
    assert {leg.stage for leg in legs} == {0}


def test_a_chain_starts_at_its_free_end() -> None:
    legs = order_moves(moves(("a", "b"), ("b", "c"), ("c", "d")), plan_id="p")
    assert [leg.path for leg in legs] == ["c", "b", "a"]
    assert not any(is_parking(leg.new_path, "p") for leg in legs)


def test_a_swap_parks_one_file() -> None:
    wanted = moves(("a", "b"), ("b", "a"))
    assert result_of(wanted) == {"a": "b", "b": "a"}
    assert sum(not leg.final for leg in order_moves(wanted, plan_id="p")) == 1


def test_a_long_cycle_parks_one_file() -> None:
    wanted = moves(("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"))
    assert result_of(wanted) == {"a": "b", "b": "c", "c": "d", "d": "a"}
    assert sum(not leg.final for leg in order_moves(wanted, plan_id="p")) == 1


def test_a_file_moves_below_its_own_name() -> None:
    assert result_of(moves(("a", "a/b")), folders_are_files=False) == {"a": "a/b"}


def test_a_file_takes_the_name_of_the_folder_it_was_in() -> None:
    assert result_of(moves(("a/b", "a")), folders_are_files=False) == {"a/b": "a"}


def test_a_folder_is_emptied_before_a_file_takes_its_name() -> None:
    wanted = moves(("x", "a"), ("a/b", "y"))
    assert result_of(wanted, folders_are_files=False) == {"x": "a", "a/b": "y"}


def test_a_case_only_rename_is_one_leg_where_case_does_not_count() -> None:
    legs = order_moves(moves(("a", "A")), plan_id="p", case_sensitive=False)
    assert [(leg.path, leg.new_path) for leg in legs] == [("a", "A")]


def test_a_parking_name_is_known_as_one() -> None:
    legs = order_moves(moves(("d/a", "d/b"), ("d/b", "d/a")), plan_id="p")
    parked = [leg for leg in legs if not leg.final]
    assert [is_parking(leg.new_path, "p") for leg in parked] == [True]
    assert not is_parking("d/a", "p")
    assert not is_parking(parked[0].new_path, "another plan")


def test_a_parked_file_does_not_keep_its_folder_from_going() -> None:
    assert result_of(moves(("a/a", "b"), ("b", "a")), folders_are_files=False) == {"a/a": "b", "b": "a"}


NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"])


@given(
    st.lists(NAMES, min_size=1, max_size=8, unique=True).flatmap(
        lambda sources: st.tuples(st.just(sources), st.permutations(sorted({*sources, "v", "w"})))
    )
)
def test_any_moves_between_flat_names_come_out_right(drawn: tuple[list[str], list[str]]) -> None:
    sources, targets = drawn
    wanted = moves(*((s, t) for s, t in zip(sources, targets, strict=False) if s != t))
    assert result_of(wanted) == {move.path: move.new_path for move in wanted}


DEEP = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)


def _together(paths: list[str]) -> list[str]:
    """Of some paths, those that can stand on a disk together: none is a folder of another."""
    chosen: list[str] = []
    for path in paths:
        above = set(ancestors(path))
        if not above & set(chosen) and not any(path in ancestors(other) for other in chosen):
            chosen.append(path)
    return chosen


SETS_OF_FILES = st.lists(DEEP, min_size=1, max_size=7, unique=True).map(_together)


@given(SETS_OF_FILES, SETS_OF_FILES)
def test_any_moves_between_files_and_folders_come_out_right(sources: list[str], targets: list[str]) -> None:
    wanted = moves(*((s, t) for s, t in zip(sources, targets, strict=False) if s != t))
    assert result_of(wanted, folders_are_files=False) == {move.path: move.new_path for move in wanted}
