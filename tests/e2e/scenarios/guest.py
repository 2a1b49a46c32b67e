# SPDX-License-Identifier: Apache-2.0
"""Scenarios for the guests of tests/vm: the core of all, and what the host's kernel may lack."""

import signal

from actors import VIP4, VIP6, config, lbctl, start_lbd, vip, write_config
from harness import (both_vips, expect, expect_no_checksum_errors, expect_served, guest_scenario,
                     new_lab, with_both_vips)
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


def _decapsulate_by_kernel(real):
    """The plain devices of Linux in place of lbagent: every mix of families, from any sender."""
    real.ip([f"addr add {VIP4}/32 dev lo", f"addr add {VIP6}/128 dev lo nodad",
             f"link add tunnel4in4 type ipip local {real.ip4} remote any",
             f"link add tunnel6in4 type sit local {real.ip4} remote any",
             f"link add tunnel-in6 type ip6tnl mode any local {real.ip6} remote any",
             *(f"link set {device} up" for device in ("tunnel4in4", "tunnel6in4", "tunnel-in6"))])


@guest_scenario
def kernel_tunnels():
    """Plain ipip, sit and ip6tnl devices of Linux unwrap what lbd sends, in all four mixes."""
    with new_lab(reals=2) as lab:
        for real in lab.reals:
            actors.start_nginx(real)
            _decapsulate_by_kernel(real)
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
