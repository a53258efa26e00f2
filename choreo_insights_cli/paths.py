"""Where the program's files are, in a checkout and in an installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from choreo_insights_cli.errors import WrongUsage

if TYPE_CHECKING:
    from choreo_insights.catalogue import Catalogue

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
STACK_NAME = "choreo-insights"
DISTRIBUTION = "choreo-insights-export"


def shipped(name: str) -> Path:
    """A file or folder of the project's top level; an installation has it in this package."""
    here = ROOT / name
    return here if is_project(ROOT) else PACKAGE / "project" / name


def is_project(folder: Path) -> bool:
    """Whether a folder holds the project that is deployed."""
    return (folder / "template.yaml").is_file() and (folder / "layers/insights").is_dir()


def project() -> Path:
    """The project's folder: the current one, or the checkout that the program is run from.

    Raises WrongUsage where neither is one.
    """
    for folder in (Path.cwd(), ROOT):
        if is_project(folder):
            return folder
    raise WrongUsage(
        f"{Path.cwd()} is not the project's folder: it has no template.yaml. cd there."
    )


def catalogue() -> Catalogue:
    """The shipped tables and the user's own, as the layer gets them. Raises ConfigurationError."""
    # Many commands need a path alone.
    from choreo_insights.catalogue import Catalogue, load, read  # noqa: PLC0415

    own = read(shipped("generated") / "custom_catalogue.json")
    return Catalogue((*load().tables, *own))
