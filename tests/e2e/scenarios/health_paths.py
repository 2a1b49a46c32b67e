# SPDX-License-Identifier: Apache-2.0
"""Health probes and the way to a real: packets lost one way, hosts that hang, several receive queues, and
clients while a real dies."""

import json
import os
import pathlib
import re
import signal
import time

from actors import VIP4, config, lbctl, start_echo_server, start_lbd, vip, write_config
from harness import expect, new_lab, scenario, serving_lab
from lab import wait_until
from scenarios.churn import PORT, WINDOW, serving, transfers
from scenarios.health import apply, checks_of, expect_reason, four_vips, health, http_check, wait_state

TIMEOUT = {"timeout_ms": 500}


def _document(lab):
    return four_vips(lab, {**http_check(), **TIMEOUT})


def expect_lost(lab, real):
    """Nothing comes back, unless the router speaks up for IPv6: it does so a few times a second."""
    reasons = {row["last_reason"] for row in wait_state(lab, "down", real)}
    expect(reasons <= {"timeout after 500 ms, SYN unanswered", f"icmp: no route from {lab.lb.gateway6}"},
           f"the way to {real.name} is lost: {reasons}")


@scenario
def health_one_way():
    """Packets that are lost on the way to a real or back, and hosts that hang: found by both families of both
    headers, and over as soon as the trouble is."""
    with serving_lab(_document) as lab:
        real1, real2, real3 = lab.reals
        wait_state(lab, "up")
        # The way back, the way there, and a server that accepts and says nothing.
        lost = [f"route add blackhole {lab.lb.ip4}/32", f"route add blackhole {lab.lb.ip6}/128"]
        real1.ip(lost)
        lab.router.ip([f"route add blackhole {real2.ip4}/32", f"route add blackhole {real2.ip6}/128"])
        lab.nginx[real3.name].kill(signal.SIGSTOP)
        expect_reason(wait_state(lab, "down", real1), "timeout", "timeout after 500 ms, SYN unanswered")
        expect_lost(lab, real2)
        expect_reason(wait_state(lab, "down", real3), "timeout", "no answer to the request")

        real1.ip([line.replace("add", "del") for line in lost])
        lab.router.ip([f"route del blackhole {real2.ip4}/32", f"route del blackhole {real2.ip6}/128"])
        lab.nginx[real3.name].kill(signal.SIGCONT)
        wait_state(lab, "up")

        # The whole host.
        lab.router.ip([f"link set to-{real2.name} down"])
        expect_lost(lab, real2)
        expect(all(row["state"] == "up" for real in (real1, real3) for row in checks_of(lab, real)),
               "the others are up")
        return {}


def _redirected(node):
    """Packets that XDP took off each receive queue for a socket."""
    counts = {}
    for line in node.run(["ethtool", "-S", "eth0"]).stdout.splitlines():
        name, _, value = line.strip().partition(":")
        if name.startswith("rx_queue_") and name.endswith("_xdp_redirect"):
            counts[int(name.split("_")[2])] = int(value)
    return counts


def _two_queues(lab):
    """A veth receives on the queue that its peer sends on, by the hash of the connection. Before lbd attaches: on
    queues that a veth gets later no XDP program runs until one is attached again (seen on Linux 6.18)."""
    lab.lb.run(["ethtool", "-L", "eth0", "rx", "2"])
    lab.router.run(["ethtool", "-L", "to-lb", "tx", "2"])
    return _document(lab)


def _queues(lab):
    return [socket["queues"] for socket in health(lab)["probes"]["sockets"]]


@scenario
def health_queues():
    """Answers are taken from whatever receive queue they come on, also when a queue goes."""
    with serving_lab(_two_queues) as lab:
        wait_state(lab, "up")
        expect(_queues(lab) == [2], f"both queues have sockets: {_queues(lab)}")
        before = _redirected(lab.lb)
        wait_until(lambda: all(_redirected(lab.lb)[queue] > before[queue] + 10 for queue in (0, 1)), 15,
                   "answers come in on both queues", 0.2)
        figures = {f"queue{queue}": count for queue, count in _redirected(lab.lb).items()}

        # The kernel takes no queue away that has a socket.
        apply(lab, four_vips(lab, http_check(), health="none"))
        lab.router.run(["ethtool", "-L", "to-lb", "tx", "1"])
        wait_until(lambda: not lab.lb.run(["ethtool", "-L", "eth0", "rx", "1"], check=False).returncode, 5,
                   "a queue goes", 0.1)
        apply(lab, _document(lab))
        wait_until(lambda: _queues(lab) == [1], 10, "one queue has a socket")
        lab.nginx[lab.reals[0].name].stop(9)
        wait_state(lab, "down", lab.reals[0])
        history = health(lab, "history", lab.reals[1].ip4)
        downs = [t for row in history["vips"] for real in row["reals"] for t in real.get("history", [])
                 if not t.get("up")]
        expect(not downs, f"a healthy real went down: {downs}")
        return figures


@scenario
def health_failover():
    """A server is killed under transfers: clients lose those that it had, and no other, then or when it is
    back."""
    check = {"tcp": {}, "interval_ms": 200, "timeout_ms": 500, "rise": 2, "fall": 2, "damping": False}
    with serving(3) as lab:
        lab.lbd = start_lbd(lab, config(vip(VIP4, [real.ip4 for real in lab.reals], port=PORT,
                                            checks=[check], flows={"window_seconds": WINDOW})))
        wait_state(lab, "up")
        dead = lab.reals[0]
        with transfers(lab, connections=300) as result:
            had = len(dead.run(["ss", "-Htn", "state", "established", f"sport = :{PORT}"])
                      .stdout.splitlines())
            start = time.monotonic()
            lab.echo[dead.name].stop(9)
            wait_state(lab, "down", dead)
            out_after = time.monotonic() - start
            time.sleep(2)
            lab.echo[dead.name] = start_echo_server(dead, PORT)
            wait_state(lab, "up", dead)
            time.sleep(3)
        # Who asked the dead real before it was found out was refused, and came again.
        refused = sum(count for error, count in result["errors"].items() if "Refused" in error)
        broken = result["broken"] + result["too_silent"] - refused
        expect(had > 50, f"the dead real had {had} transfers")
        expect(broken <= had, f"{broken} transfers broke, and the dead real had {had}: {result}")
        return {"had": had, "broken": broken, "refused": refused, "out_after": f"{out_after:.2f}"}


@scenario
def health_soak():
    """Nothing goes down that is up, not while somebody captures either, and no memory goes away.
    LBD_SOAK_SECONDS: for how long."""
    seconds = float(os.environ.get("LBD_SOAK_SECONDS", 5))
    with serving_lab(lambda lab: four_vips(lab, {**http_check(), "interval_ms": 20})) as lab:
        wait_state(lab, "up")
        before, memory = health(lab)["probes"], _resident_kib(lab)
        time.sleep(seconds)
        captured = int(health(lab)["probes"]["succeeded"])
        lbctl(lab, "capture", "--seconds", "1", "--verdict", "no_real")
        after = health(lab)["probes"]
        made = int(after["succeeded"]) - int(before["succeeded"])
        expect(made > 100 * seconds, f"only {made} probes in {seconds} s")
        expect(int(after["succeeded"]) > captured + 50, "probes go on during a capture")
        for name in ("transitions", "malformed", "rejected"):
            expect(after[name] == before[name], f"{name}: {before[name]} before, {after[name]} after")
        grown = _resident_kib(lab) - memory
        expect(grown < 4096, f"lbd has grown by {grown} KiB")
        failed = sum(int(row["count"]) for row in after["failed"])
        return {"probes": made, "failed": failed, "frozen": after["frozen"], "grown_kib": grown}


def _resident_kib(lab):
    text = pathlib.Path(f"/proc/{lab.lbd.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s*(\d+)", text, re.MULTILINE)[1])


@scenario
def health_unavailable():
    """A host without AF_XDP says so, and works without checks."""
    with new_lab(reals=1) as lab:
        flags = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
        without = config(vip(VIP4, [lab.reals[0].ip4]))
        lab.lbd = start_lbd(lab, without, wrap=lambda argv: [*flags, *argv])
        checked = write_config(lab, config(vip(VIP4, [lab.reals[0].ip4], checks=[http_check()])), "a.yaml")
        refused = lbctl(lab, "config", "apply", checked, check=False)
        expect(refused.returncode != 0 and "AF_XDP" in refused.stderr and "health: none" in refused.stderr,
               f"the refusal says {refused.stderr}")
        lbctl(lab, "config", "apply",
              write_config(lab, config(vip(VIP4, [lab.reals[0].ip4], checks=[http_check()]), health="none"),
                           "b.yaml"))
        status = lbctl(lab, "status").stdout
        expect("off: health is none" in status, f"status:\n{status}")
        rows = health(lab)["vips"][0]["reals"]
        expect(rows[0]["state"] == "up", f"{rows}")
        return {}
