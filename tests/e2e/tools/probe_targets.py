#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that health probes ask, on the given addresses: UDP echo on 7000, QUIC version negotiation on
4433, and grpc.health.v1 on 50051.

Usage: probe_targets.py ADDRESS...     an address of udp4 or udp6 is bound as it is
"""

import concurrent.futures
import ipaddress
import socket
import sys
import threading

import grpc


def serve_udp(address, port, answer):
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))

    def loop():
        while True:
            data, peer = server.recvfrom(2048)
            if reply := answer(data):
                server.sendto(reply, peer)
    threading.Thread(target=loop, daemon=True).start()


def negotiate(data):
    """Version Negotiation for a long header of an unknown version (RFC 8999, 6)."""
    if len(data) < 1200 or not data[0] & 0x80 or data[1:5] == bytes([0, 0, 0, 1]):
        return None
    destination = data[6:6 + data[5]]
    rest = data[6 + data[5]:]
    source = rest[1:1 + rest[0]]
    return (b"\xc0" + bytes(4) + bytes([len(source)]) + source + bytes([len(destination)]) +
            destination + bytes([0, 0, 0, 1]))


def serve_grpc(addresses):
    """SERVING for the server as a whole, NOT_SERVING for "sick", NOT_FOUND for all else."""
    def check(request, context):
        if request == b"":
            return b"\x08\x01"
        if request == b"\x0a\x04sick":
            return b"\x08\x02"
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return b""

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),))
    for address in addresses:
        server.add_insecure_port(f"[{address}]:50051" if ":" in address else f"{address}:50051")
    server.start()
    return server


def main(addresses):
    for address in addresses:
        serve_udp(address, 7000, lambda data: b"echo " + data)
        serve_udp(address, 4433, negotiate)
    server = serve_grpc(addresses)
    print("serving", flush=True)
    server.wait_for_termination()


main(sys.argv[1:])
