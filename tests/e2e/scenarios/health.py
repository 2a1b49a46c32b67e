# SPDX-License-Identifier: Apache-2.0
"""Health probes: every way in which a real can fail is found and named, and nothing else is."""

import json
import time

import actors
from actors import VIP4, VIP6, config, lbctl, start_agent, start_nginx, vip
from harness import expect, expect_served, expect_unserved, scenario, serving_lab
from lab import wait_until

INTERVAL, TIMEOUT, FALL, RISE = 0.4, 1.0, 2, 2
# From a death to the ring, and room for a busy machine.
PATIENCE = 15


def http_check(**fields):
    return {"http": {"path": "/", **fields}, "port": 80, "interval_ms": int(INTERVAL * 1000),
            "timeout_ms": int(TIMEOUT * 1000), "fall": FALL, "rise": RISE, "damping": False}


def four_vips(lab, check, **settings):
    """Every mix of inner and outer family."""
    ip4, ip6 = [real.ip4 for real in lab.reals], [real.ip6 for real in lab.reals]
    return config(vip(VIP4, ip4, checks=[check]), vip(VIP6, ip6, checks=[check]),
                  vip(VIP4, ip6, port=8080, checks=[check]),
                  vip(VIP6, ip4, port=8080, checks=[check]), **settings)


def health(lab, *argv):
    return json.loads(lbctl(lab, "health", *argv, "-o", "json").stdout)


def checks_of(lab, node=None, address=None):
    """The rows of a node's addresses, or of all."""
    wanted = None if node is None else (node.ip4, node.ip6)
    return [check for vip_row in health(lab)["vips"] if address in (None, vip_row["vip"]["address"])
            for real in vip_row["reals"] if wanted is None or real["address"] in wanted
            for check in real["checks"]]


def wait_state(lab, state, node=None, address=None):
    """Waits until all these rows have the state, and returns them."""
    def there():
        rows = checks_of(lab, node, address)
        return rows if rows and all(row["state"] == state for row in rows) else None
    return wait_until(there, PATIENCE, f"{node.name if node else 'every real'} is {state}", 0.05)


def expect_reason(rows, result, text):
    for row in rows:
        expect(row["last_result"] == result and text in row["last_reason"],
               f"wanted {result} with {text!r}, got {row}")


def unlimit_icmp(node):
    """Every failure is to be named: hosts send only so many ICMP errors."""
    node.set_sysctls({"net/ipv4/icmp_ratelimit": 0, "net/ipv6/icmp/ratelimit": 0})


def _lab(**settings):
    return serving_lab(lambda lab: four_vips(lab, http_check(), **settings))


@scenario
def health_failures():
    """Dead server, missing decapsulation, missing VIP, wrong status; by both families of both headers."""
    with _lab() as lab:
        real1, real2, real3 = lab.reals
        wait_state(lab, "up")
        status = json.loads(lbctl(lab, "status", "-o", "json").stdout)
        expect("af_xdp in copy mode" in status["probing"], f"status says {status['probing']}")
        sockets = health(lab)["probes"]["sockets"]
        expect(sockets and all(s["tested"] and not s["problem"] for s in sockets), f"{sockets}")

        nginx = lab.nginx[real1.name]
        start = time.monotonic()
        nginx.stop(9)
        expect_reason(wait_state(lab, "down", real1), "refused", "connection refused")
        out_after = time.monotonic() - start
        result = expect_served(lab, VIP4)
        expect(real1.name not in result.answers, f"a dead real answered: {result.answers}")
        expect_served(lab, VIP6)
        lab.nginx[real1.name] = start_nginx(real1)
        wait_state(lab, "up", real1)
        wait_until(lambda: real1.name in expect_served(lab, VIP4).answers, 5, "real1 serves again")

        unlimit_icmp(real2)
        lab.agents[real2.name].stop()
        expect_reason(wait_state(lab, "down", real2), "no_decap", "does not decapsulate")
        lab.agents[real2.name] = start_agent(real2)
        wait_state(lab, "up", real2)

        real3.ip([f"addr del {VIP4}/32 dev lo"])
        expect_reason(wait_state(lab, "down", real3, VIP4), "timeout", "SYN unanswered")
        expect(all(row["state"] == "up" for row in checks_of(lab, real3, VIP6)), "VIP6 is there")
        real3.ip([f"addr add {VIP4}/32 dev lo"])
        wait_state(lab, "up", real3)

        apply(lab, four_vips(lab, http_check(path="/missing")))
        expect_reason(wait_state(lab, "down"), "status", "got 404, want 200-299")
        apply(lab, four_vips(lab, http_check(path="/missing", status=["404"], body="nginx")))
        wait_state(lab, "up")
        history = health(lab, "history", real1.ip4, "--vip", f"{VIP4}:80/tcp")
        reasons = [t["reason"] for t in history["vips"][0]["reals"][0]["history"]]
        expect("http: connection refused" in reasons and "http: got 404, want 200-299" in reasons,
               f"history: {reasons}")
        events = lbctl(lab, "events").stdout
        expect(f"{VIP4}:80/tcp real {real1.ip4}: down: http: connection refused" in events,
               f"events:\n{events}")
        return {"out_after": f"{out_after:.2f}", **reactions(lab)}


def reactions(lab):
    """How soon the rings followed the checks; figures, as machines are busy."""
    text = lab.lb.run(["curl", "-sf", "--max-time", "10", "http://127.0.0.1:9188/metrics"]).stdout
    values = {line.split()[0]: float(line.split()[1]) for line in text.splitlines()
              if line.startswith("lbd_health_reaction_seconds")}
    count = values["lbd_health_reaction_seconds_count"]
    expect(count > 0, "no transition reached a ring")
    mean = 1e3 * values["lbd_health_reaction_seconds_sum"] / count
    return {"transitions": int(count), "reaction_ms": f"{mean:.2f}",
            "within_10ms": int(values['lbd_health_reaction_seconds_bucket{le="0.01"}'])}


def apply(lab, document):
    lbctl(lab, "config", "apply", actors.write_config(lab, document, "next.yaml"))


@scenario
def health_blind():
    """Trouble of the load balancer itself takes no real out, and a restart keeps what was known."""
    with _lab() as lab:
        real1 = lab.reals[0]
        wait_state(lab, "up")
        lab.nginx[real1.name].stop(9)
        wait_state(lab, "down", real1)

        lab.router.ip(["link set to-lb down"])
        wait_until(lambda: all(row["blind"] for row in checks_of(lab)), PATIENCE, "all are blind")
        time.sleep(FALL * INTERVAL + 2 * TIMEOUT)
        ups = [row["state"] for row in checks_of(lab)].count("up")
        expect(ups == 8, f"{ups} of 8 reals are still up after the link was down")
        lab.router.ip(["link set to-lb up", f"route add {VIP4}/32 via {lab.lb.ip4}",
                       f"addr replace {lab.lb.gateway6}/64 dev to-lb nodad",
                       f"route add {VIP6}/128 via {lab.lb.ip6}"])
        lab.lb.ip([f"route replace default via {lab.lb.gateway4}"])
        lab.lb.run(["ip", "-6", "route", "replace", "default", "via", lab.lb.gateway6])
        wait_until(lambda: not any(row["blind"] for row in checks_of(lab)), PATIENCE,
                   "nobody is blind any more")

        lab.lbd.stop(9)
        lab.lbd = actors.start_lbd(lab, four_vips(lab, http_check()))
        result = expect_served(lab, VIP4)
        expect(real1.name not in result.answers, f"after a restart a dead real answered: {result}")
        wait_state(lab, "down", real1)

        apply(lab, four_vips(lab, http_check(), health="none"))
        expect(lbctl(lab, "status").stdout.count("off: health is none") == 1, "status of none")
        return {}


@scenario
def health_policy():
    """What an operator says counts before the checks; with too few healthy reals the policy of the VIP counts."""
    key = f"{VIP4}:80/tcp"

    def document(lab, **policy):
        return config(vip(VIP4, [real.ip4 for real in lab.reals], checks=[http_check()], **policy))

    def served_by(lab, names, what):
        wait_until(lambda: set(expect_served(lab, VIP4, 20).answers) == names, 10, what)

    with serving_lab(document) as lab:
        first, second, third = lab.reals
        names = {real.name for real in lab.reals}
        wait_state(lab, "up")
        lbctl(lab, "health", "set", key, first.ip4, "down")
        served_by(lab, names - {first.name}, "a real that is set down gets nothing")
        expect(checks_of(lab, first)[0]["state"] == "up", "its checks go on, and say what they find")
        lbctl(lab, "health", "set", key, first.ip4, "auto")
        served_by(lab, names, "its checks count again")
        lbctl(lab, "health", "set", key, first.ip4, "down", "--for", "1")
        served_by(lab, names - {first.name}, "it is set down for a second")
        served_by(lab, names, "the second is over")

        lab.nginx[first.name].stop(9)
        wait_state(lab, "down", first)
        lbctl(lab, "health", "set", key, first.ip4, "up")
        rows = health(lab)["vips"][0]
        expect(rows["healthy"] == 3 and rows["reals"][0]["override_up"], f"set up: {rows}")
        failures = actors.request_many(lab.client, VIP4, 60).failures
        expect(failures > 5, f"a dead real that is set up gets traffic, and {failures} of 60 failed")
        lbctl(lab, "health", "set", key, first.ip4, "auto")
        served_by(lab, names - {first.name}, "the dead real is out again")

        # Fewer than the VIP needs: down, and packets have a verdict of their own; or all get traffic.
        apply(lab, document(lab, min_healthy=2))
        lab.nginx[second.name].stop(9)
        wait_state(lab, "down", second)
        row = health(lab)["vips"][0]
        expect(row["healthy"] == 1 and row["min_healthy"] == 2 and not row["failed_open"], f"{row}")
        served_by(lab, {third.name}, "the last one serves what it can")
        lab.nginx[third.name].stop(9)
        wait_state(lab, "down", third)
        before = actors.verdicts(lab).get("no_real", 0)
        expect_unserved(lab, VIP4)
        expect(actors.verdicts(lab)["no_real"] > before, "dropped as no_real")
        apply(lab, document(lab, fail_open=True))
        wait_until(lambda: health(lab)["vips"][0]["failed_open"], 5, "the VIP fails open")
        # From now on reals refuse by themselves: one that serves, though its check cannot know it, is found.
        slow = {**http_check(), "port": 81}
        lab.nginx = {real.name: start_nginx(real) for real in lab.reals}
        apply(lab, config(vip(VIP4, [real.ip4 for real in lab.reals], checks=[slow], fail_open=True)))
        wait_state(lab, "down")
        served_by(lab, names, "all of its reals get traffic")
        return {}
