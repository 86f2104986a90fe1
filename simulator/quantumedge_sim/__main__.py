"""`python -m quantumedge_sim`, `quantumedge-sim`."""

import sys

from quantumedge_sim.shell import run_program


def main() -> None:
    """Run the simulator and exit with its code."""
    sys.exit(run_program(sys.argv[1:]))


if __name__ == "__main__":
    main()
