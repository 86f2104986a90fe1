"""`python supervisor.py …` is the same command as `.venv/bin/supervisor …`, with whatever Python this is."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
COMMAND = os.path.join(HERE, ".venv", "bin", "supervisor")

if __name__ == "__main__":
    if not os.path.exists(COMMAND):
        sys.stderr.write("supervisor: not installed yet; run `make setup` in %s\n" % HERE)  # noqa: UP031 - runs on any Python
        sys.exit(1)
    os.execv(COMMAND, [COMMAND] + sys.argv[1:])  # noqa: RUF005 - runs on any Python
