"""Where the files lie that come with the program, in a checkout and in an installation."""

from pathlib import Path

from choreo_insights.catalogue import Catalogue, load, read

ROOT = Path(__file__).resolve().parent.parent
STACK_NAME = "choreo-insights"


def shipped(name: str) -> Path:
    """A file or folder of the project's top level; an installation has it in this package."""
    here = ROOT / name
    return here if here.exists() else Path(__file__).resolve().parent / "project" / name


def catalogue() -> Catalogue:
    """The shipped tables and the user's own, as the layer gets them. Raises ConfigurationError."""
    own = read(shipped("generated") / "custom_catalogue.json")
    return Catalogue((*load().tables, *own))
