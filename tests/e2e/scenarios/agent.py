# SPDX-License-Identifier: Apache-2.0
"""lbagent on the reals."""

import json
import signal

from actors import (VIP4, VIP6, agent_pins, binary, config, decap_counts, start_agent, start_lbd,
                    start_nginx, vip)
from harness import both_vips, expect, expect_served, new_lab, scenario
from lab import run


def _addresses(node):
    """Addresses on lo."""
    (lo,) = json.loads(run(["ip", "-n", node.netns, "-j", "addr", "show", "dev", "lo"]).stdout)
    return {address["local"] for address in lo["addr_info"]}


def _expect_refused(node, flags, *texts, wrap=(), code=1):
    done = node.run([*wrap, binary("lbagent"), *flags], check=False, timeout=20)
    expect(done.returncode == code, f"lbagent {flags}: exit code {done.returncode}: {done.stderr}")
    for text in texts:
        expect(text in done.stderr, f"lbagent {flags}: no {text!r} in: {done.stderr}")
    expect(len(done.stderr.splitlines()) == 1, f"lbagent {flags}: not one line: {done.stderr}")


@scenario
def agent_takeover():
    """Killed or told to leave, an agent's work goes on, and the next one takes it over."""
    with new_lab(reals=1) as lab:
        (real,) = lab.reals
        start_nginx(real)
        start_lbd(lab, both_vips(lab))
        agent = start_agent(real)
        for signum in (signal.SIGKILL, signal.SIGHUP):
            agent.stop(signum)
            expect_served(lab, VIP4)
            expect_served(lab, VIP6)
            counted = decap_counts(real)["v4"]
            agent = start_agent(real)
            expect_served(lab, VIP4)
            expect(decap_counts(real)["v4"] > counted, "the counters started again")
        # Another list of VIPs takes away what is not in it.
        agent.stop(signal.SIGKILL)
        agent = start_agent(real, vips=[VIP4])
        expect(_addresses(real) & {VIP4, VIP6} == {VIP4}, f"on lo: {_addresses(real)}")
        # The clean-up after a crash.
        agent.stop(signal.SIGKILL)
        for _ in range(2):
            real.run([binary("lbagent"), "--detach", "--bpffs", agent_pins(real)])
            _expect_clean(real)
        return {}


def _expect_clean(real):
    expect("xdp" not in real.link(), f"{real.name}: the program is still on eth0")
    expect(not _addresses(real) & {VIP4, VIP6}, f"{real.name}: on lo: {_addresses(real)}")
    expect(not agent_pins(real).exists(), f"{real.name}: pins are left")


@scenario
def agent_stop():
    """SIGTERM removes what the agent set up, and only that."""
    with new_lab(reals=1) as lab:
        (real,) = lab.reals
        agent = start_agent(real)
        expect({VIP4, VIP6} <= _addresses(real), f"on lo: {_addresses(real)}")
        expect(agent.stop() == 0, "exit code is not 0")
        _expect_clean(real)

        real.ip([f"addr add {VIP4}/32 dev lo"])
        start_agent(real).stop()
        expect(_addresses(real) & {VIP4, VIP6} == {VIP4}, f"on lo: {_addresses(real)}")
        return {}


@scenario
def agent_new_address():
    """Packets to an address that the real gets later are unwrapped."""
    later = "10.10.11.99"
    with new_lab(reals=1) as lab:
        (real,) = lab.reals
        start_nginx(real)
        start_agent(real)
        real.ip([f"addr add {later}/24 dev eth0"])
        start_lbd(lab, config(vip(VIP4, [later])))
        expect_served(lab, VIP4)
        counts = decap_counts(real)
        expect(counts["v4"] > 0, f"{counts}")
        return {}


@scenario
def agent_refuses():
    """What stands in the way is named in one line, and nothing is left behind."""
    with new_lab(reals=1) as lab:
        (real,) = lab.reals
        pins = ["--bpffs", agent_pins(real)]
        good = ["--interface", "eth0", "--vip", VIP4, *pins]
        _expect_refused(real, ["--interface", "eth7", "--vip", VIP4, *pins], "eth7")
        _expect_refused(real, ["--interface", "eth0", *pins], "--vip", code=2)
        _expect_refused(real, ["--vip", VIP4, *pins], "--interface", code=2)
        _expect_refused(real, ["--interface", "eth0", "--vip", "10.0.0.300", *pins], "10.0.0.300",
                        code=2)
        _expect_refused(real, [*good, "--xdp_mode", "fast"], "fast", code=2)
        _expect_refused(real, ["--interface", "eth0", "--vip", VIP4, "--bpffs", "/tmp/lbagent"],
                        "mount -t bpf")
        _expect_refused(real, good, "CAP_", wrap=["setpriv", "--bounding-set=-bpf,-sys_admin",
                                                  "--inh-caps=-bpf,-sys_admin"])
        _expect_clean(real)
        lab.attach_pass(real, "eth0")
        program = real.link()["xdp"]["prog"]["id"]
        _expect_refused(real, good, "eth0", f"id {program}")
        expect(real.link()["xdp"]["prog"]["id"] == program, "the other program is gone")
        expect(VIP4 not in _addresses(real), "the VIP was added all the same")
        expect(not agent_pins(real).exists(), "pins are left")
        return {}


@scenario
def agent_generic():
    """Decapsulation in the kernel's generic hook."""
    with new_lab() as lab:
        for real in lab.reals:
            start_nginx(real)
            start_agent(real, flags=["--xdp_mode", "generic"])
            expect(real.link()["xdp"]["mode"] == 2, f"not generic: {real.link()['xdp']}")
        start_lbd(lab, both_vips(lab))
        for address in (VIP4, VIP6):
            expect_served(lab, address, 200)
        return {}
