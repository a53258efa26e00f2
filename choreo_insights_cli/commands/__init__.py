"""The commands, a module or package each."""
