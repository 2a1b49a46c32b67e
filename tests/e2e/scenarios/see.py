# SPDX-License-Identifier: Apache-2.0
"""Seeing what becomes of packets: explain, capture, drops."""

import json
import re
import signal

from actors import (SBIN, VIP4, VIP6, captured_frames, config, decap_counts, lbctl, request_many,
                    start_agent, start_capture, start_lbd, start_nginx, verdicts, vip, write_config)
from harness import expect, expect_served, new_lab, scenario, with_both_vips
from lab import run, wait_until
from scenarios.vips import move_to_segment


def explain(lab, source, destination, *flags):
    return json.loads(lbctl(lab, "flow", "explain", source, destination, *flags, "-o", "json").stdout)


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
        wait_until(lambda: len(captured_frames(file)) == sent, 10, f"{sent} packets are captured", 0.3)
        process.stop()
        expect(f"{sent} packets captured" in process.output(), process.output())
        for line in captured_frames(file, "frame.comment", "ip.dst", "tcp.dstport",
                                    "tcp.checksum.status", flags=["-o", "tcp.check_checksum:TRUE"]):
            comment, destination, port, checksum = line
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



# What a packet that is described and the one that comes have in common.
DECIDED = ("verdict", "action", "source", "destination", "protocol", "tcp_flags", "vip", "real", "hash",
           "slot", "ring_slots", "slot_state", "slot_owner", "slot_next", "recorded")


def _explain_both(lab, address, client, port, service_port=80):
    """What explain says of a new connection, and explain --live of the same one when it comes."""
    host = f"[{address}]" if ":" in address else address
    ends = f"[{client}]:{port}" if ":" in client else f"{client}:{port}", f"{host}:{service_port}/tcp"
    said = explain(lab, *ends)["decision"]
    process = start_capture(lab, *ends, "--count", 1, "-o", "json",
                            command=("flow", "explain", "--live"))
    answers = request_many(lab.client, address, 1, flags=[
        "--local-port", port, "--connect-timeout", "0.5", "--connect-to",
        f"{host}:80:{host}:{service_port}"]).answers
    expect(process.wait(10) == 0, process.output())
    live = json.loads(process.output())["decision"]
    differ = {field: (said.get(field), live.get(field)) for field in DECIDED
              if said.get(field) != live.get(field)}
    expect(not differ, f"{ends}: explained, and decided: {differ}")
    return said, answers


@scenario
def explain_live():
    """What explain foretells is what explain --live sees the real packet get."""
    with with_both_vips() as lab:
        name_of = {address: real.name for real in lab.reals for address in (real.ip4, real.ip6)}
        for port in range(21000, 21004):
            for address, client, first in ((VIP4, lab.client.ip4, 0), (VIP6, lab.client.ip6, 100)):
                said, answers = _explain_both(lab, address, client, port + first)
                expect(said["verdict"] == "forward" and list(answers) == [name_of[said["real"]]],
                       f"{said}, answered by {answers}")
        # A slot that changes hands, where the flow is recorded.
        drained = lab.reals[0].ip4
        lbctl(lab, "real", "drain", f"{VIP4}:80/tcp", drained)
        port = next(port for port in range(22000, 23000)
                    if explain(lab, f"{lab.client.ip4}:{port}", f"{VIP4}:80/tcp")["decision"]
                    .get("slot_owner") == drained)
        said, answers = _explain_both(lab, VIP4, lab.client.ip4, port)
        expect(said["slot_state"] == "changing" and said["recorded"] == "inserted", said)
        expect(list(answers) == [name_of[said["slot_next"]]], f"{said}, answered by {answers}")
        lbctl(lab, "vip", "add", f"{VIP4}:81/tcp")
        said, _ = _explain_both(lab, VIP4, lab.client.ip4, 23000, 81)
        expect(said["verdict"] == "no_real", said)
        return {"flows": 10}


@scenario
def capture_killed():
    """lbd dies during a capture: packets go on, the client says so, and the next lbd disarms."""
    with with_both_vips() as lab:
        file = lab.dir / "killed.pcapng"
        process = start_capture(lab, "-w", file, "--vip", f"{VIP4}:80/tcp")
        expect_served(lab, VIP4, 5)
        wait_until(lambda: captured_frames(file), 10, "packets are captured", 0.3)
        armed = lab.lb.link()["xdp"]["prog"]["id"]
        lab.lbd.stop(signal.SIGKILL)
        code = process.wait(10)
        expect(code == 3 and "lbctl: cannot reach lbd" in process.output(),
               f"exit code {code}: {process.output()}")
        for address in (VIP4, VIP6):
            expect_served(lab, address, 50)
        expect(len(run(["tcpdump", "-nr", file]).stdout.splitlines()) == len(captured_frames(file)),
               "the file cannot be read to its end")
        lab.lbd = start_lbd(lab, (lab.dir / "lbd.yaml").read_text())
        wait_until(lambda: run(["bpftool", "prog", "show", "id", armed], check=False,
                               env=SBIN).returncode != 0, 10, "the program that captures is gone")
        process = start_capture(lab, "-c", 5, "--vip", f"{VIP4}:80/tcp")
        for address in (VIP4, VIP6):
            expect_served(lab, address, 50)
        expect(process.wait(10) == 0 and "5 packets captured" in process.output(), process.output())
        return {"requests": 205}


@scenario
def capture_encaps():
    """tshark and tcpdump read captured packets as they came, whatever encap they leave by."""
    encaps = ("ipip", "gue", "gre", "l2")
    with new_lab(reals=4) as lab:
        device, direct4, direct6 = move_to_segment(lab, lab.reals[3])
        for real in lab.reals:
            start_nginx(real)
        for real in lab.reals[:3]:
            start_agent(real)
        document = config(vip(VIP4, [*(real.ip4 for real in lab.reals[:3]), direct4]),
                          vip(VIP6, [*(real.ip6 for real in lab.reals[:3]), direct6]),
                          interfaces=["eth0", device])
        encap_of = {}
        for service in document["vips"]:
            for real, encap in zip(service["reals"], encaps):
                real["encap"] = encap
                encap_of[real["address"]] = encap
        lab.lbd = start_lbd(lab, document)
        file = lab.dir / "encaps.pcapng"
        process = start_capture(lab, "-w", file, "--verdict", "forward", "--rate", 100000)
        for address in (VIP4, VIP6):
            expect_served(lab, address, 60)
        sent = verdicts(lab)["forward"]
        wait_until(lambda: len(captured_frames(file)) == sent, 10, f"{sent} packets are captured", 0.3)
        process.stop()
        seen = set()
        for frame in captured_frames(
                file, "frame.comment", "ip.dst", "ipv6.dst", "ip.ttl", "ipv6.hlim", "tcp.dstport",
                "ip.checksum.status", "tcp.checksum.status",
                flags=["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]):
            comment, v4, v6, ttl, hops, port, ip_checksum, tcp_checksum = frame
            encap = encap_of[re.search(r" real=(\S+)", comment)[1]]
            # From the client by way of the router.
            expect((v4, v6, ttl, hops) in ((VIP4, "", "63", ""), ("", VIP6, "", "63")),
                   f"{encap}: {frame}")
            expect(port == "80" and ip_checksum in ("", "1") and tcp_checksum == "1",
                   f"{encap}: {frame}")
            seen.add((encap, bool(v6)))
        expect(len(seen) == 8, f"captured of {seen} only")
        text = run(["tcpdump", "-vnr", file]).stdout
        expect("bad cksum" not in text and "incorrect" not in text and text.count("Flags [") == sent,
               text[:3000])
        return {"captured": sent}
