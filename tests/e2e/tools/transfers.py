#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps many transfers to an echo server going, busy ones and idle ones, and checks every byte.

Usage: transfers.py ADDRESS PORT CONNECTIONS MAX_IDLE WINDOW

A transfer lasts 8 to 25 seconds; then another takes its place. One in four is busy (a message every
0.2 to 0.4 s), the others are silent for up to MAX_IDLE seconds. Prints "ready" when all are
connected. After SIGTERM it ends them, and prints {"transfers", "broken", "too_silent", "bytes",
"slowest_ms", "errors"} as JSON. A transfer is broken by any error, by an answer that takes over
15 s, and by bytes that are not those that were sent; but too_silent where it had been silent for
WINDOW seconds, because the machine was busy: the load balancer promises nothing for it.
"""

import asyncio
import collections
import hashlib
import json
import os
import random
import resource
import signal
import sys
import time

PATIENCE = 15


class Totals:
    transfers = broken = too_silent = bytes = 0
    slowest = 0.0
    errors = collections.Counter()


class Silence:
    """The longest time from one sending to the next. When the kernel acknowledged what it received
    meanwhile is not known here: on a busy machine long before it is read."""

    def __init__(self):
        self.last = time.monotonic()
        self.longest = 0.0

    def ends(self):
        now = time.monotonic()
        self.longest = max(self.longest, now - self.last)
        self.last = now


async def transfer(address, port, max_idle, stop, connected, silence):
    busy = random.random() < 0.25
    end = time.monotonic() + random.uniform(8, 25)
    sent, received = hashlib.sha256(), hashlib.sha256()
    reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), PATIENCE)
    connected()
    try:
        while time.monotonic() < end and not stop.is_set():
            message = os.urandom(random.randint(50, 2000))
            sent.update(message)
            asked = time.monotonic()
            silence.ends()
            writer.write(message)
            answer = await asyncio.wait_for(reader.readexactly(len(message)), PATIENCE)
            received.update(answer)
            Totals.bytes += len(message)
            Totals.slowest = max(Totals.slowest, time.monotonic() - asked)
            pause = random.uniform(0.2, 0.4) if busy else random.uniform(0.5, 1) * max_idle
            try:
                await asyncio.wait_for(stop.wait(), min(pause, max(0, end - time.monotonic())))
            except asyncio.TimeoutError:
                pass
        silence.ends()
        writer.write_eof()
        if await asyncio.wait_for(reader.read(), PATIENCE):
            raise ValueError("bytes that nobody sent")
        if sent.digest() != received.digest():
            raise ValueError("other bytes than were sent")
    finally:
        writer.close()


async def keep_going(address, port, max_idle, window, stop, connected):
    while not stop.is_set():
        Totals.transfers += 1
        silence = Silence()
        try:
            await transfer(address, port, max_idle, stop, connected, silence)
        except (OSError, ValueError, EOFError, asyncio.TimeoutError) as error:
            if silence.longest < window:
                Totals.broken += 1
            else:
                Totals.too_silent += 1
            Totals.errors[repr(error)] += 1
            await asyncio.sleep(0.5)


async def main(address, port, connections, max_idle, window):
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    up = set()

    async def one(number):
        await asyncio.sleep(number * 0.002)

        def connected():
            up.add(number)
            if len(up) == connections and "ready" not in said:
                said.add("ready")
                print("ready", flush=True)
        await keep_going(address, port, max_idle, window, stop, connected)

    said = set()
    await asyncio.gather(*(one(number) for number in range(connections)))
    print(json.dumps({"transfers": Totals.transfers, "broken": Totals.broken,
                      "too_silent": Totals.too_silent, "bytes": Totals.bytes,
                      "slowest_ms": round(Totals.slowest * 1000),
                      "errors": dict(Totals.errors.most_common(5))}))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]),
                 float(sys.argv[5])))
