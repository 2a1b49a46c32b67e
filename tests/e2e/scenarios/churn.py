# SPDX-License-Identifier: Apache-2.0
"""Established connections survive whatever changes, as long as their real is alive."""

import contextlib
import json
import pathlib
import signal
import time

from actors import (VIP4, VIP6, config, lbctl, start_agent, start_echo_server, start_lbd, vip,
                    write_config)
from harness import expect, new_lab, scenario
from lab import wait_until

TOOLS = pathlib.Path(__file__).resolve().parents[1] / "tools"
PORT = 7
CONNECTIONS = 2000
WINDOW = 8  # seconds; idle connections are silent for less
MAX_IDLE = 5


def _document(reals):
    return config(vip(VIP4, [real.ip4 for real in reals], port=PORT,
                      flows={"window_seconds": WINDOW}))


@contextlib.contextmanager
def transfers(lab, name="transfers", connections=CONNECTIONS):
    """Transfers that run until the end of the block; then what became of them."""
    process = lab.client.start(name, [TOOLS / "transfers.py", VIP4, PORT, connections, MAX_IDLE,
                                      WINDOW])
    wait_until(lambda: "ready" in process.output(), 60, "all transfers are connected")
    result = {}
    yield result
    process.stop(signal.SIGTERM, timeout=60)
    result.update(json.loads(process.output().splitlines()[-1]))


class _Vip:
    """Changes of the VIP, and what its tracking does meanwhile."""

    def __init__(self, lab):
        self.lab = lab
        self.key = f"{VIP4}:{PORT}/tcp"
        self.peak = 0

    def real(self, verb, real, *argv):
        lbctl(self.lab, "real", verb, self.key, real.ip4, *argv)
        self.tracking()

    def state(self, real, state):
        self.real("update", real, "--state", state)

    def weight(self, real, weight):
        self.real("update", real, "--weight", weight)

    def tracking(self):
        stats = json.loads(lbctl(self.lab, "stats", "-o", "json").stdout)
        tracking = stats["vips"][0]["tracking"]
        tracking = {name: int(value) for name, value in tracking.items()}
        self.peak = max(self.peak, tracking["flow_peak"])
        return tracking

    def remaining(self, real):
        """Tracked flows of a real, and slots that still lead unknown flows to it."""
        rows = json.loads(lbctl(self.lab, "real", "list", self.key, "-o", "json").stdout)["reals"]
        row = next(row for row in rows if row["real"]["address"] == real.ip4)
        return int(row["flows"]), int(row["leaving_slots"])

    def wait_final(self, timeout=WINDOW + 20):
        """Until every window is over."""
        wait_until(lambda: self.tracking()["changing_slots"] == 0, timeout, "the windows end", 0.5)


@contextlib.contextmanager
def serving(reals, spare=0):
    """A lab with echo servers; lbd is still to be started."""
    with new_lab(reals + spare) as lab:
        lab.echo = {}
        for real in lab.reals[:reals]:
            start_agent(real)
            lab.echo[real.name] = start_echo_server(real, PORT)
        yield lab


@scenario
def churn():
    """2000 transfers across flaps, restarts, additions, removals, weights and a killed lbd."""
    with serving(6) as lab:
        first, added = lab.reals[:5], lab.reals[5]
        lab.lbd = start_lbd(lab, _document(first))
        service = _Vip(lab)
        with transfers(lab) as result:
            # A real that flaps, within the window.
            for down in (1, 3):
                service.state(first[0], "down")
                time.sleep(down)
                service.state(first[0], "active")
                time.sleep(1)
            # A rolling restart as health sees it, the last beyond the window.
            for real, down in zip(first, (1, 1, 1, 1, WINDOW + 6)):
                service.state(real, "down")
                time.sleep(down)
                service.state(real, "active")
            # A fifth more reals, and changes while that change is under way.
            service.real("add", added)
            time.sleep(2)
            service.weight(first[1], 150)
            time.sleep(2)
            service.weight(first[2], 50)
            # lbd dies in the middle, and starts again with what was in force.
            current = lbctl(lab, "config", "get").stdout
            lab.lbd.stop(signal.SIGKILL)
            time.sleep(1)
            lab.lbd = start_lbd(lab, current)
            service.weight(first[1], 100)
            service.wait_final()
            service.weight(first[2], 100)
            # Two reals leave.
            for real in first[3:]:
                service.real("drain", real)
            for real in first[3:]:
                wait_until(lambda leaving=real: service.remaining(leaving) == (0, 0), 300,
                           f"{real.name} is drained", 1)
                service.real("delete", real)
        service.tracking()
        expect(result["broken"] == 0, f"broken transfers: {result}")
        expect(result["too_silent"] <= CONNECTIONS // 100, f"the machine is too busy: {result}")
        expect(service.peak > 0, "no flow was ever tracked: nothing was tested")
        return {"connections": CONNECTIONS, "transfers": result["transfers"],
                "broken": result["broken"], "too_silent": result["too_silent"],
                "table_peak": service.peak, "mib": result["bytes"] >> 20,
                "slowest_ms": result["slowest_ms"]}


@scenario
def churn_untracked():
    """The same kind of change breaks connections where tracking is off: the test can fail."""
    with serving(3) as lab:
        document = _document(lab.reals)
        document["vips"][0]["tracking"] = "none"
        lab.lbd = start_lbd(lab, document)
        service = _Vip(lab)
        with transfers(lab, connections=300) as result:
            service.weight(lab.reals[0], 20)
            time.sleep(5)
        expect(result["broken"] > 10, f"only {result['broken']} transfers broke")
        return {"connections": 300, "broken": result["broken"]}


@scenario
def takeover():
    """Another load balancer with the same configuration and an empty table takes over mid-change."""
    with serving(4, spare=1) as lab:
        reals, second = lab.reals[:4], lab.reals[4]
        lab.lbd = start_lbd(lab, _document(reals[:3]))
        service = _Vip(lab)
        with transfers(lab, connections=1000) as stable:
            _prepare_second(lab, second, _document(reals[:3]))
            _send_vips_to(lab, second)
            time.sleep(8)
        expect(stable["broken"] == 0, f"broken on stable slots: {stable}")
        _send_vips_to(lab, lab.lb)
        with transfers(lab, "transfers-2", connections=1000) as changing:
            time.sleep(10)  # so that transfers end and others begin
            service.real("add", reals[3])
            time.sleep(5)
            lbctl(lab, "real", "add", service.key, reals[3].ip4, name="second")
            _send_vips_to(lab, second)
            time.sleep(8)
        moved = 1000 // 4
        expect(changing["broken"] < moved, f"more broken than have moved: {changing}")
        return {"connections": 1000, "broken_on_stable_slots": 0,
                "broken_while_changing": changing["broken"], "on_changing_slots": f"~{moved}"}


def _prepare_second(lab, node, document):
    lab.prepare_link(node)
    start_lbd(lab, None, node=node, name="second",
              flags=["--config", write_config(lab, document, "second.yaml")])


def _send_vips_to(lab, node):
    lab.router.ip([f"route replace {VIP4}/32 via {node.ip4}",
                   f"route replace {VIP6}/128 via {node.ip6}"])
