# SPDX-License-Identifier: Apache-2.0
"""lbd and lbagent work with exactly the capabilities that their systemd units leave them."""

import json
import re
import socket

from actors import (VIP4, VIP6, agent_pins, binary, config, lbctl, lbd_flags, start_nginx, vip,
                    write_config)
from harness import expect, expect_served, new_lab, scenario
from lab import ROOT, run, wait_until

UNITS = ROOT / "deploy/systemd"


def _capabilities(unit):
    text = (UNITS / unit).read_text()
    return re.search(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE)[1].split()


def _confined(unit, argv):
    """The command with the capabilities of the unit and no others, as systemd would run it."""
    kept = ",".join("+" + name.removeprefix("CAP_").lower() for name in _capabilities(unit))
    return ["setpriv", f"--bounding-set=-all,{kept}", f"--inh-caps=-all,{kept}", "--no-new-privs",
            *argv]


def _effective(pid):
    text = open(f"/proc/{pid}/status").read()
    return {name: int(re.search(rf"^{name}:\s*(\w+)$", text, re.MULTILINE)[1], 16)
            for name in ("CapEff", "CapPrm", "CapBnd")}


@scenario
def units():
    """systemd finds nothing to object to in the units."""
    for unit in ("lbd.service", "lbagent.service"):
        text = (UNITS / unit).read_text()
        done = run(["systemd-analyze", "verify", "--man=no", UNITS / unit], check=False)
        said = [line for line in done.stderr.splitlines() if "is not executable" not in line]
        expect(not said, f"{unit}: {said}")
        expect("NoNewPrivileges=yes" in text, unit)
    return {"units": 2}


@scenario
def capabilities():
    """Start, serve, change settings, restart and take over, detach: without the rest of root."""
    with new_lab() as lab:
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(lab.dir / "notify"))
        notify.settimeout(20)
        for real in lab.reals:
            start_nginx(real)
            real.start(f"lbagent-{real.name}", _confined("lbagent.service", [
                binary("lbagent"), "--interface", "eth0", "--vip", VIP4, "--vip", VIP6,
                "--bpffs", agent_pins(real)]))
        document = config(vip(VIP4, [real.ip4 for real in lab.reals]))
        flags = [*lbd_flags(lab)[:-1], "--state_dir", lab.dir / "state"]

        def start():
            path = write_config(lab, document)
            process = lab.lb.start("lbd", _confined("lbd.service", [
                binary("lbd"), *flags, "--config", path]), env={
                    "NOTIFY_SOCKET": str(lab.dir / "notify"), "WATCHDOG_USEC": "600000"})
            heard = ""
            while "READY=1" not in heard:
                process.require_alive()
                heard = notify.recv(1000).decode()
            return process

        lbd = start()
        for real in lab.reals:
            wait_until(lambda log=lab.dir / f"log/lbagent-{real.name}.log":
                       "serving " in log.read_text(), 10, f"lbagent serves on {real.name}")
        expect_served(lab, VIP4, 50)
        while "WATCHDOG=1" not in notify.recv(1000).decode():
            pass
        kept = _effective(lbd.pid)
        allowed = sum(1 << bit for bit in (12, 13, 38, 39))  # NET_ADMIN, NET_RAW, PERFMON, BPF
        expect(all(value & ~allowed == 0 for value in kept.values()), f"it has {kept}")
        # Other settings: a new program takes over from the one that is attached.
        document["limits"] = {"vips": 1024}
        path = write_config(lab, document)
        lbctl(lab, "config", "apply", path)
        expect_served(lab, VIP4, 50)
        # A new process takes over from the one before, with its tracked flows.
        lbctl(lab, "real", "drain", f"{VIP4}:80/tcp", lab.reals[0].ip4)
        lbd.stop()
        lbd = start()
        said = lbd.output()
        expect("cannot be taken over" not in said, said)
        answers = expect_served(lab, VIP4, 50).answers
        expect(lab.reals[0].name not in answers, f"{answers}")
        generation = json.loads(lbctl(lab, "status", "-o", "json").stdout)["generation"]
        expect(generation == 3, f"generation {generation}")
        lbd.stop()
        lab.lb.run(_confined("lbd.service", [binary("lbd"), *flags, "--detach"]))
        expect("xdp" not in lab.lb.link(), "the program is still on eth0")
        return {"lbd": ",".join(_capabilities("lbd.service"))}
