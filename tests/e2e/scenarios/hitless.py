# SPDX-License-Identifier: Apache-2.0
"""lbd goes and comes back under traffic, and no packet notices."""

import signal
import time

from actors import VIP4, config, start_lbd, udp_flows, vip
from harness import expect, new_lab, scenario

RATE = 100_000
MIN_RATE = 30_000  # what a busy machine reaches; with less, gaps fall between two packets
RUNS = 20


def _document(lab, run):
    """Every other run has other limits: maps of other sizes."""
    large = run % 2
    return config(vip(VIP4, [real.ip4 for real in lab.reals], protocol="udp", port=53),
                  limits={"vips": 512 << large, "ring_slots": 1 << (20 + large),
                          "flows": 1 << (18 + large)})


@scenario
def hitless():
    """Restarts, crashes and changes of the maps' sizes under traffic: no packet lost, none to another
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
        expect(int(figures["pps"]) > MIN_RATE, f"too little was sent: {figures}")
        expect(figures["lost"] == "0" and figures["misdirected"] == "0", f"{figures}")
        return {"runs": RUNS, **figures}
