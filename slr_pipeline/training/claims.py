"""Which process has which device of a host."""

import errno
import socket
from collections.abc import Sequence
from itertools import count


def claim_device(names: Sequence[str]) -> int:
    """Claim a device for this process until it exits; returns its index.

    The first of `names` that no process holds; where all are held, the first that the fewest hold.
    So two jobs on a host with two devices get one each. A second call claims another device.

    A claim is the address of a socket, which only one process of the host can hold: it needs no
    file, folder or lock, and the kernel releases it when the process exits.
    """
    addresses = (
        (index, f"\0slr-device/{name}/{claims}")
        for claims in count()
        for index, name in enumerate(names)
    )
    return next(index for index, address in addresses if _held(address))


def _held(address: str) -> bool:
    """Whether this process now holds an abstract socket address."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(address)
    except OSError as error:
        claim.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    claim.detach()  # stays open until the process exits
    return True
