#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends a VLAN-tagged frame and prints the tagged IP frames that come back, for kernels without 8021q.

Usage: tagged_frame.py DEVICE VLAN FRAME-IN-HEX...     FRAME: without its tag

Prints one line per frame received within a second: its tag (0 = none) and the frame without it, in hex.
"""

import socket
import struct
import sys
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
AUXDATA = struct.Struct("IIIHHHH")  # status, len, snaplen, mac, net, vlan_tci, vlan_tpid
STATUS_VLAN_VALID = 0x10


def main(device, vlan, *frames):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as raw:
        raw.bind((device, ETH_P_ALL))
        raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        for frame in map(bytes.fromhex, frames):
            raw.send(frame[:12] + struct.pack("!HH", 0x8100, int(vlan)) + frame[12:])
        deadline = time.monotonic() + 1
        while (left := deadline - time.monotonic()) > 0:
            raw.settimeout(left)
            try:
                frame, ancillary, _, address = raw.recvmsg(2048, 64)
            except TimeoutError:
                return
            if address[2] == socket.PACKET_OUTGOING:
                continue
            status, *_, tci, _ = AUXDATA.unpack(ancillary[0][2][:AUXDATA.size])
            print(tci if status & STATUS_VLAN_VALID else 0, frame.hex(), flush=True)


main(*sys.argv[1:])
