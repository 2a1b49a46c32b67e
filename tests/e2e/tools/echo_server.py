#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends back whatever comes, on every address of its network namespace.

Usage: echo_server.py PORT
"""

import asyncio
import resource
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main(port):
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
    server = await asyncio.get_running_loop().create_server(Echo, ["0.0.0.0", "::"], port,
                                                            backlog=4096)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
