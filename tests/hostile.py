"""Input of strangers, and every place where data come out: which test looks at which.

The table in docs/security-review.md is made from this by `python -m tests.hostile`; a test
compares them, and looks for the tests that are named.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "security-review.md"
_BEGIN, _END = "<!-- hostile input: begin -->\n", "<!-- hostile input: end -->\n"

# Texts of each class that a stranger may choose: a User-Agent, a path, the name of an API.
TEXTS: dict[str, tuple[str, ...]] = {
    "script, direction, length": (
        *("שלום עולם", "注文履歴" * 40, "Größe\u0301", "🐶🧑‍🚀", "x" * 5_000, "\u202eabc\u202c"),
    ),
    "markup": (
        *("[/items] [bold]x", "/orders/[id]", ":dog:", "**x** [l](javascript:alert(1))"),
        "</script><img src=x onerror=alert(1)>$data<!--",
    ),
    "control characters": (
        *(
            "\x1b]0;pwned\x07ok",
            "\x9b31mred",
            "good\rbad",
            "one\ntwo",
            "a\u2028b",
            "\ufeffx",
            "\x7f",
        ),
    ),
    "inherited names": ("constructor", "__proto__", "toString", "hasOwnProperty"),
    "formulas": ('=HYPERLINK("http://x")', "+1+1", "-2+3", "@SUM(A1)", "\uff1d1+1"),
    "path-like": (
        *("../../etc/passwd", "..\\..\\x", "/absolute", "C:\\x", "%2e%2e%2fx", "day=2026-01-01/x"),
        *(".", "..", "a.b.parquet"),
    ),
}

_U = "tests/unit/"
_C = f"{_U}choreo_insights_cli/"
_L = f"{_U}choreo_insights/"
_HERE = f"{_U}project/test_hostile.py::"
_SHOWN = f"{_C}test_output.py::test_a_text_is_shown_as_it_is_or_escaped"
_CELL = f"{_C}test_output.py::test_a_cell_is_safe_in_every_form_of_an_answer"
_VIEW = f"{_HERE}test_a_view_gives_a_name_as_it_was"
_PANEL = f"{_C}dashboard/test_page.py::test_names_are_text_and_never_code"
_INHERITED = f"{_C}dashboard/test_page.py::test_names_that_objects_inherit_are_drawn"
_REPORT = f"{_L}report/test_documents.py::test_a_name_of_any_kind_is_text"
_LOG = f"{_HERE}test_a_log_entry_stays_one_line"
_LEDGER = f"{_HERE}test_the_ledger_keeps_a_name_as_it_was"
_KEY = f"{_HERE}test_a_key_holds_no_part_of_a_name_that_is_unsafe"
_COPY = f"{_C}test_dataset_copy.py::test_a_key_never_becomes_a_path_outside_the_folder"
_REPLY = f"{_L}export/test_insights_api.py::test_no_credential_comes_back_in_any_part_of_a_reply"
_TOKEN = f"{_L}tokens/test_minting.py::test_what_it_repeats_is_not_shown"
_SCOPE = f"{_L}tokens/test_minting.py::test_the_scope_does_not_repeat_the_new_token"
_CONTENT_TYPE = f"{_L}test_replies.py::test_a_content_type_names_no_secret"
_LEAKS = "tests/integration/test_nothing_leaks.py::"
_MARK = f"{_L}test_http.py::test_a_byte_order_mark_is_no_part_of_a_reply"


class Impossible(str):
    """Why a class of input cannot come to a place."""


_NUMBERS = Impossible("a metric has the name of the stack and numbers, and nothing else")
_KEPT = Impossible("a response is kept as it came, compressed, and no command shows it")
_NOWHERE = Impossible("texts of the token service come into replies and logs alone")
_BEFORE = Impossible("a mark is dropped where the text is read, so none comes to this place")
# Each class of input, then what looks at it in each of the PLACES.
PLACES = (
    *("commands", "JSON", "CSV", "views", "panels", "report", "logs"),
    *("ledger and reply", "quarantine", "metrics", "keys and paths"),
)
_ALIKE = (_SHOWN, _CELL, _CELL, _VIEW, _PANEL, _REPORT, _LOG, _LEDGER, _KEPT, _NUMBERS, _KEY)
TABLE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("script, direction, length", "markup", "control characters"), _ALIKE),
    "inherited names": (*_ALIKE[:4], _INHERITED, *_ALIKE[5:]),
    "formulas": _ALIKE,
    "path-like": (*_ALIKE[:10], _COPY),
    "credentials that Insights echoes": (
        f"{_C}commands/doctor/test_doctor.py::test_what_a_service_repeats_is_hidden",
        f"{_C}commands/doctor/test_doctor.py::test_what_a_service_repeats_is_hidden",
        *(_REPLY, _REPLY, _REPLY, _REPLY),
        f"{_LEAKS}test_no_log_line",
        f"{_LEAKS}test_no_object_of_the_dataset_and_no_row_of_the_ledger",
        *(_REPLY, _NUMBERS, _REPLY),
    ),
    "credentials that the token service echoes": (
        *(_TOKEN, _SCOPE),
        *(_NOWHERE, _NOWHERE, _NOWHERE, _NOWHERE),
        *(f"{_LEAKS}test_no_log_line", _CONTENT_TYPE, _NOWHERE, _NUMBERS, _NOWHERE),
    ),
    "byte order marks": (
        f"{_C}test_output.py::test_a_byte_order_mark_is_no_part_of_what_is_read",
        *(_MARK, _MARK, _MARK, _MARK),
        f"{_HERE}test_a_stored_file_may_begin_with_a_mark",
        *(_BEFORE, _BEFORE, _BEFORE, _NUMBERS, _BEFORE),
    ),
}


def section() -> str:
    """The table as Markdown: a letter is a test, a number a reason."""
    tests: dict[str, str] = {}
    reasons: dict[str, str] = {}
    texts = sum(map(len, TEXTS.values()))
    cells = [cell for row in TABLE.values() for cell in row]
    impossible = sum(isinstance(cell, Impossible) for cell in cells)
    tried = f"{len(TABLE)} kinds of input, {texts} texts, {len(PLACES)} places"
    lines = [f"{tried}: {len(cells) - impossible} cells tested, {impossible} impossible.", ""]
    lines += [f"| input | {' | '.join(PLACES)} |", f"| --- {'| --- ' * len(PLACES)}|"]
    for name, cells in TABLE.items():
        marks = []
        for cell in cells:
            if isinstance(cell, Impossible):
                marks.append(reasons.setdefault(cell, str(len(reasons) + 1)))
            else:
                marks.append(tests.setdefault(cell, chr(ord("a") + len(tests))))
        lines.append(f"| {name} | {' | '.join(marks)} |")
    lines.append("")
    for test, mark in tests.items():
        path, _, function = test.partition("::")
        label = function.removeprefix("test_").replace("_", " ")
        lines.append(f"- {mark}: [{label}](../{path})")
    lines += [f"- {mark}: {reason}" for reason, mark in reasons.items()]
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """The page with the section as it is now."""
    before, _, rest = page.partition(_BEGIN)
    return f"{before}{_BEGIN}{section()}{_END}{rest.partition(_END)[2]}"


def missing_tests() -> set[str]:
    """The tests in the table that there are not."""
    named = {cell for cells in TABLE.values() for cell in cells if not isinstance(cell, Impossible)}

    def is_there(test: str) -> bool:
        path, _, function = test.partition("::")
        file = ROOT / path
        return file.is_file() and bool(
            re.search(rf"^\s*def {function}\(", file.read_text("utf-8"), re.MULTILINE)
        )

    return {test for test in named if not is_there(test)}


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
