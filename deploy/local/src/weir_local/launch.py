"""Becomes another program that ends with its parent.

`launch.py PARENT SIGNAL UID GID NICENESS PROGRAM …`

A program of its own, since the same work between fork and exec would run in a copy of a process
that may have threads (gRPC's among them), whose locks nobody would ever open. UID and GID are -1
to keep the own.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Never returns."""
    parent, stop_signal, uid, gid, niceness = map(int, sys.argv[1:6])
    command = sys.argv[6:]
    if niceness:
        _give_way(niceness)
    if uid != -1:
        # The groups, too: as member of root's it would be judged by what that group may do.
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        # Where we are may be closed to that user.
        os.chdir("/")
    if sys.platform == "linux":
        # After the change of user, which would forget it.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, stop_signal)
    if os.getppid() != parent:  # it went before the request
        sys.exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def _give_way(niceness: int) -> None:
    os.nice(niceness)
    # Where Linux groups processes by session, niceness counts within one's own session only.
    try:
        group = os.open("/proc/self/autogroup", os.O_WRONLY)
        os.write(group, str(niceness).encode())
        os.close(group)
    except OSError:
        return


if __name__ == "__main__":
    main()
