#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls of the API with large messages, all at once, each on a connection of its own.

Usage: large_calls.py SERVER CALLS MIB [gzip]

Prints the status of each. The message is a comment of so many MiB; gzip makes some KiB of it.
"""

import sys
import threading

import grpc

SECONDS = 60


def varint(number):
    out = b""
    while number > 0x7f:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    """A field of protobuf's wire format that has a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def call(server, message, compression, said):
    with grpc.insecure_channel(server, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        rollback = channel.unary_unary("/lb.v1.LoadBalancer/RollbackConfig")
        try:
            rollback(message, timeout=SECONDS, wait_for_ready=True, compression=compression)
            said.append("OK")
        except grpc.RpcError as error:
            said.append(f"{error.code().name}: {error.details()}")


def main(server, calls, mib, *flags):
    message = field(15, field(4, bytes(b"x") * (int(mib) << 20)))
    compression = grpc.Compression.Gzip if flags else grpc.Compression.NoCompression
    said = []
    threads = [threading.Thread(target=call, args=(server, message, compression, said))
               for _ in range(int(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("\n".join(said))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
