# SPDX-License-Identifier: Apache-2.0
"""Which real a connection goes to."""

import collections
import signal
import struct

from actors import VIP4, chi_square, config, url, vip
from harness import expect, expect_served, scenario, serving_lab, with_both_vips
from lab import wait_until


@scenario
def spread():
    """1000 connections spread as the weights say."""
    weights = {"real1": 100, "real2": 200, "real3": 300}
    count = 1000

    def document(lab):
        return config(vip(VIP4, {real.ip4: weights[real.name] for real in lab.reals}))

    with serving_lab(document) as lab:
        answers = expect_served(lab, VIP4, count).answers
    distance, limit = chi_square(answers, weights)
    expect(distance < limit, f"{dict(answers)} for weights {weights}: chi-square {distance:.1f}")
    return {**{name: answers[name] for name in weights}, "chi_square": f"{distance:.2f}",
            "limit": f"{limit:.1f}"}


def _read(capture):
    """(client port, sequence number, is a SYN) of each IPIP packet with IPv4 and TCP inside."""
    data = capture.read_bytes()
    offset = 24
    while offset + 16 <= len(data):
        (length,) = struct.unpack_from("=I", data, offset + 8)
        frame = data[offset + 16:offset + 16 + length]
        inner = 14 + 20
        tcp = inner + (frame[inner] & 15) * 4
        port, _, sequence, _, _, flags = struct.unpack_from("!HHIIBB", frame, tcp)
        yield port, sequence, bool(flags & 2)
        offset += 16 + length


def _wait_settled(files):
    """Waits until none of the files grows any more."""
    sizes = []

    def settled():
        sizes.append([file.stat().st_size for file in files])
        return len(sizes) > 1 and sizes[-1] == sizes[-2]
    wait_until(settled, 10, "the captures end", interval=0.2)


@scenario
def one_real():
    """All packets of a connection go to the same real, seen on the reals' links."""
    connections, upload_kib = 200, 100
    with with_both_vips() as lab:
        captures, processes = {}, []
        for real in lab.reals:
            captures[real.name] = lab.dir / f"{real.name}.pcap"
            capture = lab.router.start(f"tcpdump-{real.name}", [
                "tcpdump", "-i", f"to-{real.name}", "-s", "128", "-U", "-B", "16384",
                "--immediate-mode", "-Z", "root", "-w", captures[real.name], "ip proto 4"])
            wait_until(lambda tool=capture: "listening on" in tool.output(), 20, "tcpdump starts")
            processes.append(capture)
        body = lab.dir / "body"
        body.write_bytes(bytes(upload_kib << 10))
        lines = []
        for _ in range(connections):
            lines += [f'url = "{url(VIP4, "/upload")}"', f'data-binary = "@{body}"', "silent",
                      "no-progress-meter", 'output = "/dev/null"', 'header = "Connection: close"',
                      "max-time = 20", 'write-out = "%{http_code}\\n"', "next"]
        parallel = ["--parallel", "--parallel-immediate", "--parallel-max", "64"]
        done = lab.client.run(["curl", *parallel, "--config", "-"], stdin="\n".join(lines[:-1]),
                              timeout=60, check=False)
        failed = connections - done.stdout.split().count("200")
        expect(not failed, f"{failed} of {connections} uploads failed {done.stderr}")
        _wait_settled(captures.values())
        for capture in processes:
            capture.stop(signal.SIGINT)
            expect("\n0 packets dropped by kernel" in capture.output(), capture.output())
        reals_of = collections.defaultdict(set)
        opened, packets = set(), 0
        for name, path in captures.items():
            for port, sequence, syn in _read(path):
                reals_of[port].add(name)
                packets += 1
                if syn:
                    opened.add((port, sequence))
    # A client port that is used again is the same flow to the load balancer.
    torn = {port: names for port, names in reals_of.items() if len(names) > 1}
    expect(not torn, f"connections (client ports) that reached several reals: {torn}")
    expect(len(opened) == connections,
           f"{len(opened)} connections seen on the reals' links, not {connections}")
    expect(packets > 10 * connections, f"only {packets} packets captured")
    return {"connections": connections, "packets": packets, "torn": 0}
