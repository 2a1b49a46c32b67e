# SPDX-License-Identifier: Apache-2.0
"""Paths that are not plain: small MTUs, errors on the way, fragments, VLAN tags. Every checksum that the
load balancer writes is checked by a kernel here: the router's (outer headers, which it forwards) and the
client's (ICMP, which it acts upon)."""

import ipaddress
import socket

from actors import (BIG_FILE_MIB, VIP4, VIP6, config, start_agent, start_lbd, start_nginx, url,
                    verdicts, vip)
from harness import (both_vips, expect, expect_no_checksum_errors, new_lab, scenario,
                     serving_lab)
from lab import ROOT
from scenarios.iperf import run_iperf3

SMALL = 1400  # on the way to the client
MIB = 1 << 20


def _any_udp(address, reals):
    document = vip(address, reals, "udp")
    del document["port"]
    return {**document, "any_port": True}


def _narrow(lab):
    """All links have an MTU of 1500, so that nothing full-sized fits once it is encapsulated."""
    for node in (lab.lb, *lab.reals):
        lab.router.ip([f"link set to-{node.name} mtu 1500"])
        node.ip(["link set eth0 mtu 1500"])


def _documents(lab):
    _narrow(lab)
    return config(vip(VIP4, [real.ip4 for real in lab.reals]), vip(VIP6, [real.ip6 for real in lab.reals]),
                  _any_udp(VIP4, [real.ip4 for real in lab.reals]),
                  _any_udp(VIP6, [real.ip6 for real in lab.reals]))


def _transfer(lab, *argv):
    done = lab.client.run(["curl", "-sS", "-m", "20", "-o", "/dev/null", "-w",
                           "%{http_code} %{size_upload} %{size_download}", *argv], check=False, timeout=40)
    code, up, down = (done.stdout.split() + ["0"] * 3)[:3]
    expect(code == "200", f"{argv[-1]}: {done.stdout} {done.stderr}")
    return int(up), int(down)


@scenario
def path_mtu():
    """Uploads learn the MTU behind the load balancer from it, downloads the one behind the router from
    the router, whose errors find the right real."""
    with serving_lab(_documents) as lab:
        payload = lab.dir / "payload"
        payload.write_bytes(bytes(4 * MIB))
        before = verdicts(lab)
        for address in (VIP4, VIP6):
            for _ in range(4):  # connections, so that several reals take part
                up, _ = _transfer(lab, "--data-binary", f"@{payload}", "-H", "Expect:", url(address, "/upload"))
                expect(up == 4 * MIB, f"{address}: only {up} bytes went up")
        after = verdicts(lab)
        told = after["too_big_reply"] - before.get("too_big_reply", 0)
        expect(told >= 2, f"clients were told {told} times")
        learned = lab.client.run(["ip", "route", "get", VIP4]).stdout
        expect("mtu 1480" in learned, f"the client did not learn 1480: {learned}")
        learned = lab.client.run(["ip", "route", "get", VIP6]).stdout
        expect("mtu 1460" in learned, f"the client did not learn 1460: {learned}")

        # The client announces an MSS of 1460, and the link to it is smaller.
        lab.router.ip([f"route replace 10.10.1.0/24 dev to-client mtu lock {SMALL}",
                       f"route replace fd10:0:0:1::/64 dev to-client metric 256 mtu lock {SMALL}"])
        for address in (VIP4, VIP6):
            for _ in range(4):
                _, down = _transfer(lab, url(address, "/big"))
                expect(down == BIG_FILE_MIB * MIB, f"{address}: only {down} bytes came down")
        sent = lab.router.run(["nstat", "-asz", "IcmpOutDestUnreachs", "Icmp6OutPktTooBigs"]).stdout
        counts = [int(line.split()[1]) for line in sent.splitlines() if line.startswith("Icmp")]
        expect(len(counts) == 2 and all(counts), f"the router sent no errors: {sent}")
        final = verdicts(lab)
        dropped = {name: final[name] - after.get(name, 0) for name in ("too_big", "truncated", "fragment")}
        expect(not any(dropped.values()), f"dropped: {dropped}")
        return {"told": told}


@scenario
def traces():
    """ping, traceroute and tracepath see router and VIP, and the path's MTU."""
    with serving_lab(_documents) as lab:
        for address in (VIP4, VIP6):
            family = "-6" if ":" in address else "-4"
            lab.client.run(["ping", family, "-c", "3", "-i", "0.05", "-W", "1", address])
            for flags in (["-I"], ["-T", "-p", "80"], ["-U", "-p", "53"]):
                done = lab.client.run(["traceroute", family, "-n", "-q", "1", "-w", "1", "-m", "5", *flags,
                                       address], timeout=30)
                hops = [line.split()[1] for line in done.stdout.splitlines()[1:]]
                router = lab.router.ip6 if ":" in address else lab.router.ip4
                expect(hops == [router, address], f"traceroute {flags}: {done.stdout}")
            done = lab.client.run(["tracepath", family, "-n", "-m", "5", address], timeout=30)
            mtu = 1460 if ":" in address else 1480
            expect(f"pmtu {mtu}" in done.stdout and "reached" in done.stdout, f"tracepath: {done.stdout}")
        return {}


def _fragments(address, real_attribute):
    end = run_iperf3(address, real_attribute, ["-u", "-b", "10M", "-l", "4000"])["sum"]
    expect(end["packets"] > 100, f"only {end['packets']} datagrams")
    expect(end["lost_packets"] <= end["packets"] * 0.05,
           f"{end['lost_packets']} of {end['packets']} datagrams lost")
    return {"datagrams": end["packets"], "lost": end["lost_packets"]}


@scenario
def udp_fragments4():
    """Datagrams of three fragments arrive whole."""
    return _fragments(VIP4, "ip4")


@scenario
def udp_fragments6():
    return _fragments(VIP6, "ip6")


def _checksum(data):
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


@scenario
def vlan():
    """A frame with a VLAN tag leaves with that tag, inside the outer header."""
    with serving_lab(lambda lab: config(vip(VIP4, [lab.reals[0].ip4]))) as lab:
        macs = bytes.fromhex((lab.lb.link()["address"] + lab.router.link("to-lb")["address"]).replace(":", ""))
        source, destination = socket.inet_aton(lab.client.ip4), socket.inet_aton(VIP4)
        tcp = bytes.fromhex("9c4000500000000100000000500210000000") + b"\0\0"
        header = bytes.fromhex("450000280000400040060000") + source + destination
        header = header[:10] + _checksum(header).to_bytes(2, "big") + header[12:]
        frame = macs + b"\x08\x00" + header + tcp
        done = lab.router.run([ROOT / "tests/e2e/tools/tagged_frame.py", "to-lb", 42, frame.hex()], timeout=10)
        answers = [line.split() for line in done.stdout.splitlines()]
        tagged = [bytes.fromhex(frame) for tag, frame in answers if tag == "42"]
        expect(len(tagged) == 1, f"answers: {answers}")
        (out,) = tagged
        expect(out[34:] == header + tcp, f"the packet was changed: {out.hex()}")
        expect(_checksum(out[14:34]) == 0, f"outer checksum: {out.hex()}")
        expect(ipaddress.ip_address(out[30:34]) == ipaddress.ip_address(lab.reals[0].ip4), out.hex())
        return {}


JUMBO = 9000


def _widen(lab):
    """Jumbo frames everywhere, with room for outer headers behind the load balancer."""
    for node, mtu in ((lab.client, JUMBO), *((node, JUMBO + 100) for node in (lab.lb, *lab.reals))):
        lab.router.ip([f"link set to-{node.name} mtu {mtu}"])
        node.ip([f"link set eth0 mtu {mtu}"])


@scenario
def jumbo():
    """Frames of several buffers, up to an MTU of 9000, in both directions and both families."""
    with new_lab() as lab:
        _widen(lab)
        for real in lab.reals:
            start_nginx(real)
            start_agent(real)
        start_lbd(lab, both_vips(lab))
        payload = lab.dir / "payload"
        payload.write_bytes(bytes(8 * MIB))
        before = lab.router.link("to-client")["stats64"]["rx"]
        for address in (VIP4, VIP6):
            for _ in range(3):
                up, _ = _transfer(lab, "--data-binary", f"@{payload}", "-H", "Expect:",
                                  url(address, "/upload"))
                expect(up == 8 * MIB, f"{address}: only {up} bytes went up")
                _, down = _transfer(lab, url(address, "/big"))
                expect(down == BIG_FILE_MIB * MIB, f"{address}: only {down} bytes came down")
        after = lab.router.link("to-client")["stats64"]["rx"]
        per_packet = (after["bytes"] - before["bytes"]) / (after["packets"] - before["packets"])
        dropped = {name: count for name, count in verdicts(lab).items()
                   if name in ("too_big", "bad_length", "truncated", "encap_failed") and count}
        expect(not dropped, f"dropped: {dropped}")
        expect_no_checksum_errors(lab)
        return {"bytes_per_packet": round(per_packet), "forwarded": verdicts(lab)["forward"]}
