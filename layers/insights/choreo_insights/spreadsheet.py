"""CSV that a spreadsheet opens without running what is in it.

Names in the data come from whoever calls an API. A cell that begins with one of these characters
is a formula to Excel, LibreOffice and Google Sheets, also between quotes; a leading apostrophe
makes it text: https://owasp.org/www-community/attacks/CSV_Injection
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

# The last four are the full-width forms, which Excel takes for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


# What a terminal would obey, or what changes the direction of the text behind it.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def visible(text: str) -> str:
    """A text whose control characters are escaped."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def safe_cell(value: object) -> object:
    """The value of a cell: a text that a spreadsheet would calculate gets an apostrophe before it.

    Control characters are escaped. Numbers stay numbers, also negative ones.
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_text(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with a line of names, every cell made safe; a None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([safe_cell(name) for name in names])
    writer.writerows([safe_cell(value) for value in row] for row in rows)
    return text.getvalue()
