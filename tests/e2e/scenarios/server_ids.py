# SPDX-License-Identifier: Apache-2.0
"""Packets that name their real: TCP segments by an option, QUIC packets by their connection id."""

import contextlib
import json
import os
import pathlib
import signal
import time

from actors import (SBIN, VIP4, agent_pins, binary, config, lbctl, start_agent, start_echo_server,
                    start_lbd, vip)
from harness import expect, new_lab, scenario
from lab import run, wait_until

TOOLS = pathlib.Path(__file__).resolve().parents[1] / "tools"
PORT = 7
CONNECTIONS = 100


def _document(reals, protocol, port, route_by_id):
    document = config(vip(VIP4, [real.ip4 for real in reals], protocol, port,
                          route_by_id=route_by_id, tracking="none"))
    for number, real in enumerate(document["vips"][0]["reals"], 1):
        real["server_id"] = number
    return document


def _notes(lab):
    stats = json.loads(lbctl(lab, "stats", "-o", "json").stdout)
    return {note["note"]: int(note.get("packets", 0)) for note in stats["notes"]}


@contextlib.contextmanager
def _cgroups(lab, nodes):
    """A cgroup for each node; its `run in it` prefix by the node's name."""
    mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    root = next(line.split()[1] for line in mounts if line.split()[2] == "cgroup2")
    paths = {node.name: pathlib.Path(root) / f"lbd-{lab.name}-{node.name}" for node in nodes}
    for path in paths.values():
        path.mkdir()
    try:
        yield paths
    finally:
        for path in paths.values():
            for pid in (path / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            wait_until(lambda where=path: not (where / "cgroup.procs").read_text(), 20, "processes end")
            path.rmdir()


def _in_cgroup(path, argv):
    return ["sh", "-c", f'echo $$ > {path}/cgroup.procs && exec "$@"', "sh", *argv]


def _start_transfers(lab, name, cgroup, connections):
    argv = [TOOLS / "transfers.py", VIP4, PORT, connections, 2, 60]
    process = lab.client.start(name, _in_cgroup(cgroup, argv))
    wait_until(lambda: "ready" in process.output(), 30, "all transfers are connected")
    return process


def _result(process):
    process.stop(signal.SIGTERM, timeout=30)
    return json.loads(process.output().splitlines()[-1])


def _expect_option_in_every_segment(capture, option):
    """Of the client's segments to the VIP all carry the option but those that open connections."""
    lines = run(["tcpdump", "-nn", "-r", capture, f"dst host {VIP4}"], env=SBIN).stdout.splitlines()
    segments = [line for line in lines if "Flags [S]" not in line]
    nameless = [line for line in segments if option not in line]
    expect(len(segments) > 200, f"only {len(segments)} segments captured")
    expect(not nameless,
           f"{len(nameless)} of {len(segments)} without {option}: {nameless[:3]}")
    return len(segments)


@scenario
def tcp_server_id():
    """Connections whose segments name their real survive a ring without it, and nothing is tracked."""
    with new_lab(reals=2) as lab, _cgroups(lab, [*lab.reals, lab.client]) as cgroups:
        lab.lbd = start_lbd(lab, _document(lab.reals, "tcp", PORT, {"tcp_option": True}))
        for number, real in enumerate(lab.reals, 1):
            start_agent(real, flags=["--server_id", number, "--cgroup", cgroups[real.name]])
            start_echo_server(real, PORT, wrap=lambda argv, path=cgroups[real.name]:
                              _in_cgroup(path, argv))
        client_agent = lab.client.start("lbagent-client", [
            binary("lbagent"), "--echo_server_ids", "--cgroup", cgroups["client"],
            "--bpffs", agent_pins(lab.client)])
        wait_until(lambda: "repeating" in client_agent.output(), 20, "lbagent on the client")
        capture = lab.dir / "client.pcap"
        tcpdump = lab.client.start("tcpdump", ["tcpdump", "-i", "eth0", "-U", "-w", capture,
                                               f"tcp and dst host {VIP4}"])
        wait_until(lambda: "listening" in tcpdump.output(), 20, "tcpdump listens")

        named = _start_transfers(lab, "named", cgroups["client"], CONNECTIONS)
        time.sleep(2)
        tcpdump.stop()
        segments = _expect_option_in_every_segment(capture, "unknown-183")
        before = _notes(lab)
        expect(before.get("id_unknown", 0) == 0, f"unknown ids: {before}")
        # Those of plain clients are the control: the same change breaks them.
        plain = _start_transfers(lab, "plain", cgroups["client"].parent, 40)
        lbctl(lab, "real", "update", f"{VIP4}:{PORT}/tcp", lab.reals[0].ip4, "--state", "draining")
        time.sleep(4)
        named, plain = _result(named), _result(plain)
        expect(named["broken"] == 0, f"broken: {named}")
        expect(plain["broken"] > 5, f"only {plain['broken']} of the plain connections broke: "
               "nothing was tested")
        routed = _notes(lab)["id_routed"] - before["id_routed"]
        expect(routed > 0, "nothing was routed by id")
        return {"connections": CONNECTIONS, "broken": named["broken"],
                "broken_without_ids": plain["broken"], "segments_with_option": segments,
                "routed_by_id": routed}


UDP_SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 443))
print("bound", flush=True)
while True:
    data, peer = s.recvfrom(2000)
    s.sendto(sys.argv[2].encode(), peer)
"""

# Sends one datagram (hex) from each of so many ports; prints who answered.
UDP_CLIENT = """
import collections, socket, sys
answers = collections.Counter()
for port in range(20000, 20000 + int(sys.argv[3])):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    s.settimeout(2)
    s.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 443))
    answers[s.recv(100).decode()] += 1
    s.close()
print(*(f"{name}={count}" for name, count in sorted(answers.items())))
"""


def _ask(lab, packet, ports=20):
    done = lab.client.run(["python3", "-c", UDP_CLIENT, VIP4, packet, ports])
    return dict(pair.split("=") for pair in done.stdout.split())


@scenario
def quic_server_id():
    """QUIC packets go to the real that their connection id names, whatever their flow hash says."""
    with new_lab(reals=3) as lab:
        route = {"quic_lb": [{"config_id": 1, "server_id_length": 2}]}
        lab.lbd = start_lbd(lab, _document(lab.reals, "udp", 443, route))
        for real in lab.reals:
            start_agent(real)
            server = real.start(f"udp-{real.name}", ["python3", "-c", UDP_SERVER, VIP4, real.name])
            wait_until(lambda process=server: "bound" in process.output(), 20, "the server is bound")
        initial = "c0 00000001 08 0123456789abcdef 08 0123456789abcdef" + "00" * 40
        expect(len(_ask(lab, initial)) == 3, "Initials are not spread over the reals")

        def short(server_id):
            return f"40 20 {server_id:04x} 1122334455" + "00" * 20
        for number, real in enumerate(lab.reals, 1):
            answers = _ask(lab, short(number))
            expect(answers == {real.name: "20"}, f"of server id {number}: {answers}")
        expect(len(_ask(lab, short(77))) == 3, "unknown ids are not spread over the reals")
        notes = _notes(lab)
        expect(notes["id_routed"] == 60 and notes["id_unknown"] == 20, f"{notes}")
        # Out of the ring, it keeps its connections, from wherever their clients are by now.
        key = f"{VIP4}:443/udp"
        lbctl(lab, "real", "update", key, lab.reals[0].ip4, "--state", "draining")
        expect(_ask(lab, short(1)) == {"real1": "20"}, "a draining real lost its connections")
        expect("real1" not in _ask(lab, initial), "a draining real got new connections")
        lbctl(lab, "real", "delete", key, lab.reals[0].ip4)
        expect("real1" not in _ask(lab, short(1)), "a real that was removed got packets")
        return {"routed_by_id": _notes(lab)["id_routed"]}
