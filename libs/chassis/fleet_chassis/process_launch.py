"""Becomes a part's program after making sure that it cannot outlive the manager: `process_launch.py <manager pid> prog …`.

A program of its own, run with `python -I -S`, because code between fork and exec (`preexec_fn`) is not safe in a process
with threads. It imports nothing of the project. On Linux the kernel kills the part when the manager dies, even by SIGKILL;
elsewhere the pid files are what the next `up` or `down` cleans up by.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_START = 127


def main() -> None:
    """Tie this process to its parent, then exec."""
    manager, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != manager:
        sys.exit("the manager is gone")
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.stderr.write(f"cannot start {program[0]}: {error.strerror}\n")
        sys.exit(CANNOT_START)


if __name__ == "__main__":
    main()
