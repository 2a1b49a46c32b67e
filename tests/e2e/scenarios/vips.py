# SPDX-License-Identifier: Apache-2.0
"""Kinds of VIPs, what chooses the real, and how packets get there."""

import json

from actors import (VIP4, VIP6, config, decap_counts, lbctl, request_many, start_agent, start_lbd,
                    start_nginx, vip, write_config)
from harness import (expect, expect_no_checksum_errors, expect_served, expect_unserved, new_lab,
                     scenario, serving_lab)
from lab import UNDERLAY_MTU


@scenario
def affinity():
    """All connections of a client reach one real; changed at run time, they spread, and back."""
    def document(lab):
        return config(vip(VIP4, [real.ip4 for real in lab.reals], hash="source"),
                      vip(VIP6, [real.ip6 for real in lab.reals], hash="source"))

    with serving_lab(document) as lab:
        seen = {}
        for address in (VIP4, VIP6):
            answers = expect_served(lab, address, 60).answers
            expect(len(answers) == 1, f"one client, several reals: {dict(answers)}")
            seen[address] = set(answers)
        key = f"{VIP4}:80/tcp"
        lbctl(lab, "vip", "update", key, "--hash", "five_tuple")
        answers = expect_served(lab, VIP4, 60).answers
        expect(len(answers) == 3, f"connections do not spread: {dict(answers)}")
        lbctl(lab, "vip", "update", key, "--hash", "source")
        answers = request_many(lab.client, VIP4, 60).answers
        expect(set(answers) == seen[VIP4], f"another real than before: {dict(answers)}")
        return {"requests": 240}


@scenario
def port_range():
    """A range is served next to one port, by a program that did not know ranges before."""
    with serving_lab(lambda lab: config(vip(VIP4, [lab.reals[0].ip4], port=81))) as lab:
        expect_unserved(lab, VIP4)
        lbctl(lab, "vip", "add", f"{VIP4}:70-80/tcp_udp", "--real", lab.reals[1].ip4)
        answers = expect_served(lab, VIP4, 20).answers
        expect(set(answers) == {lab.reals[1].name}, f"{dict(answers)}")
        lbctl(lab, "vip", "add", f"{VIP4}:80/tcp", "--real", lab.reals[2].ip4)
        answers = expect_served(lab, VIP4, 20).answers
        expect(set(answers) == {lab.reals[2].name}, f"the range got ahead: {dict(answers)}")
        overlap = lbctl(lab, "vip", "add", f"{VIP4}:75-99/tcp", "--real", lab.reals[0].ip4,
                        check=False)
        expect(overlap.returncode == 1 and "overlaps" in overlap.stderr, f"{overlap}")
        return {}


@scenario
def prefix():
    """Every address of a prefix is served, by reals that hold it by a local route."""
    prefixes = {"10.201.0.0/24": ["10.201.0.0", "10.201.0.7", "10.201.0.255"],
                "2001:db8:201::/64": ["2001:db8:201::1", "2001:db8:201:0:ffff::9"]}
    with new_lab() as lab:
        for real in lab.reals:
            start_nginx(real)
            start_agent(real, vips=list(prefixes))
        for network in prefixes:
            via = lab.lb.ip6 if ":" in network else lab.lb.ip4
            lab.router.ip([f"route add {network} via {via}"])
        v4, v6 = prefixes
        start_lbd(lab, config(vip(v4, [real.ip4 for real in lab.reals]),
                              vip(v6, [real.ip6 for real in lab.reals])))
        for addresses in prefixes.values():
            for address in addresses:
                expect_served(lab, address, 20)
        # One address out of it, for a VIP of its own.
        lbctl(lab, "vip", "add", "10.201.0.7:80/tcp", "--real", lab.reals[0].ip4)
        answers = expect_served(lab, "10.201.0.7", 20).answers
        expect(set(answers) == {lab.reals[0].name}, f"{dict(answers)}")
        return {"addresses": sum(map(len, prefixes.values()))}


@scenario
def encaps():
    """IPIP, GUE and GRE side by side in one VIP, both families, unwrapped by lbagent."""
    def document(lab):
        document = config(vip(VIP4, [real.ip4 for real in lab.reals]),
                          vip(VIP6, [real.ip6 for real in lab.reals]),
                          encap={"gue_port": 9886})
        for service in document["vips"]:
            for real, encap in zip(service["reals"], ("ipip", "gue", "gre")):
                real["encap"] = encap
        return document

    with new_lab() as lab:
        for real in lab.reals:
            start_nginx(real)
            start_agent(real, flags=["--gue_port", "9886"])
        start_lbd(lab, document(lab))
        for address in (VIP4, VIP6):
            answers = expect_served(lab, address, 90).answers
            expect(len(answers) == 3, f"not all reals answered: {dict(answers)}")
        for real in lab.reals:
            counts = decap_counts(real)
            expect(counts["v4"] and counts["v6"], f"{real.name}: {counts}")
        expect_no_checksum_errors(lab)
        # To the MAC address of a real that is behind a router: named, and taken back.
        key, address = f"{VIP4}:80/tcp", lab.reals[0].ip4
        lbctl(lab, "real", "update", key, address, "--encap", "l2")
        rows = json.loads(lbctl(lab, "real", "list", key, "-o", "json").stdout)["reals"]
        expect("is behind the gateway" in rows[0]["next_hop_problem"], f"{rows[0]}")
        lbctl(lab, "real", "update", key, address, "--encap", "gre")
        answers = expect_served(lab, VIP4, 60).answers
        expect(len(answers) == 3, f"not all reals answered: {dict(answers)}")
        return {"requests": 240}


def move_to_segment(lab, real):
    """The real gets a link to the load balancer's segment; its answers leave by the router as before."""
    device = f"l2-{real.name}"
    number = lab.reals.index(real)
    lab.lb.ip([f"link add {device} mtu {UNDERLAY_MTU} type veth peer name eth1 mtu {UNDERLAY_MTU} "
               f"netns {real.netns}",
               f"addr add 10.20.{number}.1/24 dev {device}",
               f"addr add fd20:0:0:{number}::1/64 dev {device} nodad", f"link set {device} up"])
    real.ip([f"addr add 10.20.{number}.2/24 dev eth1",
             f"addr add fd20:0:0:{number}::2/64 dev eth1 nodad", "link set eth1 up",
             f"addr add {VIP4}/32 dev lo", f"addr add {VIP6}/128 dev lo nodad"])
    lab.attach_pass(real, "eth1")
    real.run(["ethtool", "-K", "eth1", "tx", "off"])
    return device, f"10.20.{number}.2", f"fd20:0:0:{number}::2"


@scenario
def encap_l2():
    """Classic direct routing: frames rewritten to the MAC of reals on a segment, without any tunnel."""
    with new_lab(reals=2) as lab:
        links = [move_to_segment(lab, real) for real in lab.reals]
        for real in lab.reals:
            start_nginx(real)
        document = config(vip(VIP4, [v4 for _, v4, _ in links]),
                          vip(VIP6, [v6 for _, _, v6 in links]),
                          interfaces=["eth0", *(device for device, _, _ in links)])
        for service in document["vips"]:
            for real in service["reals"]:
                real["encap"] = "l2"
        start_lbd(lab, document)
        for address in (VIP4, VIP6):
            answers = expect_served(lab, address, 60).answers
            expect(len(answers) == 2, f"not all reals answered: {dict(answers)}")
        expect_no_checksum_errors(lab)
        return {"requests": 120}


@scenario
def sources():
    """Lists and rates of clients, changed at run time, with counters."""
    key = f"{VIP4}:80/tcp"

    def refused(lab):
        return json.loads(lbctl(lab, "vip", "show", key, "-o", "json").stdout)["refused"]

    with serving_lab(lambda lab: config(vip(VIP4, [real.ip4 for real in lab.reals]))) as lab:
        expect_served(lab, VIP4, 10)
        lbctl(lab, "vip", "update", key, "--deny", f"{lab.client.ip4}/32")
        expect_unserved(lab, VIP4)
        expect(int(refused(lab)["denied"]) > 0, f"{refused(lab)}")
        lbctl(lab, "vip", "update", key, "--allow", f"{lab.client.ip4}/32", "--deny", "none")
        expect_served(lab, VIP4, 10)
        lbctl(lab, "vip", "update", key, "--allow", "192.0.2.0/24")
        expect_unserved(lab, VIP4)
        # A client that opens more than it may: a SYN is sent again after a second, and then served.
        lbctl(lab, "vip", "update", key, "--allow", "all", "--new-flows-per-source", "20/20")
        result = expect_served(lab, VIP4, 60, parallel=30)
        expect(int(refused(lab)["source_limited"]) > 0, f"{refused(lab)}")
        lbctl(lab, "vip", "update", key, "--new-flows-per-source", "0", "--new-flows", "20/20")
        expect_served(lab, VIP4, 60, parallel=30)
        expect(int(refused(lab)["limited"]) > 0, f"{refused(lab)}")
        return {"slowest": f"{max(result.seconds):.2f}"}


@scenario
def source_routes():
    """Clients of a prefix have a real of their own; without it, they have those of the VIP."""
    def document(lab, clients, state="active"):
        service = vip(VIP4, [real.ip4 for real in lab.reals[:2]])
        service["source_routes"] = [{"name": "site", "sources": [clients],
                                     "reals": [{"address": lab.reals[2].ip4, "state": state}]}]
        return config(service)

    with serving_lab(lambda lab: document(lab, f"{lab.client.ip4}/32")) as lab:
        own, special = {real.name for real in lab.reals[:2]}, {lab.reals[2].name}

        def apply(*arguments):
            lbctl(lab, "config", "apply", write_config(lab, document(lab, *arguments)))
            return set(expect_served(lab, VIP4, 40).answers)

        expect(set(expect_served(lab, VIP4, 40).answers) == special, "not routed by source")
        expect(apply("192.0.2.0/24") == own, "routed, though of another prefix")
        expect(apply(f"{lab.client.ip4}/32") == special, "not routed any more")
        expect(apply(f"{lab.client.ip4}/32", "down") == own, "no fallback to the reals of the VIP")
        return {}
