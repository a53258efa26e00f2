"""`make dashboard`: what it says to a reader who asked for what there is not."""

import pytest

from local import dashboard
from local.errors import CommandError


@pytest.mark.parametrize("days", ["0", "-1", "a week", "1.5"])
def test_days_that_are_no_number_are_refused(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    monkeypatch.setenv("DAYS", days)
    with pytest.raises(CommandError, match=f"DAYS={days} is no number of days"):
        dashboard.main()
