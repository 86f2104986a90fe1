"""The `supervisor` command and the native fleet: what a human types, and the list of parts it starts.

`commands.py` is the table of commands, `parts.py` the list of parts; every command is a module that is imported only when
it runs. Data goes to stdout, everything said to a human to stderr. Knows the chassis and the contracts, no service.
"""
