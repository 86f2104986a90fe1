"""NATS user keys: an ed25519 seed per user in a file of mode 0600; the server only ever sees the public key."""

import os
from pathlib import Path

import nkeys


def make_seed(path: Path) -> None:
    """Write a new user seed, unless the file exists."""
    if path.exists():
        return
    seed: bytes = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(seed + b"\n")


def public_key(path: Path) -> str:
    """The public key of a seed file. Raises ValueError when it holds no seed."""
    try:
        return str(nkeys.from_seed(bytearray(path.read_bytes().strip())).public_key.decode())
    except nkeys.NkeysError as error:
        raise ValueError(f"{path} holds no NATS user seed; remove it and start again") from error
