# SPDX-License-Identifier: Apache-2.0
"""What lbd counts is what Prometheus, lbctl and the reals count."""

import json
import re
import urllib.parse

from actors import VIP4, VIP6, config, decap_counts, lbctl, start_lbd, verdicts, vip
from harness import both_vips, expect, expect_served, scenario, serving_lab, with_both_vips
from lab import ROOT, LabError, wait_until
from scenarios.health import apply, http_check, wait_state

METRICS = "127.0.0.1:9188"
PROMETHEUS = "127.0.0.1:9090"


def get(lab, url):
    """The body of an answer on the load balancer's loopback, and its status."""
    done = lab.lb.run(["curl", "-sS", "--max-time", "10", "-w", "\n%{http_code}", url])
    body, _, status = done.stdout.rpartition("\n")
    return body, int(status)


def scrape(lab):
    """/metrics as {'name{labels}': value}."""
    text, status = get(lab, f"http://{METRICS}/metrics")
    expect(status == 200, f"/metrics says {status}")
    return text, {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                  for line in text.splitlines() if line and not line.startswith("#")}


def labels(sample):
    return dict(re.findall(r'(\w+)="([^"]*)"', sample))


def start_prometheus(lab):
    config = lab.dir / "prometheus.yaml"
    rules = ROOT / "deploy/prometheus/lbd.rules.yaml"
    config.write_text((ROOT / "deploy/prometheus/prometheus.yaml").read_text()
                      .replace("lbd.rules.yaml", str(rules)).replace("15s", "1s"))
    process = lab.lb.start("prometheus", [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={lab.dir / 'tsdb'}",
        f"--web.listen-address={PROMETHEUS}", "--log.level=warn"])
    wait_until(lambda: process.require_alive() or _ready(lab), 20, "Prometheus is ready", 0.2)
    return process


def _ready(lab):
    done = lab.lb.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                       f"http://{PROMETHEUS}/-/ready"], check=False)
    return done.stdout == "200"


def query(lab, expression):
    body, status = get(lab, f"http://{PROMETHEUS}/api/v1/query?"
                       + urllib.parse.urlencode({"query": expression}))
    answer = json.loads(body)
    expect(status == 200 and answer["status"] == "success", f"{expression}: {body}")
    return answer["data"]["result"]


def is_about_health(expression):
    return re.search(r"lbd_(probe|check|real_up|vip_failed_open|vip_(min_)?healthy)", expression)


def dashboard_queries():
    """(panel, expression) of the Grafana dashboard, with its variables filled in."""
    board = json.loads((ROOT / "deploy/grafana/lbd.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], (target["expr"].replace("$__rate_interval", "10s")
                                   .replace("$instance", ".*").replace("$vip", ".*"))


def rules_that_are_not(health, lab):
    rules, _ = get(lab, f"http://{PROMETHEUS}/api/v1/rules")
    groups = json.loads(rules)["data"]["groups"]
    expect(groups and groups[0]["rules"], rules)
    return [rule["name"] for rule in groups[0]["rules"] if rule["health"] != health]


def counted(lab):
    """Forwarded packets by real address as /metrics has them; each VIP has reals of its own."""
    _, samples = scrape(lab)
    return {labels(sample)["real"]: value for sample, value in samples.items()
            if sample.startswith("lbd_real_packets_total")}


# Sends so many datagrams to port 81 of an address, and ICMP errors about TCP packets that came from its port 80.
SEND = """
import ipaddress, socket, struct, sys
vip, source, datagrams, errors = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
six = ":" in vip
family = socket.AF_INET6 if six else socket.AF_INET
udp = socket.socket(family, socket.SOCK_DGRAM)
for _ in range(datagrams):
    udp.sendto(b"x", (vip, 81))
ends = ipaddress.ip_address(vip).packed + ipaddress.ip_address(source).packed
ip = struct.pack("!IHBB", 6 << 28, 20, 6, 64) if six else struct.pack("!BBHIBBH", 0x45, 0, 40, 0, 64, 6, 0)
error = bytearray((b"\\x01\\x04" if six else b"\\x03\\x03") + bytes(6) + ip + ends + struct.pack("!HHI", 80, 40000, 0))
if not six:  # for IPv6 the kernel does it
    total = sum(struct.unpack("!%dH" % (len(error) // 2), error))
    total = (total & 0xffff) + (total >> 16)
    error[2:4] = struct.pack("!H", ~(total + (total >> 16)) & 0xffff)
raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
for _ in range(errors):
    raw.sendto(error, (vip, 0))
"""
PINGS, DATAGRAMS, ERRORS = {VIP4: 6, VIP6: 4}, {VIP4: 7, VIP6: 5}, {VIP4: 3, VIP6: 2}


def send_the_rest(lab):
    """Of both families: echo requests, datagrams to VIPs without a real, and ICMP errors about connections."""
    for address, source in ((VIP4, lab.client.ip4), (VIP6, lab.client.ip6)):
        lbctl(lab, "vip", "add", f"[{address}]:81/udp" if ":" in address else f"{address}:81/udp")
        lab.client.run(["ping", "-q", "-c", PINGS[address], "-i", "0.05", "-W", "2", address])
        lab.client.run(["python3", "-c", SEND, address, source, DATAGRAMS[address], ERRORS[address]])


def expect_top_agrees(lab, by_real, by_verdict):
    """lbctl top has the same totals of VIPs and of verdicts as /metrics."""
    page = lbctl(lab, "top", "--once", "--interval", "0.1").stdout
    for vip_, reals in ((f"{VIP4}:80/tcp", [real.ip4 for real in lab.reals]),
                        (f"[{VIP6}]:80/tcp", [real.ip6 for real in lab.reals])):
        row = next(line for line in page.splitlines() if line.startswith(vip_)).split()
        expect(int(row[1].replace(",", "")) == sum(by_real[real] for real in reals), f"{row}: {by_real}")
    for verdict in ("forward", "echo_reply", "no_real"):
        found = re.search(rf" {verdict} ([\d,]+)", page)
        expect(found and int(found[1].replace(",", "")) == by_verdict[verdict], f"{verdict}: {by_verdict} {page}")


@scenario
def metrics():
    """/metrics, lbctl stats, lbctl top and the reals agree, the names are right, and a real Prometheus
    draws every panel from them."""
    with with_both_vips() as lab:
        lab.lbd.stop()
        lab.lbd = start_lbd(lab, both_vips(lab), flags=["--bpf_run_time"])
        for path in ("healthz", "readyz"):
            body, status = get(lab, f"http://{METRICS}/{path}")
            expect((body, status) == ("ok\n", 200), f"/{path}: {status} {body}")
        start_prometheus(lab)
        expect_served(lab, VIP4, 150)
        expect_served(lab, VIP6, 150)
        lbctl(lab, "real", "drain", f"{VIP4}:80/tcp", lab.reals[2].ip4)
        expect_served(lab, VIP4, 50)

        def standing():
            """No connection is open any more: the counters stand still."""
            return wait_until(lambda: (now := counted(lab)) == counted(lab) and now, 10,
                              "the counters stand still", 0.3)
        connections_only = standing()
        send_the_rest(lab)
        before = standing()
        expect(sum(before.values()) == sum(connections_only.values()) + sum(ERRORS.values()),
               f"ICMP errors go to the real of their connection: {connections_only}, {before}")
        for real in lab.reals:
            seen = decap_counts(real)
            expect((before[real.ip4], before[real.ip6]) == (seen["v4"], seen["v6"]),
                   f"{real.name}: lbd sent {before[real.ip4]}, {before[real.ip6]}; it got {seen}")
        text, samples = scrape(lab)
        by_verdict = {labels(sample)["verdict"]: value for sample, value in samples.items()
                      if sample.startswith("lbd_verdict_packets_total")}
        from_lbctl = verdicts(lab)
        expect(by_verdict["forward"] == sum(before.values()) == from_lbctl["forward"],
               f"/metrics {by_verdict}, lbctl {from_lbctl}, by real {before}")
        for verdict, packets in (("echo_reply", PINGS), ("no_real", DATAGRAMS)):
            expect(by_verdict[verdict] == from_lbctl[verdict] == sum(packets.values()),
                   f"{verdict}: sent {packets}; /metrics {by_verdict}, lbctl {from_lbctl}")
        dropped = {labels(sample)["vip"]: value for sample, value in samples.items()
                   if sample.startswith("lbd_vip_dropped_packets_total") and value > 0}
        expect(dropped == {f"{VIP4}:81/udp": DATAGRAMS[VIP4], f"[{VIP6}]:81/udp": DATAGRAMS[VIP6]},
               f"dropped at their VIPs: {dropped}, sent {DATAGRAMS}")
        expect_top_agrees(lab, before, by_verdict)
        runs, seconds = (samples[f"lbd_program_{name}_total"] for name in ("runs", "run_seconds"))
        expect(runs >= by_verdict["forward"] and 1e-8 < seconds / runs < 1e-3,
               f"{runs} runs of the program took {seconds} s")
        # Of the host's own traffic (neighbours), some may come between the two readings.
        cpus = sum(value for sample, value in samples.items()
                   if sample.startswith("lbd_cpu_packets_total"))
        expect(0 <= cpus - sum(by_verdict.values()) <= 5 or cpus == sum(by_verdict.values()),
               f"by CPU {cpus}, by verdict {by_verdict}")
        connections = sum(value for sample, value in samples.items()
                          if sample.startswith("lbd_vip_connections_total"))
        expect(connections == 350, f"{connections} connections, not 350")

        lint = lab.lb.run(["promtool", "check", "metrics"], stdin=text, check=False)
        expect(lint.returncode == 0 and not lint.stderr.strip(), f"promtool: {lint.stderr}")

        total = 'sum(lbd_vip_packets_total)'
        wait_until(lambda: (result := query(lab, total)) and
                   float(result[0]["value"][1]) == sum(before.values()), 15,
                   "Prometheus has the last count", 0.3)
        # A rate needs two scrapes, a rule its first evaluation.
        missing = {"panels": ["not asked yet"]}

        def all_there():
            missing["panels"] = [panel for panel, expression in dashboard_queries()
                                 if not query(lab, expression) and not is_about_health(expression)]
            missing["rules"] = rules_that_are_not("ok", lab)
            return not any(missing.values())
        try:
            wait_until(all_there, 20, "every panel has data and every rule is evaluated", 0.5)
        except LabError:
            expect(False, f"without data or not evaluated: {missing}")

        lab.lb.ip(["link set eth0 down"])
        body, status = wait_until(lambda: (got := get(lab, f"http://{METRICS}/readyz"))[1] == 503
                                  and got, 5, "/readyz notices that the link is down")
        expect("eth0" in body, f"/readyz says {body}")
        return {"packets": int(sum(before.values())), "panels": len(set(dict(dashboard_queries()))),
                "samples": len(samples)}


@scenario
def metrics_of_health():
    """What probes find is in /metrics, and Prometheus draws the panels about it."""
    checks = [http_check()]
    with serving_lab(lambda lab: config(
            vip(VIP4, [real.ip4 for real in lab.reals], checks=checks, name="web"),
            vip(VIP6, [lab.reals[0].ip6], checks=checks, fail_open=True))) as lab:
        start_prometheus(lab)
        wait_state(lab, "up")
        real1, real2 = lab.reals[:2]
        lab.nginx[real1.name].stop(9)
        wait_state(lab, "down", real1)
        lbctl(lab, "health", "set", f"{VIP4}:80/tcp", real2.ip4, "down")
        text, samples = scrape(lab)
        lint = lab.lb.run(["promtool", "check", "metrics"], stdin=text, check=False)
        expect(lint.returncode == 0 and not lint.stderr.strip(), f"promtool: {lint.stderr}")
        web, other = f'vip="{VIP4}:80/tcp"', f'vip="[{VIP6}]:80/tcp"'
        wanted = {
            'lbd_probing{mode="af_xdp"}': 1,
            f'lbd_vip_healthy_reals{{{web},name="web"}}': 1,
            f'lbd_vip_failed_open{{{web},name="web"}}': 0,
            f'lbd_vip_failed_open{{{other}}}': 1,
            f'lbd_real_up{{{web},real="{real1.ip4}"}}': 0,
            f'lbd_real_up{{{web},real="{real2.ip4}"}}': 0,
            f'lbd_real_health_overridden{{{web},real="{real2.ip4}"}}': 1,
            f'lbd_check_up{{{web},real="{real1.ip4}",check="http",port="80"}}': 0,
            f'lbd_check_up{{{web},real="{real2.ip4}",check="http",port="80"}}': 1,
            f'lbd_check_blind{{{web},real="{real2.ip4}",check="http",port="80"}}': 0,
            'lbd_probe_socket_problem{interface="eth0"}': 0,
            'lbd_probe_socket_tested{interface="eth0"}': 1,
        }
        seen = {name: samples.get(name) for name in wanted}
        expect(seen == wanted, f"{ {n: v for n, v in seen.items() if v != wanted[n]} } not {wanted}")
        slow = samples.get(f'lbd_check_latency_seconds{{{web},real="{real2.ip4}",check="http",port="80"}}')
        expect(slow is not None and 0 < slow < 1 and
               f'lbd_check_latency_seconds{{{web},real="{real1.ip4}",check="http",port="80"}}' not in samples,
               f"{slow}")
        found = {labels(sample)["result"]: value for sample, value in samples.items()
                 if sample.startswith("lbd_probe_results_total")}
        expect(found["ok"] >= 4 and found["refused"] >= 4, found)
        expect(samples["lbd_probe_duration_seconds_count"] == found["ok"], samples)
        expect(samples["lbd_health_transitions_total"] >= 6, samples["lbd_health_transitions_total"])
        wait_until(lambda: not [panel for panel, expression in dashboard_queries()
                                if is_about_health(expression) and not query(lab, expression)], 20,
                   "every panel about health has data", 0.5)

        # A link that is down is no real's fault, and so is a host that does not probe.
        lab.router.ip(["link set to-lb down"])
        wait_until(lambda: all(value == 1 for sample, value in scrape(lab)[1].items()
                               if sample.startswith("lbd_check_blind")), 10, "all checks are blind")
        apply(lab, config(vip(VIP4, [real1.ip4], checks=checks), health="none"))
        _, samples = scrape(lab)
        expect(samples['lbd_probing{mode="none"}'] == 0 and not any(
            name.startswith(("lbd_probe", "lbd_check")) and not name.startswith("lbd_probing")
            for name in samples), [name for name in samples if "probe" in name])
        return {"results": sum(found.values())}
