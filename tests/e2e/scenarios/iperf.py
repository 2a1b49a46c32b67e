# SPDX-License-Identifier: Apache-2.0
"""Bulk traffic through the VIP. One real: iperf3's control and data connections must meet."""

import json

from actors import VIP4, VIP6, config, lbctl, start_agent, start_iperf3, start_lbd, vip
from harness import expect, new_lab, scenario

PORT = 5201
SECONDS = 2


def run_iperf3(address, real_attribute, flags):
    with new_lab(reals=1) as lab:
        (real,) = lab.reals
        start_agent(real)
        start_iperf3(real, address, PORT)
        outer = [getattr(real, real_attribute)]
        start_lbd(lab, config(vip(address, outer, "tcp", PORT), vip(address, outer, "udp", PORT)))
        done = lab.client.run(["iperf3", "-J", "-t", SECONDS, "-c", address, "-p", PORT, *flags],
                              timeout=30, check=False)
        report = json.loads(done.stdout)
        expect(done.returncode == 0, f"iperf3 {' '.join(flags)}: {report.get('error')}")
        stats = json.loads(lbctl(lab, "stats", "-o", "json").stdout)
        dropped = {v["verdict"]: v["packets"] for v in stats["verdicts"]
                   if v["action"] == "drop" and int(v.get("packets", 0))}
        expect(not dropped, f"lbd dropped packets: {dropped}")
        return report["end"]


def _tcp(address, real_attribute):
    figures = {}
    for way, flags in (("up", []), ("down", ["-R"])):
        end = run_iperf3(address, real_attribute, flags)
        mbit = end["sum_received"]["bits_per_second"] / 1e6
        expect(mbit > 50, f"{way}: only {mbit:.1f} Mbit/s arrived")
        figures[f"{way}_mbit"] = f"{mbit:.0f}"
        figures[f"{way}_retransmits"] = end["sum_sent"].get("retransmits")
    return figures


def _udp(address, real_attribute):
    # 1400 bytes: with 1448 and IPv6 the inner packet would be the longest that fits.
    # 10 Mbit/s: iperf3's socket overruns when its process does not run for 20 ms at 50 Mbit/s.
    end = run_iperf3(address, real_attribute, ["-u", "-b", "10M", "-l", "1400"])["sum"]
    expect(end["packets"] > 1000, f"only {end['packets']} datagrams")
    expect(end["lost_packets"] <= end["packets"] * 0.01,
           f"{end['lost_packets']} of {end['packets']} datagrams lost")
    return {"datagrams": end["packets"], "lost": end["lost_packets"]}


@scenario
def iperf_tcp4():
    return _tcp(VIP4, "ip4")


@scenario
def iperf_tcp6():
    return _tcp(VIP6, "ip6")


@scenario
def iperf_udp4():
    return _udp(VIP4, "ip4")


@scenario
def iperf_udp6():
    return _udp(VIP6, "ip6")
