# SPDX-License-Identifier: Apache-2.0
"""Health probes take the way of the clients' packets, whatever it is: each encapsulation, no tunnel at all,
reals of a source route, several interfaces and such that go away."""

import time

import actors
from actors import VIP4, VIP6, config, start_agent, start_nginx, vip
from harness import both_vips, expect, expect_served, new_lab, scenario, serving_lab
from lab import wait_until
from scenarios.health import (FALL, INTERVAL, TIMEOUT, apply, checks_of, expect_reason, four_vips, health,
                              http_check, unlimit_icmp, wait_state)
from scenarios.network import add_real_side, interfaces_of_hops
from scenarios.vips import move_to_segment

GUE_PORT = 9886


def _encapsulated(lab, encap, **settings):
    """Every mix of families, in this encapsulation."""
    document = four_vips(lab, http_check(), encap={"gue_port": GUE_PORT}, **settings)
    for service in document["vips"]:
        for real in service["reals"]:
            real["encap"] = encap
    return document


def _expect_no_decap(lab, encap):
    wait_state(lab, "down")
    for row in health(lab)["vips"]:
        for real in row["reals"]:
            # Hosts drop UDP without a checksum over IPv6 in silence, unless a tunnel wants it (RFC 6935).
            silent = encap == "gue" and ":" in real["address"]
            reason = ("timeout", "SYN unanswered") if silent else ("no_decap", "does not decapsulate")
            expect_reason(real["checks"], *reason)


@scenario
def health_encaps():
    """GUE, GRE and IPIP, by every mix of families: up, without decapsulation, without the VIP, refused."""
    with new_lab(reals=1) as lab:
        real, = lab.reals
        unlimit_icmp(real)
        nginx = start_nginx(real)
        agent = start_agent(real, flags=["--gue_port", GUE_PORT])
        lab.lbd = actors.start_lbd(lab, _encapsulated(lab, "gue"))
        for encap in ("gue", "gre", "ipip"):
            apply(lab, _encapsulated(lab, encap))
            wait_state(lab, "up")
            expect_served(lab, VIP4, 20)
            agent.stop()
            _expect_no_decap(lab, encap)
            agent = start_agent(real, flags=["--gue_port", GUE_PORT])
            wait_state(lab, "up")
            real.ip([f"addr del {VIP4}/32 dev lo"])
            expect_reason(wait_state(lab, "down", address=VIP4), "timeout", "SYN unanswered")
            expect(all(row["state"] == "up" for row in checks_of(lab, address=VIP6)), f"{encap}: VIP6 is there")
            real.ip([f"addr add {VIP4}/32 dev lo"])
            wait_state(lab, "up")
            nginx.stop(9)
            expect_reason(wait_state(lab, "down"), "refused", "connection refused")
            nginx = start_nginx(real)
            wait_state(lab, "up")
        # The outer source addresses of the clients' packets.
        apply(lab, _encapsulated(lab, "ipip", probes={"dataplane_source": True}))
        time.sleep(2 * (INTERVAL + TIMEOUT))
        wait_state(lab, "up")
        probes = health(lab)["probes"]
        expect(probes["malformed"] == probes["rejected"] == 0, f"{probes}")
        return {"probes": probes["started"]}


@scenario
def health_l2():
    """Frames rewritten to the MAC of reals on a segment: up, refused, without the VIP, gone."""
    with new_lab(reals=3) as lab:
        links = [move_to_segment(lab, real) for real in lab.reals]
        servers = [start_nginx(real) for real in lab.reals]
        document = config(vip(VIP4, [v4 for _, v4, _ in links], checks=[http_check()]),
                          vip(VIP6, [v6 for _, _, v6 in links], checks=[http_check()]),
                          interfaces=["eth0", *(device for device, _, _ in links)])
        for service in document["vips"]:
            for real in service["reals"]:
                real["encap"] = "l2"
        lab.lbd = actors.start_lbd(lab, document)

        def rows(number):
            return [check for row in health(lab)["vips"] for real in row["reals"]
                    if real["address"] in links[number][1:] for check in real["checks"]]

        def wait_down(number, result, text):
            wait_until(lambda: all(row["state"] == "down" for row in rows(number)), 15, f"{number} is down")
            expect_reason(rows(number), result, text)

        wait_state(lab, "up")
        expect_served(lab, VIP4, 30)
        servers[0].stop(9)
        wait_down(0, "refused", "connection refused")
        lab.reals[1].ip([f"addr del {VIP4}/32 dev lo", f"addr del {VIP6}/128 dev lo"])
        wait_down(1, "timeout", "SYN unanswered")
        for address in (VIP4, VIP6):
            answers = set(expect_served(lab, address, 30).answers)
            expect(answers == {lab.reals[2].name}, f"{address}: {answers}")
        # A real that is off the segment: its neighbour entry fails, and nobody can tell the dead from the lost.
        lab.reals[2].ip(["link set eth1 down"])
        wait_until(lambda: all(row["blind"] for row in rows(2)), 30, "the last one is blind", 0.2)
        lab.reals[2].ip(["link set eth1 up"])
        lab.reals[2].run(["ip", "-6", "addr", "replace", f"{links[2][2]}/64", "dev", "eth1", "nodad"])
        wait_until(lambda: all(row["state"] == "up" and not row["blind"] for row in rows(2)), 30,
                   "the last one is seen again", 0.2)
        return {}


@scenario
def health_source_route():
    """Reals of a source route are probed as those of their VIP; without one that is up, clients of the route
    have the VIP's own."""
    def document(lab):
        service = vip(VIP4, [real.ip4 for real in lab.reals[:2]], checks=[http_check()])
        service["source_routes"] = [{"name": "site", "sources": [f"{lab.client.ip4}/32"],
                                     "reals": [{"address": lab.reals[2].ip4}]}]
        return config(service)

    with serving_lab(document) as lab:
        special = lab.reals[2]

        def served_by(names, what):
            wait_until(lambda: set(expect_served(lab, VIP4, 20).answers) == names, 10, what)

        wait_state(lab, "up")
        served_by({special.name}, "clients of the route have its real")
        lab.nginx[special.name].stop(9)
        expect_reason(wait_state(lab, "down", special), "refused", "connection refused")
        served_by({real.name for real in lab.reals[:2]}, "clients of the route have the VIP's reals")
        lab.nginx[special.name] = start_nginx(special)
        wait_state(lab, "up", special)
        served_by({special.name}, "clients of the route have its real again")
        return {}


def expect_still_up(lab):
    """For longer than it takes to find a dead real."""
    time.sleep(FALL * INTERVAL + 2 * TIMEOUT)
    expect(all(row["state"] == "up" for row in checks_of(lab)), f"{checks_of(lab)}")


@scenario
def health_interfaces():
    """Probes leave by the interface of their next hop, and answers come in on another; interfaces are deleted
    and made again, and get more queues."""
    with new_lab() as lab:
        lab.nginx = {real.name: start_nginx(real) for real in lab.reals}
        for real in lab.reals:
            start_agent(real)
        add_real_side(lab)
        document = both_vips(lab, interfaces=["eth0", "eth1"])
        for service in document["vips"]:
            service["checks"] = [http_check()]
        lab.lbd = actors.start_lbd(lab, document)
        wait_state(lab, "up")

        def sockets():
            return {socket["interface"]: socket for socket in health(lab)["probes"]["sockets"]}

        def has_sockets(interface, queues):
            socket = sockets().get(interface)
            return socket and socket["queues"] == queues and socket["tested"]

        expect(set(sockets()) == {"eth0", "eth1"}, f"{sockets()}")
        # The way to the reals is deleted: there is another. That, too: the reals are not to blame.
        lab.router.ip(["link del to-lb2"])
        wait_until(lambda: interfaces_of_hops(lab) == {"eth0"}, 10, "the next hops move to eth0")
        expect_still_up(lab)
        lab.router.ip(["link del to-lb"])
        wait_until(lambda: all(row["blind"] for row in checks_of(lab)), 15, "all are blind")
        expect_still_up(lab)
        lab.connect_lb()
        wait_until(lambda: not any(row["blind"] for row in checks_of(lab)), 15, "all are seen again")
        wait_until(lambda: interfaces_of_hops(lab) == {"eth0"}, 10, "the next hops are on eth0 again")
        expect_still_up(lab)
        expect_served(lab, VIP4, 30)
        add_real_side(lab)
        wait_until(lambda: has_sockets("eth1", 1), 10, "eth1 has its sockets")
        wait_until(lambda: interfaces_of_hops(lab) == {"eth1"}, 10, "the next hops move back to eth1")

        # More receive queues, while it runs.
        lab.lb.run(["ethtool", "-L", "eth1", "rx", "2"])
        wait_until(lambda: has_sockets("eth1", 2), 10,
                   "the new queue has a socket")
        lab.nginx[lab.reals[0].name].stop(9)
        wait_state(lab, "down", lab.reals[0])
        expect_served(lab, VIP4, 30)
        others = [row["state"] for real in lab.reals[1:] for row in checks_of(lab, real)]
        expect(set(others) == {"up"}, f"the others are {others}")
        downs = [t for row in health(lab, "history", lab.reals[1].ip4)["vips"] for real in row["reals"]
                 for t in real.get("history", []) if not t.get("up")]
        expect(not downs, f"a healthy real went down: {downs}")
        return {}
