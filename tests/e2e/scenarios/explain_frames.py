# SPDX-License-Identifier: Apache-2.0
"""Frames of every kind, raw on the wire: what explain foretells of each is what the program decides."""

import collections
import ipaddress
import json
import struct
import sys

from actors import VIP4, VIP6, config, lbctl, start_capture, start_lbd, verdicts, vip
from harness import expect, new_lab, scenario
from lab import wait_until
from scenarios.see import DECIDED
from scenarios.vips import move_to_segment

SYN, ACK = 2, 16
HOP_BY_HOP, ICMP, IPIP, TCP, UDP, SCTP = 0, 1, 4, 6, 17, 132
ETH_P_IP, ETH_P_IPV6, ETH_P_LLDP = 0x0800, 0x86dd, 0x88cc
MORE_FRAGMENTS, FRAGMENT_AT_32 = 0x2000, 0x0004

# Sends frames, once or for as long as it runs.
SEND = """
import socket, sys, time
device, pause, *frames = sys.argv[1:]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
    raw.bind((device, 0))
    while True:
        for frame in frames:
            raw.send(bytes.fromhex(frame))
        if not float(pause):
            break
        time.sleep(float(pause))
"""

# A client that opens connections without end, and to VIPs that limit them.
BUSY = "198.18.6.1"
PROBE_PORT = 61234  # one of those that probes come from

# veth and explain leave room for every outer header; tests/bpf/encap_test.cc takes it away.
NOT_BY_A_FRAME = {"encap_failed"}

Situation = collections.namedtuple("Situation", "name verdict frame")


def _sum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def tcp(port=80, flags=SYN, data=b"", source=40000):
    return struct.pack("!HHIIBBHHH", source, port, 1, 0, 5 << 4, flags, 512, 0, 0) + data


def udp(port, data=b""):
    return struct.pack("!HHHH", 40000, port, 8 + len(data), 0) + data


def echo(kind):
    return struct.pack("!BBHHH", kind, 0, _sum(struct.pack("!BBHHH", kind, 0, 0, 7, 1)), 7, 1)


def ip4(source, payload, protocol=TCP, to=VIP4, ttl=64, first=0x45, length=None, fragment=0x4000, number=0):
    header = struct.pack("!BBHHHBBH4s4s", first, 0, 20 + len(payload) if length is None else length,
                         number, fragment, ttl, protocol, 0, ipaddress.ip_address(source).packed,
                         ipaddress.ip_address(to).packed)
    return header[:10] + struct.pack("!H", _sum(header)) + header[12:] + payload


def ip6(source, payload, protocol=TCP, to=VIP6, first=0x60, length=None):
    return struct.pack("!IHBB16s16s", first << 24, len(payload) if length is None else length, protocol, 64,
                       ipaddress.ip_address(source).packed, ipaddress.ip_address(to).packed) + payload


def _document(lab, device, neighbour, neighbour6):
    reals = [real.ip4 for real in lab.reals[:3]]
    reals6 = [real.ip6 for real in lab.reals[:3]]

    near = [vip(VIP4, [neighbour], port=86), vip(VIP6, [neighbour6], port=86)]
    gue, gre = vip(VIP4, reals6, port=87), vip(VIP6, reals, port=88)
    for encap, services in (("l2", near), ("gue", [gue]), ("gre", [gre])):
        for service in services:
            for real in service["reals"]:
                real["encap"] = encap
    named = vip(VIP4, reals, "udp", 443,
                route_by_id={"quic_lb": [{"config_id": 0, "server_id_length": 2}]})
    for number, real in enumerate(named["reals"], 1):
        real["server_id"] = number
    probed = vip(VIP4, reals, port=89, checks=[{"tcp": {}, "port": 80}])
    busy = vip(VIP4, reals, port=90, sources={"new_flows": {"per_second": 1}})
    busy_source = vip(VIP4, reals, port=91, sources={"new_flows_per_source": {"per_second": 1}})
    return config(
        vip(VIP4, reals, source_routes=[{"name": "office", "sources": ["198.18.9.0/24"],
                                         "reals": [{"address": reals[2]}]}]),
        vip(VIP6, reals6), vip(VIP4, [], port=81), vip(VIP4, ["10.99.0.1"], port=82),
        vip(VIP4, reals, port=83, sources={"deny": ["198.18.0.0/16"]}),
        vip(VIP4, reals[:1], port=84), vip(VIP4, reals, port=85, tracking="always"), *near, gue, gre,
        named, probed, busy, busy_source,
        {**vip(VIP6, reals6, "udp", None, any_port=True)}, vip("10.201.7.0/24", reals, port=80),
        interfaces=["eth0", device], decap={"addresses": [lab.lb.ip4]})


def _situations(lab, ethernet, number):
    """Each from a client of its own, by whose address it is found again."""
    clients = (f"198.18.0.{i}" for i in range(1, 200))
    clients6 = (f"2001:db8:c::{i}" for i in range(1, 200))

    def four(payload, **fields):
        return ethernet(ip4(next(clients), payload, **fields))

    def six(payload, **fields):
        return ethernet(ip6(next(clients6), payload, **fields), ETH_P_IPV6)

    def tags(frame, *values):
        return frame[:12] + b"".join(struct.pack("!I", value) for value in values) + frame[12:]
    quic = "41{}" + "5a" * 30
    fragment = {"number": number, "protocol": UDP}
    found = [
        ("syn", "forward", four(tcp())), ("ack", "forward", four(tcp(flags=ACK, data=b"hello"))),
        ("v6", "forward", six(tcp())), ("udp of any port", "forward", six(udp(4433, b"q"), protocol=UDP)),
        ("a VIP of a prefix", "forward", four(tcp(), to="10.201.7.9")),
        ("source route", "forward", ethernet(ip4("198.18.9.9", tcp()))),
        ("new on a changing slot", "forward", four(tcp(84))),
        ("old on a changing slot", "forward", four(tcp(84, ACK))),
        ("known on a changing slot", "forward", ethernet(ip4("198.18.8.1", tcp(84, ACK)))),
        ("tracked always", "forward", four(tcp(85))),
        ("l2", "forward", four(tcp(86))), ("l2, v6", "forward", six(tcp(86))),
        ("gue", "forward", four(tcp(87))), ("gre", "forward", six(tcp(88))),
        ("id routed", "forward", four(udp(443, bytes.fromhex(quic.format("000002"))), protocol=UDP)),
        ("id unknown", "forward", four(udp(443, bytes.fromhex(quic.format("000777"))), protocol=UDP)),
        ("id absent", "forward", four(udp(443, bytes.fromhex(quic.format("e00002"))), protocol=UDP)),
        ("a tag", "forward", tags(four(tcp()), 0x81000007)),
        ("two tags", "forward", tags(six(tcp()), 0x88a80007, 0x81000008)),
        ("tunnel", "forward", ethernet(ip4("198.18.7.1", ip4(next(clients), tcp()), IPIP, lab.lb.ip4))),
        ("later fragment", "forward", ethernet(ip4("198.18.8.2", b"x" * 64, to=VIP4, fragment=FRAGMENT_AT_32,
                                                   **fragment))),
        ("later fragment of nothing", "fragment", four(b"x" * 64, fragment=FRAGMENT_AT_32, **fragment)),
        ("hop used up in a tunnel", "ttl_expired",
         ethernet(ip4("198.18.7.2", ip4(next(clients), tcp()), IPIP, lab.lb.ip4, ttl=1))),
        ("too long", "too_big_reply", four(tcp(flags=ACK, data=b"x" * 1550))),
        ("too long, of nobody", "too_big", ethernet(ip4("0.0.0.0", tcp(flags=ACK, data=b"x" * 1550)))),
        ("echo", "echo_reply", four(echo(8), protocol=ICMP)),
        ("no real", "no_real", four(tcp(81))), ("no next hop", "no_next_hop", four(tcp(82))),
        ("denied", "source_denied", four(tcp(83))),
        ("beyond the VIP's rate", "vip_rate_limited", four(tcp(90))),
        ("beyond the source's rate", "source_rate_limited", ethernet(ip4(BUSY, tcp(91)))),
        ("answer to a probe", "probe_reply", four(tcp(PROBE_PORT, SYN | ACK), to=lab.lb.ip4)),
        ("l2, last hop", "l2_loop", four(tcp(86), ttl=1)),
        ("other port", "not_vip", four(tcp(8080))), ("other protocol", "not_vip", four(udp(80), protocol=UDP)),
        ("sctp", "not_vip", four(b"x" * 20, protocol=SCTP)),
        ("other address", "not_vip", six(tcp(), to="2001:db8::1")),
        ("lldp", "not_ip", ethernet(b"x" * 46, ETH_P_LLDP)),
        ("ihl", "bad_header", four(tcp(), first=0x44)), ("version", "bad_header", six(tcp(), first=0x40)),
        ("length", "bad_length", four(tcp(), length=400)), ("length, v6", "bad_length", six(tcp(), length=400)),
        ("cut", "truncated", four(tcp(), length=30)),
        ("extensions", "extensions", six(bytes(8) * 40 + tcp(), protocol=HOP_BY_HOP)),
    ]
    return [Situation(*row) for row in found]


@scenario
def explain_frames():
    """Verdict, VIP, real, slot, route and record of live frames of every kind are those explained before."""
    with new_lab(reals=4) as lab:
        device, neighbour, neighbour6 = move_to_segment(lab, lab.reals[3])
        lab.lb.ip(["route add blackhole 10.99.0.1/32"])
        lab.lbd = start_lbd(lab, _document(lab, device, neighbour, neighbour6))
        macs = bytes.fromhex((lab.lb.link()["address"] + lab.router.link("to-lb")["address"]).replace(":", ""))

        def ethernet(packet, kind=ETH_P_IP):
            return macs + struct.pack("!H", kind) + packet

        def sender(pause, *frames):
            return [sys.executable, "-c", SEND, "to-lb", pause, *(frame.hex() for frame in frames)]

        def send(*frames):
            lab.router.run(sender(0, *frames))

        # A flow, and a packet's first fragment, that are known.
        key = f"{VIP4}:84/tcp"
        lbctl(lab, "real", "add", key, lab.reals[1].ip4)
        lbctl(lab, "real", "drain", key, lab.reals[0].ip4)
        send(ethernet(ip4("198.18.8.1", tcp(84))),
             ethernet(ip4("198.18.8.2", udp(443, b"x" * 24), UDP, fragment=MORE_FRAGMENTS, number=0x4242)))
        situations = _situations(lab, ethernet, 0x4242)
        # No more connections are free where there is a rate: one a second.
        flood = [ethernet(ip4(BUSY, tcp(port, source=41000))) for port in (90, 91)]
        flooding = lab.router.start("flood", sender(0.001, *flood))
        said = [json.loads(lbctl(lab, "flow", "explain", "--frame", situation.frame.hex(), "-o", "json").stdout)
                ["decision"] for situation in situations]
        for situation, decision in zip(situations, said):
            expect(decision["verdict"] == situation.verdict, f"{situation.name}: explained {decision}")
        flooding.stop()

        process = start_capture(lab, "-o", "json", "--rate", 100000)
        send(*flood, *(situation.frame for situation in situations))

        def seen():
            """First decisions by client, or by frame where the program did not read who sends it."""
            rows = [json.loads(line) for line in process.output().splitlines() if line.endswith("}")]
            return {row["decision"]["source"] or row["frame"]: row["decision"] for row in reversed(rows)}
        keys = [decision["source"] or situation.frame.hex() for situation, decision in zip(situations, said)]
        expect(len(set(keys)) == len(keys), "two situations have one client")
        wait_until(lambda: not set(keys) - set(seen()), 20, "all frames are captured", 0.3)
        process.stop()
        live, differ = seen(), []
        for situation, decision, place in zip(situations, said, keys):
            for field in (*DECIDED, "source_route", "server_id", "description"):
                if decision.get(field) != live[place].get(field):
                    differ.append(f"{situation.name}: {field} explained {decision.get(field)!r}, "
                                  f"decided {live[place].get(field)!r}")
        expect(not differ, "; ".join(differ))
        brought_about = {situation.verdict for situation in situations}
        missing = set(verdicts(lab)) - brought_about - NOT_BY_A_FRAME
        expect(not missing, f"not brought about: {missing}")
        return {"frames": len(situations), "verdicts": len(brought_about)}
