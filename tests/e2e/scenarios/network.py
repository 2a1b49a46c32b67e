# SPDX-License-Identifier: Apache-2.0
"""Several interfaces, and interfaces that are shared with other XDP programs."""

import json
import signal

from actors import (SBIN, VIP4, VIP6, binary, captured_frames, config, lbctl, lbd_flags, lbd_pins,
                    start_capture, start_lbd, verdicts, vip, write_config)
from harness import (both_vips, expect, expect_served, expect_unserved, new_lab, scenario)
from lab import UNDERLAY_MTU, build_dir, run, wait_until
import actors


def _start_reals(lab):
    for real in lab.reals:
        actors.start_nginx(real)
        actors.start_agent(real)


def add_real_side(lab):
    """A second link between router and load balancer, by which the way to the reals goes."""
    lab.router.ip([f"link add to-lb2 mtu {UNDERLAY_MTU} type veth peer name eth1 "
                   f"mtu {UNDERLAY_MTU} netns {lab.lb.netns}",
                   "addr add 10.10.3.1/24 dev to-lb2", "addr add fd10:0:0:3::1/64 dev to-lb2 nodad",
                   "link set to-lb2 up"])
    lab.lb.ip(["addr add 10.10.3.2/24 dev eth1", "addr add fd10:0:0:3::2/64 dev eth1 nodad",
               "link set eth1 up", *_real_routes("10.10.3.1", "fd10:0:0:3::1")])
    lab.attach_pass(lab.router, "to-lb2")
    lab.router.run(["ethtool", "-K", "to-lb2", "tx", "off"])


def _real_routes(via4, via6):
    return [f"route replace 10.10.{subnet}.0/24 via {via4}" for subnet in (11, 12, 13)] + [
        f"route replace fd10:0:0:{subnet:x}::/64 via {via6}" for subnet in (11, 12, 13)]


def _sent(lab):
    """Packets that came to the router from the load balancer, by the router's device."""
    return {device: lab.router.link(device)["stats64"]["rx"]["packets"]
            for device in ("to-lb", "to-lb2")}


def _expect_way(lab, device):
    """Requests are served, and all of their packets come to the router by the device."""
    before = _sent(lab)
    for address in (VIP4, VIP6):
        expect_served(lab, address, 50)
    after = _sent(lab)
    other = "to-lb" if device == "to-lb2" else "to-lb2"
    expect(after[device] - before[device] >= 400, f"{device}: {before} -> {after}")
    expect(after[other] - before[other] < 20, f"{other}: {before} -> {after}")


def interfaces_of_hops(lab):
    status = json.loads(lbctl(lab, "status", "-o", "json").stdout)
    return {hop["interface"] for hop in status["next_hops"] if not hop.get("problem")}


@scenario
def two_interfaces():
    """Clients on one side, reals on the other: redirected; the way follows the routes at once."""
    with new_lab() as lab:
        _start_reals(lab)
        add_real_side(lab)
        lab.lbd = start_lbd(lab, both_vips(lab, interfaces=["eth0", "eth1"]))
        _expect_way(lab, "to-lb2")
        lab.lb.ip(_real_routes(lab.lb.gateway4, lab.lb.gateway6))
        wait_until(lambda: interfaces_of_hops(lab) == {"eth0"}, 10, "the next hops move to eth0")
        _expect_way(lab, "to-lb")
        lab.lb.ip(_real_routes("10.10.3.1", "fd10:0:0:3::1"))
        wait_until(lambda: interfaces_of_hops(lab) == {"eth1"}, 10, "the next hops move back to eth1")
        _expect_way(lab, "to-lb2")
        # A restart, and the device of the reals goes and comes back.
        lab.lbd.stop(signal.SIGKILL)
        _expect_way(lab, "to-lb2")
        lab.lbd = start_lbd(lab, (lab.dir / "lbd.yaml").read_text())
        lab.router.ip(["link del to-lb2"])
        add_real_side(lab)
        wait_until(lambda: interfaces_of_hops(lab) == {"eth1"}, 10, "eth1 is back")
        _expect_way(lab, "to-lb2")
        # Without eth1 in the configuration the routes lead astray, and that is said.
        lbctl(lab, "config", "apply", write_config(lab, both_vips(lab)))
        status = lbctl(lab, "status").stdout
        expect("leaves by eth1, which is not in interfaces" in status, status)
        expect("xdp" not in lab.lb.link("eth1"), "the program is still on eth1")
        return {"ways": 5}


def _attach_root(lab):
    """The root program on eth0, its array pinned; returns its id."""
    pins = lab.bpffs / "root"
    pins.mkdir()
    program = build_dir() / "bpf/lb_root/lb_root.bpf.o"
    run(["bpftool", "prog", "load", program, pins / "program", "pinmaps", pins], env=SBIN)
    lab.lb.run(["bpftool", "net", "attach", "xdp", "pinned", pins / "program", "dev", "eth0"],
               env=SBIN)
    return lab.lb.link()["xdp"]["prog"]["id"]


def _chained(lab, position=7):
    return both_vips(lab, attach="chained", chain={"map": f"{lab.bpffs}/root/lb_root_programs",
                                                   "position": position})


@scenario
def chained():
    """Called by another's root program: serves, survives restarts, moves, and leaves no trace."""
    with new_lab() as lab:
        _start_reals(lab)
        root = _attach_root(lab)
        lab.lbd = start_lbd(lab, _chained(lab))
        for address in (VIP4, VIP6):
            expect_served(lab, address, 200)
        (attachment,) = json.loads(lbctl(lab, "status", "-o", "json").stdout)["attachments"]
        expect("chained" in attachment["attach"].lower(), f"reported: {attachment}")
        expect("chained" in lbctl(lab, "status").stdout, "lbctl status does not say chained")
        for signum in (signal.SIGTERM, signal.SIGKILL):
            lab.lbd.stop(signum)
            expect_served(lab, VIP4, 100)
            lab.lbd = start_lbd(lab, (lab.dir / "lbd.yaml").read_text())
            expect_served(lab, VIP6, 100)
        lbctl(lab, "config", "apply", write_config(lab, _chained(lab, position=3), "moved.yaml"))
        expect_served(lab, VIP4, 100)
        refused = lbctl(lab, "config", "apply", write_config(lab, both_vips(lab), "direct.yaml"),
                        check=False)
        expect(refused.returncode != 0 and f"id {root}" in refused.stderr,
               f"direct beside the root program: {refused.stderr}")
        expect_served(lab, VIP4, 100)
        before = verdicts(lab)["forward"]
        expect(before > 0, "nothing was counted")
        # Another program in the array, and back.
        file = lab.dir / "chained.pcapng"
        process = start_capture(lab, "-w", file, "--verdict", "forward", "--rate", 100000)
        expect_served(lab, VIP6, 50)
        forwarded = verdicts(lab)["forward"]
        wait_until(lambda: len(captured_frames(file)) == forwarded - before, 10,
                   "what was forwarded is captured", 0.3)
        process.stop()
        expect_served(lab, VIP4, 50)
        expect(len(captured_frames(file)) == forwarded - before and
               verdicts(lab)["forward"] > forwarded, "not the same counters after the capture")
        lab.lbd.stop()
        lab.lb.run([binary("lbd"), *lbd_flags(lab), "--detach"])
        expect(not lbd_pins(lab).exists(), f"left: {lbd_pins(lab)}")
        expect(lab.lb.link()["xdp"]["prog"]["id"] == root, "the root program has gone")
        expect_unserved(lab, VIP4)
        return {"forwarded": forwarded}


@scenario
def chained_refuses():
    """What stands in the way of being called is named."""
    with new_lab(reals=1) as lab:
        def refused(document, text):
            path = write_config(lab, document, "refused.yaml")
            done = lab.lb.run([binary("lbd"), *lbd_flags(lab), "--config", path], check=False)
            expect(done.returncode == 1 and text in done.stderr, f"no {text!r} in {done.stderr}")

        one = vip(VIP4, [lab.reals[0].ip4])
        refused(config(one, attach="chained"), "chain.map")
        refused(config(one, chain={"map": "/sys/fs/bpf/x"}), "belongs to attach: chained")
        refused(_chained(lab), "attach that first")
        _attach_root(lab)
        refused(_chained(lab, position=8), "positions 0..7")
        refused(config(one, attach="chained", interfaces=["eth0", "eth1"],
                       chain={"map": f"{lab.bpffs}/root/lb_root_programs"}), "{interface}")
        return {}
