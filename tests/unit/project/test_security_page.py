""".github/SECURITY.md speaks of what there is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / ".github/SECURITY.md").read_text("utf-8")


def test_its_commands_exist() -> None:
    recipes = "".join(
        path.read_text("utf-8") for path in (ROOT / "Makefile", *(ROOT / "dev/make").glob("*.mk"))
    )
    named = set(re.findall(r"`make ([a-z-]+)", PAGE))
    assert named >= {"secret", "token", "export", "status"}
    assert [name for name in named if f"\n{name}:" not in recipes] == []


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / ".github" / link).exists()] == []
    headings = {
        line[3:].lower().replace(" ", "-") for line in PAGE.splitlines() if line[:3] == "## "
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings
