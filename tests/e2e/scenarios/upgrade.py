# SPDX-License-Identifier: Apache-2.0
"""Upgrades to an lbd whose maps have other layouts (lbd_other_abi), and downgrades back."""

import json
import signal
import time

from actors import SBIN, VIP4, config, lbctl, lbd_pins, start_lbd, udp_flows, vip
from harness import expect, new_lab, scenario
from lab import LabError, run, wait_until
from scenarios.churn import PORT, serving, transfers
from scenarios.hitless import RATE, RUNS

KEY = f"{VIP4}:{PORT}/tcp"
CONNECTIONS = 300


def _change(lab, document, program, signum=signal.SIGTERM):
    """The program in place of the lbd that runs; returns what the new one warns of."""
    lab.lbd.stop(signum)
    time.sleep(0.02)
    flags = ["--state_dir", lab.dir / "state", "--config_authoritative"]
    lab.lbd = start_lbd(lab, document, flags=flags, program=program)
    return json.loads(lbctl(lab, "status", "-o", "json").stdout).get("warnings", [])


def _tells(warnings):
    return any("could not be taken over: its maps" in text for text in warnings)


@scenario
def other_abi():
    """Upgrades and downgrades under traffic, by SIGTERM and SIGKILL: no packet lost, none to another
    real."""
    with new_lab() as lab:
        document = config(vip(VIP4, [real.ip4 for real in lab.reals], protocol="udp", port=53))
        lab.lbd = start_lbd(lab, document)
        with udp_flows(lab, VIP4, RATE) as figures:
            time.sleep(0.3)
            for run in range(RUNS):
                warnings = _change(lab, document, "lbd" if run % 2 else "lbd_other_abi",
                                   signal.SIGKILL if run % 4 < 2 else signal.SIGTERM)
                expect(not _tells(warnings), f"warnings: {warnings}")
                time.sleep(0.15)
        expect(int(figures["sent"]) > 10_000, f"too little was sent: {figures}")
        expect(figures["lost"] == "0" and figures["misdirected"] == "0", f"{figures}")
        return {"upgrades": RUNS // 2, "downgrades": RUNS // 2, **figures}


def _tracked(lab):
    return len(json.loads(lbctl(lab, "flow", "list", KEY, "-o", "json").stdout).get("flows", []))


@scenario
def other_abi_connections():
    """Connections survive upgrade and downgrade as they do a restart: those on stable slots, and those
    that only the flow table keeps at their real."""
    with serving(3) as lab:
        def document(state="active"):
            whole = config(vip(VIP4, [real.ip4 for real in lab.reals], port=PORT,
                               flows={"window_seconds": 60}))
            whole["vips"][0]["reals"][0]["state"] = state
            return whole

        lab.lbd = start_lbd(lab, document())
        with transfers(lab, connections=CONNECTIONS) as stable:
            for program in ("lbd_other_abi", "lbd"):
                time.sleep(1)
                warnings = _change(lab, document(), program)
                expect(not _tells(warnings), f"warnings: {warnings}")
            time.sleep(2)
        expect(stable["broken"] == 0, f"on stable slots: {stable}")

        tracked = 0
        for before, after in (("lbd", "lbd"), ("lbd", "lbd_other_abi"), ("lbd_other_abi", "lbd")):
            _change(lab, document(), before)
            with transfers(lab, f"{before}-{after}", connections=CONNECTIONS) as result:
                lbctl(lab, "real", "drain", KEY, lab.reals[0].ip4)
                wait_until(lambda: _tracked(lab) > CONNECTIONS // 6, 20, "flows are tracked", 0.2)
                warnings = _change(lab, document("draining"), after)
                expect(not _tells(warnings), f"{before}, {after}: {warnings}")
                tracked += _tracked(lab)
                time.sleep(3)
            expect(result["broken"] == 0, f"{before}, {after}: {result}")
        return {"connections": CONNECTIONS, "tracked": tracked, "broken": 0}


def _spoil_constants(lab):
    """Zeros in place of the constants that tell the next lbd how the maps are laid out."""
    for path in lbd_pins(lab).glob("program_*/map_*"):
        info = json.loads(run(["bpftool", "-j", "map", "show", "pinned", path], env=SBIN).stdout)
        if info["name"].endswith(".rodata"):
            path.unlink()
            run(["bpftool", "map", "create", path, "type", "array", "key", 4, "value",
                 info["bytes_value"], "entries", 1, "name", info["name"]], env=SBIN)
            return
    raise LabError(f"no constants are pinned in {lbd_pins(lab)}")


@scenario
def not_taken_over():
    """After an lbd whose maps mean other things, packets of stable slots go on as they went, and what
    is lost is told, as warning and event."""
    with new_lab() as lab:
        document = config(vip(VIP4, [real.ip4 for real in lab.reals], protocol="udp", port=53))
        lab.lbd = start_lbd(lab, document)
        with udp_flows(lab, VIP4, RATE) as figures:
            time.sleep(0.3)
            _spoil_constants(lab)
            expect(_tells(_change(lab, document, "lbd")), "nothing is said of what is lost")
            time.sleep(0.15)  # events are looked for ten times a second
            events = lbctl(lab, "events").stdout
            expect("could not be taken over" in events, f"no event: {events}")
            # The same one again: nothing is lost, and nothing said.
            warnings = _change(lab, document, "lbd", signal.SIGKILL)
            expect(not _tells(warnings), f"still told: {warnings}")
        expect(figures["lost"] == "0" and figures["misdirected"] == "0", f"{figures}")
        return figures
