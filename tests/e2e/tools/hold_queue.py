#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds an AF_XDP socket on a receive queue, as a program beside lbd might.

Usage: hold_queue.py INTERFACE QUEUE     prints "holding" when it does; ends by a signal
"""

import ctypes
import mmap
import signal
import socket
import struct
import sys

AF_XDP, SOL_XDP, XDP_COPY = 44, 283, 2
RX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 2, 4, 5, 6
FRAME, FRAMES = 4096, 64


def main(interface, queue):
    memory = mmap.mmap(-1, FRAME * FRAMES)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    xsk = socket.socket(AF_XDP, socket.SOCK_RAW)
    xsk.setsockopt(SOL_XDP, UMEM_REG, struct.pack("<QQIIII", address, len(memory), FRAME, 0, 0, 0))
    for ring in (FILL_RING, COMPLETION_RING, RX_RING):
        xsk.setsockopt(SOL_XDP, ring, FRAMES)
    # Python knows no addresses of this family: family, flags, interface, queue, no shared socket.
    where = struct.pack("<HHIII", AF_XDP, XDP_COPY, socket.if_nametoindex(interface), int(queue), 0)
    if ctypes.CDLL(None, use_errno=True).bind(xsk.fileno(), where, len(where)):
        raise OSError(ctypes.get_errno(), f"queue {queue} of {interface}")
    print("holding", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
