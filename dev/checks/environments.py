"""Finds files that two distributions of one environment install.

Run as `python -m dev.checks.environments FOLDER`, where FOLDER holds the environments, such as
`.venvs`. The distribution that is unpacked last wins, so the environment differs from one
installation to the next. Exits with 1 where there is such a file.
"""

# ruff: noqa: T201 - a command for a terminal: it prints.

import csv
import os.path
import sys
from collections import defaultdict
from pathlib import Path


def shared_files(environment: Path) -> dict[tuple[str, ...], list[str]]:
    """The files that several distributions install, by the distributions' names.

    Paths are relative to site-packages. Raises OSError where a RECORD cannot be read.
    https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    owners: dict[str, set[str]] = defaultdict(set)
    for record in environment.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        with record.open(newline="", encoding="utf-8") as lines:
            for row in filter(None, csv.reader(lines)):
                owners[os.path.normpath(row[0])].add(record.parent.stem)
    shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, names in sorted(owners.items()):
        if len(names) > 1:
            shared[tuple(sorted(names))].append(path)
    return shared


def main(folder: Path) -> int:
    """Prints the shared files of each environment; 1 where there is one, or no environment."""
    environments = sorted(path.parent for path in folder.glob("*/pyvenv.cfg"))
    if not environments:
        print(f"no environment in {folder}: run `make check`, which installs some")
        return 1
    shared = {environment.name: shared_files(environment) for environment in environments}
    for name, files in shared.items():
        for owners, paths in files.items():
            print(f"{name}: {' and '.join(owners)} both install {paths[0]} (files: {len(paths)})")
    if any(shared.values()):
        print("Give one of them an environment of its own: a lock in dev/requirements/.")
        return 1
    print(f"no file of two distributions in {', '.join(shared)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
