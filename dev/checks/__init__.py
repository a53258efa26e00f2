"""Checks of the template that the common linters do not make. Run by `make check`."""
