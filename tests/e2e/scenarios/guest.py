# SPDX-License-Identifier: Apache-2.0
"""Scenarios for the guests of tests/vm: the core of all, and what the host's kernel may lack."""

import contextlib
import json
import os
import platform
import re
import signal

from actors import SBIN, VIP4, VIP6, config, lbctl, lbd_pins, start_lbd, vip, write_config
from harness import (both_vips, expect, expect_no_checksum_errors, expect_served, expect_unserved,
                     guest_scenario, new_lab, with_both_vips)
from lab import build_dir
import actors

REQUESTS = 30  # an emulated machine is slow


@guest_scenario
def core():
    """lbagent's reals are served, also while lbd is killed and starts anew, until it detaches."""
    with with_both_vips() as lab:
        for address in (VIP4, VIP6):
            result = expect_served(lab, address, REQUESTS)
            expect(len(result.answers) > 1, f"only {result.answers} answered")
        lab.lbd.stop(signal.SIGKILL)
        expect_served(lab, VIP4, REQUESTS)
        lab.lbd = start_lbd(lab, (lab.dir / "lbd.yaml").read_text())
        expect_served(lab, VIP6, REQUESTS, parallel=8)
        expect_no_checksum_errors(lab)
        lab.lbd.stop()
        lab.lb.run([actors.binary("lbd"), *actors.lbd_flags(lab), "--detach"])
        expect("xdp" not in lab.lb.link(), "the program is still on eth0")
        return {"requests": 4 * REQUESTS}


@guest_scenario
def kernel_tunnels():
    """Plain ipip, sit and ip6tnl devices of Linux unwrap what lbd sends, in all four mixes."""
    with new_lab(reals=2) as lab:
        for real in lab.reals:
            actors.start_nginx(real)
            actors.decapsulate_by_kernel(real)
        lab.lbd = start_lbd(lab, both_vips(lab))
        for address in (VIP4, VIP6):
            expect_served(lab, address, REQUESTS)
        swapped = write_config(lab, config(vip(VIP4, [real.ip6 for real in lab.reals]),
                                           vip(VIP6, [real.ip4 for real in lab.reals])))
        lbctl(lab, "config", "apply", swapped)
        for address in (VIP4, VIP6):
            expect_served(lab, address, REQUESTS)
        expect_no_checksum_errors(lab)
        received = {}
        for real in lab.reals:
            for device in ("tunnel4in4", "tunnel6in4", "tunnel-in6"):
                packets = real.link(device)["stats64"]["rx"]["packets"]
                expect(packets > 0, f"{real.name}: nothing came in by {device}")
                received[device] = received.get(device, 0) + packets
        return received


# Devices of the kernel that unwrap, and the encap that they are for.
UNWRAPPING = {"ipip": "type ipip local {ip4} remote any", "ipip-any": "type ipip external",
              "sit": "type sit local {ip4} remote any", "ip6tnl": "type ip6tnl mode any external",
              "gre-any": "type gre external", "ip6gre-any": "type ip6gre external"}


@guest_scenario
def doctor_of_tunnels():
    """lbagent doctor knows every device of Linux that unwraps; external GRE ones unwrap for VIPs."""
    with new_lab(reals=1) as lab:
        (real,) = lab.reals
        actors.start_nginx(real)
        real.ip([f"addr add {VIP4}/32 dev lo"])
        for name, kind in UNWRAPPING.items():
            real.ip([f"link add {name} {kind.format(ip4=real.ip4)}"])
            for up in (False, True):
                real.ip([f"link set {name} {'up' if up else 'down'}"])
                text = real.run([actors.binary("lbagent"), "doctor", "--interface", "eth0", "--vip",
                                 VIP4, "--bpffs", actors.agent_pins(real)], check=False).stdout
                expect(("a tunnel device of the kernel is up" in text) == up, f"{name}, {up}: {text}")
            real.ip([f"link del {name}"])
        for name, address in (("gre-any", real.ip4), ("ip6gre-any", real.ip6)):
            real.ip([f"link add {name} {UNWRAPPING[name]}", f"link set {name} up"])
            document = config({**vip(VIP4, []), "reals": [{"address": address, "encap": "gre"}]})
            lab.lbd = start_lbd(lab, document)
            expect_served(lab, VIP4, REQUESTS)
            lab.lbd.stop()
            real.ip([f"link del {name}"])
        return {"devices": len(UNWRAPPING)}


@contextlib.contextmanager
def _libxdp_pins(lab):
    """libxdp, in lbd and in xdp-loader, keeps its pins on the lab's bpffs."""
    os.environ["LIBXDP_BPFFS"] = str(lab.bpffs)
    try:
        yield
    finally:
        del os.environ["LIBXDP_BPFFS"]


def _dispatched(lab):
    """The programs of eth0's dispatcher: name -> priority."""
    text = lab.lb.run(["xdp-loader", "status", "eth0"], env=SBIN).stdout
    return {name: int(priority)
            for priority, name in re.findall(r"=>\s+(\d+)\s+(\w+)", text)}


def _extensions_may_change_packets():
    """Linux 6.12.25 refuses extensions that do where the dispatcher does not, as libxdp 1.3's."""
    return tuple(map(int, platform.release().split(".")[:2])) < (6, 12)


@guest_scenario
def dispatcher():
    """Beside another program of libxdp's dispatcher: serves, survives restarts, leaves it alone."""
    with new_lab(reals=2) as lab, _libxdp_pins(lab):
        for real in lab.reals:
            actors.start_nginx(real)
            actors.start_agent(real)
        other = build_dir() / "bpf/pass/pass.bpf.o"
        lab.lb.run(["xdp-loader", "load", "-m", "native", "-P", "10", "eth0", other], env=SBIN)
        (other_name,) = _dispatched(lab)

        def document(priority):
            return both_vips(lab, attach="dispatcher", dispatcher={"priority": priority})

        if not _extensions_may_change_packets():
            path = write_config(lab, document(20))
            done = lab.lb.run([actors.binary("lbd"), *actors.lbd_flags(lab), "--config", path,
                               "--keep_sys_admin"], check=False)
            expect(done.returncode == 1 and "newer than May 2025" in done.stderr, done.stderr)
            expect(_dispatched(lab) == {other_name: 10}, f"left: {_dispatched(lab)}")
            return {"refused": 1}

        refused = lab.lb.run([actors.binary("lbd"), *actors.lbd_flags(lab), "--config",
                              write_config(lab, document(20))], check=False)
        expect("--keep_sys_admin" in refused.stderr, refused.stderr)
        lab.lbd = start_lbd(lab, document(20), ["--keep_sys_admin"])
        for address in (VIP4, VIP6):
            expect_served(lab, address, REQUESTS)
        (attachment,) = json.loads(lbctl(lab, "status", "-o", "json").stdout)["attachments"]
        expect("dispatcher" in attachment["attach"].lower(), f"reported: {attachment}")
        expect(_dispatched(lab) == {other_name: 10, "lb_xdp": 20}, f"{_dispatched(lab)}")
        lab.lbd.stop(signal.SIGKILL)
        expect_served(lab, VIP4, REQUESTS)
        lab.lbd = start_lbd(lab, (lab.dir / "lbd.yaml").read_text(), ["--keep_sys_admin"])
        expect_served(lab, VIP6, REQUESTS)
        lbctl(lab, "config", "apply", write_config(lab, document(5), "first.yaml"))
        expect(_dispatched(lab) == {other_name: 10, "lb_xdp": 5}, f"{_dispatched(lab)}")
        expect_served(lab, VIP4, REQUESTS)
        lab.lbd.stop()
        lab.lb.run([actors.binary("lbd"), *actors.lbd_flags(lab), "--detach"])
        expect(_dispatched(lab) == {other_name: 10}, f"left: {_dispatched(lab)}")
        expect(not lbd_pins(lab).exists(), f"left: {lbd_pins(lab)}")
        expect_unserved(lab, VIP4)
        return {"requests": 5 * REQUESTS}
