"""`supervisor`: the overview is printed without importing anything heavy; every other word goes to `app.py`."""

import sys

from fleet_cli.commands import overview


def main() -> None:
    """Entry point; exits with a code of `exits.Exit`."""
    arguments = sys.argv[1:]
    if arguments in ([], ["--help"], ["-h"], ["help"]):
        sys.stdout.write(overview())
        return
    try:
        from fleet_cli.app import run

        code = run(arguments)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
