"""Whether the machine has been up all the time: what was written without fsync is only sure to be whole when it has."""

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def same_boot(note: Path) -> bool:
    """Whether `note` was left in this very boot of the machine; leaves one. Where boots have no id, or on a full disk: no."""
    try:
        boot = _BOOT_ID.read_bytes().strip()
        known = note.read_bytes() if note.exists() else b""
        if known != boot:
            note.write_bytes(boot)
    except OSError:
        return False
    return known == boot
