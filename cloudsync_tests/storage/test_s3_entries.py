"""What is cut out of a page is what an XML parser reads in it; or nothing is."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudsync_pipeline.storage.s3.entries import cut_out

NAMES = ("Key", "Size", "ETag")
PIECES = (
    "a",
    "1",
    " ",
    "\n",
    "&amp;",
    "&quot;",
    "&#34;",
    "&lt;",
    "&#10;",
    "&amp;lt;",
    "%20",
    ">",
    "]]>",
    "é",
    "\r",
    "\x01",
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
ENTRY = "<Contents><Key>{}</Key><ETag>{}</ETag><Size>{}</Size></Contents>"


def a_page(*entries: str) -> str:
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(entries)}<Name>x</Name></ListBucketResult>"


def test_what_all_have_alike_is_cut_out() -> None:
    found = cut_out(a_page(ENTRY.format("a", "&quot;1&quot;", "5"), ENTRY.format("b &amp; c", "", "6")).encode())

    assert found is not None
    assert found.columns == {"Key": ["a", "b & c"], "ETag": ['"1"', None], "Size": ["5", "6"]}
    assert (found.count, found.rest) == (2, a_page("<Contents/>"))


@pytest.mark.parametrize(
    "second",
    [
        "<Contents><Key>b</Key><Size>5</Size><ETag>1</ETag></Contents>",
        "<Contents><Key>b</Key><ETag>1</ETag></Contents>",
        "<Contents><Key>b</Key><ETag>1</ETag><Size>5</Size>6</Contents>",
        "<Contents><Key>b</Key><ETag>1</ETag><Size unit='byte'>5</Size></Contents>",
        "<Contents><Key>b<!-- c --></Key><ETag>1</ETag><Size>5</Size></Contents>",
        "<Contents><Key>&unknown;</Key><ETag>1</ETag><Size>5</Size></Contents>",
        "<Other/>" + ENTRY.format("b", "1", "5"),
    ],
)
def test_a_page_with_an_entry_of_another_form_is_left_to_the_parser(second: str) -> None:
    assert cut_out(a_page(ENTRY.format("a", "1", "5"), second).encode()) is None


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=3), st.integers(0, 400), st.booleans())
def test_it_never_differs_from_the_parser(texts: list[tuple[str, str, str]], place: int, broken: bool) -> None:
    page = a_page(*(ENTRY.format(*one) for one in texts))
    body = (page[:place] + page[place + 1 :] if broken else page).encode()

    found = cut_out(body)

    if found is not None and is_whole(found.rest):
        objects = ET.fromstring(body).findall("Contents")
        assert found.columns == {name: [one.findtext(name) or None for one in objects] for name in found.columns}
        assert found.count == len(objects)
        assert set(found.columns) >= {name for name in NAMES if any(one.findtext(name) for one in objects)}


def is_whole(rest: str) -> bool:
    """What the reader of the page asks of the rest."""
    try:
        return len(ET.fromstring(rest).findall("Contents")) == 1
    except ET.ParseError:
        return False
