"""Which queries a refusal is about, by the places that it points at."""

import json
from datetime import date
from typing import Any

import pytest
from graphql import parse, print_ast, validate
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from choreo_insights.catalogue import load
from choreo_insights.credentials import Credentials
from choreo_insights.dataset.partitions import Environment
from choreo_insights.export.blame import SentDocument, blamed
from choreo_insights.export.insights_api import day_values, request_of
from choreo_insights.export.queries import Query
from choreo_insights_cli.catalogue.compiler import schema

VALUES = day_values(
    date(2026, 11, 20),
    Credentials("acme", "org-uuid", "key", "secret"),
    "carbon.super",
    Environment("e1", "Production", "CHOREO", ("e1",), "Production"),
) | {"apiNames": ["a"], "limit": 20, "offset": 0}
LATENCY = load().table("latency_summary")
# Each of them names what the published schema lacks: a field of a row, of a filter, of all queries.
KINDS = {
    "good": LATENCY,
    "row": replace(LATENCY, root=LATENCY.root.replace("{granularity ", "{granularity newer ")),
    "filter": replace(LATENCY, root=LATENCY.root.replace("{granularity:", "{newer:1 granularity:")),
    "argument": replace(LATENCY, root=LATENCY.root.replace("(", "(newer:1 ", 1)),
    "query": replace(LATENCY, root=LATENCY.root.replace("getLatencySummary", "getNewer")),
}


def sent(*kinds: str) -> SentDocument:
    return request_of([Query(KINDS[kind], VALUES, {}) for kind in kinds])[0]


def refusal(text: str) -> bytes:
    """What graphql-core says of a document."""
    errors = validate(schema(), parse(text))
    return json.dumps({"errors": [error.formatted for error in errors]}).encode()


@given(st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=8))
def test_each_query_that_names_what_is_unknown_is_blamed_and_no_other(kinds: list[str]) -> None:
    document = sent(*kinds)
    bad = [number for number, kind in enumerate(kinds) if kind != "good"]
    assert sorted(blamed(refusal(document.text), document)) == bad


@given(st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=8))
def test_places_in_a_document_that_was_written_anew_are_not_believed(kinds: list[str]) -> None:
    document = sent(*kinds)
    assert blamed(refusal(print_ast(parse(document.text))), document) == {}


def error(message: object, **place: object) -> dict[str, Any]:
    return {"message": message, "locations": [place]}


PLACE = {"line": 1, "column": sent("row").text.index("newer") + 1}
SAYS = 'Cannot query field "newer" on type "Latency".'


@pytest.mark.parametrize(
    "errors",
    [
        [{"message": SAYS}],
        [{"message": SAYS, "locations": None}],
        [error(SAYS, line=1, column=1)],
        [error(SAYS, line=2, column=PLACE["column"])],
        [error(SAYS, line=0, column=0)],
        [error(SAYS, line=1, column=-1)],
        [error(SAYS, line=1, column=10**9)],
        [error(SAYS, line="1", column="1")],
        [error('Field "newer" is too complex.', **PLACE)],
        [error("Cannot query a field.", **PLACE)],
        [error(None, **PLACE)],
        {"message": SAYS},
        [error(SAYS, **PLACE), {"message": "x" * 300_000}],
    ],
)
def test_without_a_place_that_holds_the_unknown_name_nothing_is_blamed(errors: object) -> None:
    assert blamed(json.dumps({"errors": errors}).encode(), sent("row", "good")) == {}
    assert blamed(b"<html>", sent("row")) == {}


def test_servers_say_it_in_their_own_words() -> None:
    for says in (
        SAYS,
        "Validation error (FieldUndefined@[a/newer]) : Field 'newer' in type 'A' is undefined",
        "Field 'newer' doesn't exist on type 'Latency'",
        'Field "newer" is not defined by type "Filter".',
    ):
        body = json.dumps({"errors": [error(says, **PLACE)]}).encode()
        assert blamed(body, sent("row", "good")) == {0: says}
