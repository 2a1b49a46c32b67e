# SPDX-License-Identifier: Apache-2.0
"""lbd and lbagent work with exactly the capabilities that their systemd units leave them."""

import json
import re
import signal
import socket

from actors import (VIP4, VIP6, agent_pins, binary, config, lbctl, lbd_flags, start_nginx, vip,
                    write_config)
from harness import expect, expect_served, new_lab, scenario
from lab import ROOT, run

UNITS = ROOT / "deploy/systemd"


def _help_of(name):
    return run([binary(name), "--help"], check=False).stdout


def _capabilities(unit):
    text = (UNITS / unit).read_text()
    return re.search(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE)[1].split()


def _confined(unit, argv):
    """The command with the capabilities of the unit and no others, as systemd would run it."""
    kept = ",".join("+" + name.removeprefix("CAP_").lower() for name in _capabilities(unit))
    return ["setpriv", f"--bounding-set=-all,{kept}", f"--inh-caps=-all,{kept}", "--no-new-privs",
            *argv]


def _start(node, unit, argv):
    """The process and the socket on which it tells systemd about itself, once it is ready."""
    path = node.lab.dir / f"notify-{node.name}"
    path.unlink(missing_ok=True)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(path))
    notify.settimeout(20)
    process = node.start(f"{argv[0].name}-{node.name}", _confined(unit, argv),
                         env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "600000"})
    try:
        _hear(notify, "READY=1")
    except TimeoutError:
        process.require_alive()
        raise
    return process, notify


def _hear(notify, word):
    while word not in notify.recv(1000).decode():
        pass


def _effective(pid):
    text = open(f"/proc/{pid}/status").read()
    return {name: int(re.search(rf"^{name}:\s*(\w+)$", text, re.MULTILINE)[1], 16)
            for name in ("CapEff", "CapPrm")}


@scenario
def units():
    """systemd finds nothing to object to in the units and the groups, which are those that lbd asks for."""
    for unit in ("lbd.service", "lbagent.service"):
        text = (UNITS / unit).read_text()
        done = run(["systemd-analyze", "verify", "--man=no", UNITS / unit], check=False)
        said = [line for line in done.stderr.splitlines() if "is not executable" not in line]
        expect(not said, f"{unit}: {said}")
        expect("NoNewPrivileges=yes" in text, unit)
    groups = re.findall(r"^g (\S+)", (UNITS / "lbd.sysusers").read_text(), re.MULTILINE)
    run(["systemd-sysusers", "--dry-run", UNITS / "lbd.sysusers"])
    flags = _help_of("lbd")
    expect(all(f'default: "{group}"' in flags for group in groups), f"lbd does not know {groups}")
    return {"units": 2, "groups": len(groups)}


@scenario
def capabilities():
    """Start, serve, change settings, restart and take over, detach: without the rest of root."""
    with new_lab() as lab:
        for real in lab.reals:
            start_nginx(real)
            _, notify = _start(real, "lbagent.service", [
                binary("lbagent"), "--interface", "eth0", "--vip", VIP4, "--vip", VIP6,
                "--bpffs", agent_pins(real)])
            _hear(notify, "WATCHDOG=1")
            notify.close()
        document = config(vip(VIP4, [real.ip4 for real in lab.reals]))
        flags = [*lbd_flags(lab)[:-1], "--state_dir", lab.dir / "state"]

        def start():
            path = write_config(lab, document)
            return _start(lab.lb, "lbd.service", [binary("lbd"), *flags, "--config", path])

        lbd, notify = start()
        expect_served(lab, VIP4, 50)
        _hear(notify, "WATCHDOG=1")
        lbd.kill(signal.SIGHUP)
        _hear(notify, "RELOADING=1")
        _hear(notify, "READY=1")
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
        _hear(notify, "STOPPING=1")
        lbd, _ = start()
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
