"""A remedy is named as the person calls it."""

import pytest

from choreo_insights_cli.called import VARIABLE, as_called, called
from choreo_insights_cli.paths import ROOT


@pytest.mark.parametrize(
    ("command", "by_make"),
    [
        ("status", "make status"),
        ("backfill --attach a_b", "make backfill ATTACH=a_b"),
        ("logs token --errors", "make logs FUNCTION=token ERRORS=1"),
        ("doctor --org 'a b'", "make doctor ORG='a b'"),
        ("export --again --tables apis", "make export AGAIN=1 TABLES=apis"),
        ("token renew --org acme", "make token ACTION=renew ORG=acme"),
        ("secret acme", "make secret ORG=acme"),
        ("tables", "make tables LIST=1"),
        ("tables apis", "make tables TABLE=apis"),
        ("migrate --dry-run", "make migrate DRY=1"),
    ],
)
def test_a_remedy_is_of_the_program_that_is_used(
    command: str, by_make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert called(command) == f"insights {command}"
    monkeypatch.setenv(VARIABLE, "make")
    assert called(command) == by_make


@pytest.mark.parametrize("by", ["", "make"])
def test_a_message_names_commands_as_the_reader_calls_them(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, by)
    text = "no such table. `insights tables` lists them; store it with `make secret ORG=acme`: ok"
    renamed = text.replace("insights tables", "make tables LIST=1")
    assert as_called(text) == (
        renamed if by else text.replace("make secret ORG=acme", "insights secret acme")
    )
    assert as_called('`insights query "` and `other`') == '`insights query "` and `other`'


def test_make_says_that_it_is_make() -> None:
    assert f"INSIGHTS = {VARIABLE}=make " in (ROOT / "Makefile").read_text("utf-8")
