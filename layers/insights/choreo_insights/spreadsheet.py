"""CSV that a spreadsheet opens without running what is in it.

Names in the data come from whoever calls an API. A cell that begins with one of these characters
is a formula to Excel, LibreOffice and Google Sheets, also between quotes; a leading apostrophe
makes it text: https://owasp.org/www-community/attacks/CSV_Injection
"""

import csv
import io
from collections.abc import Iterable, Sequence

# The last four are the full-width forms, which Excel takes for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def safe_cell(value: object) -> object:
    """The value of a cell: a text that a spreadsheet would calculate gets an apostrophe before it.

    Numbers stay numbers, also negative ones.
    """
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def csv_text(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV with a line of names, every cell made safe; a None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([safe_cell(name) for name in names])
    writer.writerows([safe_cell(value) for value in row] for row in rows)
    return text.getvalue()
