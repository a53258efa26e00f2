"""Environments: when one is installed, and that no file in it belongs to two distributions."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dev.checks.environments import main, shared_files

ROOT = Path(__file__).parents[4]
# In place of Python and uv: they log what they install.
PYTHON = """#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip install "*) echo uv >>"$INSTALLED" ;;
esac
"""
UV = """#!/bin/sh
case "$1 $2" in
  "venv "*) for last; do :; done; mkdir -p "$last" ;;
  "pip sync") basename "$VIRTUAL_ENV" >>"$INSTALLED"; exit "${FAILS:-0}" ;;
esac
"""


class Checkout:
    """A clone with two locks; several share the environments."""

    def __init__(self, shared: Path, name: str) -> None:
        self._shared = shared
        self._folder = shared / name
        self.lock = self._folder / "dev/requirements/dev.txt"
        self.lock.parent.mkdir(parents=True)
        self.lock.write_text("pytest==9.2.0\n", "utf-8")
        (self.lock.parent / "uv.txt").write_text("uv==0.13.9\n", "utf-8")
        (self._folder / "dev/make").mkdir(parents=True)
        shutil.copy(ROOT / "dev/make/venvs.mk", self._folder / "dev/make")
        for program, text in (("python", PYTHON), ("fake-uv", UV)):
            path = shared / program
            path.write_text(text, "utf-8")
            path.chmod(0o755)

    def make(self, **environment: str) -> list[str]:
        """The environments that `make` installs."""
        log = self._shared / "installed"
        log.write_text("", "utf-8")
        done = subprocess.run(
            ["make", "-f", "dev/make/venvs.mk", "VENVS=../venvs", "../venvs/dev/.done"],
            cwd=self._folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHON": str(self._shared / "python"),
                "UV": str(self._shared / "fake-uv"),
                "INSTALLED": str(log),
                **environment,
            },
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.returncode != 0) == ("FAILS" in environment), done.stderr
        return log.read_text("utf-8").split()


def test_a_second_checkout_with_the_same_locks_installs_nothing(tmp_path: Path) -> None:
    assert Checkout(tmp_path, "first").make() == ["uv", "dev"]
    second = Checkout(tmp_path, "second")
    newest = max(path.stat().st_mtime for path in tmp_path.rglob("*")) + 60
    for lock in second.lock.parent.iterdir():
        os.utime(lock, (newest, newest))
    assert second.make() == []


def test_a_changed_lock_is_installed_whatever_its_age(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, "first")
    checkout.make()
    checkout.lock.write_text("pytest==9.3.0\n", "utf-8")
    os.utime(checkout.lock, (0, 0))
    assert checkout.make() == ["dev"]
    assert checkout.make() == []


def test_an_installation_that_failed_is_repeated(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, "first")
    checkout.make()
    installed = checkout.lock.read_text("utf-8")
    checkout.lock.write_text("pytest==9.3.0\n", "utf-8")
    assert checkout.make(FAILS="1") == ["dev"]
    # Half of the other lock is installed, so the earlier one is not either.
    checkout.lock.write_text(installed, "utf-8")
    assert checkout.make() == ["dev"]


def distribution(environment: Path, name: str, *files: str) -> None:
    """Records an installed distribution that owns these files, as pip and uv do."""
    packages = environment / "lib/python3.11/site-packages"
    info = packages / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (environment / "pyvenv.cfg").touch()
    rows = [*files, f"{info.name}/RECORD"]
    (info / "RECORD").write_text("".join(f"{row},sha256=abc,12\n" for row in rows), "utf-8")


def test_two_distributions_that_install_the_same_file_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "dev", tmp_path / "policy"
    for environment in (good, bad):
        distribution(environment, "requests", "requests/__init__.py", "../../../bin/normalizer")
    distribution(bad, "scanner", "scan/__init__.py", "scan/b.py", "../../../bin/scan")
    distribution(bad, "scanner_fork", "scan/__init__.py", "scan/./b.py", "../../../bin/scan")

    assert shared_files(good) == {}
    assert shared_files(bad) == {
        ("scanner-1.0", "scanner_fork-1.0"): [
            "../../../bin/scan",
            "scan/__init__.py",
            "scan/b.py",
        ]
    }
    assert main(tmp_path) == 1
    assert "policy: scanner-1.0 and scanner_fork-1.0 both install" in capsys.readouterr().out


def test_without_a_shared_file_each_environment_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tmp_path) == 1
    distribution(tmp_path / "dev", "requests", "requests/__init__.py")
    distribution(tmp_path / "sam", "requests", "requests/__init__.py")
    assert main(tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("in dev, sam")
