# SPDX-License-Identifier: Apache-2.0
"""lbd goes and comes back under traffic, and no packet notices."""

import json
import signal
import time

from actors import VIP4, config, lbctl, start_lbd, udp_flows, vip
from harness import expect, new_lab, scenario

RATE = 100_000
RUNS = 20


def _document(lab, run):
    """Every other run has other limits: other maps, as after an upgrade that changes their layout."""
    large = run % 2
    return config(vip(VIP4, [real.ip4 for real in lab.reals], protocol="udp", port=53),
                  limits={"vips": 512 << large, "ring_slots": 1 << (20 + large),
                          "flows": 1 << (18 + large)})


@scenario
def hitless():
    """Restarts, crashes and changes of the map layout under traffic: no packet lost, none to another
    real, counted at the reals."""
    with new_lab() as lab:
        flags = ["--state_dir", lab.dir / "state", "--config_authoritative"]
        lab.lbd = start_lbd(lab, _document(lab, 0), flags=flags)
        with udp_flows(lab, VIP4, RATE) as figures:
            time.sleep(0.3)
            for run in range(RUNS):
                lab.lbd.stop(signal.SIGKILL if run % 4 < 2 else signal.SIGTERM)
                time.sleep(0.02)
                lab.lbd = start_lbd(lab, _document(lab, run // 2), flags=flags)
        expect(int(figures["sent"]) > 10_000, f"too little was sent: {figures}")
        expect(figures["lost"] == "0" and figures["misdirected"] == "0", f"{figures}")
        return {"runs": RUNS, **figures}


@scenario
def other_abi():
    """Upgrades to an lbd that cannot read the maps of the one before, and back, under traffic: no
    packet lost, none to another real; what could not be taken over is told, as warning and event."""
    with new_lab() as lab:
        flags = ["--state_dir", lab.dir / "state", "--config_authoritative"]
        lab.lbd = start_lbd(lab, _document(lab, 0), flags=flags)
        with udp_flows(lab, VIP4, RATE) as figures:
            time.sleep(0.3)
            for run in range(8):
                lab.lbd.stop(signal.SIGKILL if run % 4 < 2 else signal.SIGTERM)
                time.sleep(0.02)
                program = "lbd" if run % 2 else "lbd_other_abi"
                lab.lbd = start_lbd(lab, _document(lab, run // 2), flags=flags, program=program)
                warnings = json.loads(lbctl(lab, "status", "-o", "json").stdout)["warnings"]
                expect(any("could not be taken over: its maps" in text for text in warnings),
                       f"nothing is said of what is lost: {warnings}")
                time.sleep(0.15)  # events are looked for ten times a second
                events = lbctl(lab, "events").stdout
                expect("could not be taken over" in events, f"no event: {events}")
            # The same one again: nothing is lost, and nothing said.
            lab.lbd.stop(signal.SIGKILL)
            lab.lbd = start_lbd(lab, _document(lab, 3), flags=flags)
            status = lbctl(lab, "status").stdout
            expect("taken over" not in status, f"still told: {status}")
        expect(int(figures["sent"]) > 10_000, f"too little was sent: {figures}")
        expect(figures["lost"] == "0" and figures["misdirected"] == "0", f"{figures}")
        return {"upgrades": 8, **figures}
