# SPDX-License-Identifier: Apache-2.0
"""The load balancer's host keeps its own traffic; pings to VIPs are answered."""

from actors import VIP4, VIP6, start_nginx, verdicts
from harness import expect, expect_served, scenario, with_both_vips

PINGS = 20


def _ping(client, address, *flags):
    done = client.run(["ping", "-q", "-c", PINGS, "-i", "0.01", "-W", "1", *flags, address],
                      check=False)
    expect(f" {PINGS} received" in done.stdout,
           f"ping {' '.join(map(str, flags))} {address}: {done.stdout} {done.stderr}")


@scenario
def not_for_us():
    """What is not for a VIP passes untouched, to the host and through it."""
    with with_both_vips() as lab:
        start_nginx(lab.lb)
        real = lab.reals[0]
        # An address behind the load balancer's host, which forwards it like any router.
        behind = "10.99.0.1"
        real.ip([f"addr add {behind}/32 dev lo"])
        lab.lb.set_sysctls({"net/ipv4/ip_forward": 1, "net/ipv4/conf/all/send_redirects": 0,
                            "net/ipv4/conf/eth0/send_redirects": 0})
        lab.router.ip([f"route add {behind}/32 via {lab.lb.ip4}",
                       f"route add {behind}/32 via {real.ip4} table 100",
                       "rule add iif to-lb lookup 100"])
        before = verdicts(lab)
        for address in (lab.lb.ip4, lab.lb.ip6, behind):
            _ping(lab.client, address)
            # Fragments. The first one teaches the answering host the path's MTU.
            lab.client.run(["ping", "-c", "1", "-W", "0.2", "-s", 4000, address], check=False)
            _ping(lab.client, address, "-s", 4000)
            result = expect_served(lab, address, 50)
            expect(len(result.answers) == 1, f"{address}: {result.answers}")
        for address in (lab.lb.ip4, behind):
            _ping(lab.client, address, "-T", "tsonly")  # IP options
        after = verdicts(lab)
        changed = {name: after[name] - before.get(name, 0) for name in after
                   if after[name] != before.get(name, 0)}
        expect(set(changed) <= {"not_vip", "not_ip"}, f"verdicts for others' traffic: {changed}")
        expect(changed["not_vip"] > 8 * PINGS, f"the program saw only {changed}")
        return changed


@scenario
def ping():
    """Echo requests to VIPs are answered by the load balancer, at every size that fits."""
    with with_both_vips() as lab:
        before = verdicts(lab).get("echo_reply", 0)
        for address, largest in ((VIP4, 1472), (VIP6, 1452)):
            for size in (0, 1, 56, 57, largest):
                _ping(lab.client, address, "-s", size)
        answered = verdicts(lab)["echo_reply"] - before
        expect(answered == 10 * PINGS, f"echo_reply grew by {answered}, not {10 * PINGS}")
        return {"answered": answered}
