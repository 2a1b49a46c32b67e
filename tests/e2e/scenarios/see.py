# SPDX-License-Identifier: Apache-2.0
"""Seeing what becomes of packets: explain, capture, drops."""

import json
import re

from actors import (VIP4, VIP6, binary, config, decap_counts, lbctl, request_many, socket_path,
                    verdicts, vip, write_config)
from harness import expect, expect_served, scenario, with_both_vips
from lab import run, wait_until


def explain(lab, source, destination, *flags):
    return json.loads(lbctl(lab, "flow", "explain", source, destination, *flags, "-o", "json").stdout)


def start_capture(lab, *flags):
    """lbctl capture in the background; returns when it runs."""
    before = lab.lbd.output().count("A capture starts")
    process = lab.lb.start("capture", [binary("lbctl"), "--server", f"unix:{socket_path(lab)}",
                                       "capture", *flags])
    wait_until(lambda: lab.lbd.output().count("A capture starts") > before, 10, "the capture starts")
    return process


@scenario
def explain_is_true():
    """Where explain says that connections go is where they go, and explaining leaves no trace."""
    with with_both_vips() as lab:
        real_of = {real.ip4: real.name for real in lab.reals} | {real.ip6: real.name
                                                                 for real in lab.reals}
        before = verdicts(lab)
        expected = {}
        # No port twice: a socket that is still closing keeps it from the other family, too.
        for address, client, first in ((VIP4, lab.client.ip4, 20000),
                                       (VIP6, f"[{lab.client.ip6}]", 20100)):
            for port in range(first, first + 5):
                target = f"[{address}]:80/tcp" if ":" in address else f"{address}:80/tcp"
                answer = explain(lab, f"{client}:{port}", target)
                expect(answer["decision"]["verdict"] == "forward", answer)
                expected[address, port] = real_of[answer["decision"]["real"]]
        expect(verdicts(lab) == {**before, "not_ip": verdicts(lab)["not_ip"],
                                 "not_vip": verdicts(lab)["not_vip"]},
               f"explaining was counted: {before} -> {verdicts(lab)}")
        expect(len(set(expected.values())) == 3, f"all explained to {set(expected.values())}")
        for (address, port), real in expected.items():
            result = request_many(lab.client, address, 1, flags=["--local-port", port])
            expect(list(result.answers) == [real], f"{address} from {port}: explained {real}, "
                   f"answered {result.answers} {result.errors}")

        drained = lab.reals[0].ip4
        document = write_config(lab, config(
            vip(VIP4, [real.ip4 for real in lab.reals[1:]]), vip(VIP6, [lab.reals[0].ip6])),
            "pending.yaml")
        for (address, port), real in expected.items():
            if address != VIP4 or real != real_of[drained]:
                continue
            answer = explain(lab, f"{lab.client.ip4}:{port}", f"{VIP4}:80/tcp", "--pending", document)
            expect(answer["decision"]["real"] not in ("", drained), answer["decision"])
            now = explain(lab, f"{lab.client.ip4}:{port}", f"{VIP4}:80/tcp")
            expect(now["decision"]["real"] == drained, "the pending configuration was applied")
        text = lbctl(lab, "flow", "explain", f"{lab.client.ip4}:1", f"{VIP4}:81/tcp").stdout
        expect(f"{VIP4}:80/tcp" in text and "not_vip" in text, text)
        return {"flows": len(expected)}


@scenario
def capture():
    """What lbctl captures is read by tshark and tcpdump, says why, and stops when it is told to."""
    with with_both_vips() as lab:
        file = lab.dir / "capture.pcapng"
        program = json.loads(lbctl(lab, "status", "-o", "json").stdout)["attachments"][0]["program_id"]
        process = start_capture(lab, "-w", file, "--vip", f"{VIP4}:80/tcp", "--rate", 100000)
        counts = [decap_counts(real)["v4"] for real in lab.reals]
        expect_served(lab, VIP4, 20)
        expect_served(lab, VIP6, 5)
        sent = sum(decap_counts(real)["v4"] for real in lab.reals) - sum(counts)
        wait_until(lambda: _frames(file) == sent, 10, f"{sent} packets are captured", 0.3)
        process.stop()
        expect(f"{sent} packets captured" in process.output(), process.output())
        fields = run(["tshark", "-r", file, "-T", "fields", "-e", "frame.comment", "-e", "ip.dst",
                      "-e", "tcp.dstport", "-e", "tcp.checksum.status", "-o", "tcp.check_checksum:TRUE"]
                     ).stdout.splitlines()
        for line in fields:
            comment, destination, port, checksum = line.split("\t")
            expect((destination, port) == (VIP4, "80") and checksum != "0", line)
            expect(re.fullmatch(rf"forward vip={re.escape(VIP4)}:80/tcp real=10\.10\.1[123]\.2 "
                                r"slot=\d+/16384 stable cpu=\d+ generation=1", comment), comment)
        dump = run(["tcpdump", "-nr", file])
        expect(len(dump.stdout.splitlines()) == sent, dump.stderr)
        again = json.loads(lbctl(lab, "status", "-o", "json").stdout)["attachments"][0]["program_id"]
        expect(again == program, f"program {program} ran before the capture, {again} after it")

        # Refused connections of one verdict, as text.
        lbctl(lab, "vip", "add", f"{VIP4}:81/tcp")
        process = start_capture(lab, "--verdict", "no_real", "-c", 1)
        request_many(lab.client, f"{VIP4}", 1, flags=["--connect-timeout", "0.3", "--connect-to",
                                                      f"{VIP4}:80:{VIP4}:81"])
        expect(process.wait(10) == 0 and "no_real vip" in process.output(), process.output())
        drops = lbctl(lab, "stats", "drops").stdout
        expect("no_real (drop" in drops and "lbctl real" in drops, drops)
        expect_served(lab, VIP4, 20)
        return {"captured": sent}


def _frames(file):
    return len(run(["tshark", "-r", file, "-T", "fields", "-e", "frame.number"],
                   check=False).stdout.splitlines())
