# SPDX-License-Identifier: Apache-2.0
"""Each kind of health check against a real server of its kind: up, and down with the right reason."""

import re

import actors
from actors import VIP4, VIP6, config, vip
from harness import expect, new_lab, scenario
from lab import ROOT, run, wait_until
from scenarios.health import apply, health, unlimit_icmp

NGINX_TLS = """\
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{
    listen 443 ssl; listen [::]:443 ssl;
    ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
    return 200 "secure";
  }}
}}
"""
TIMING = {"interval_ms": 300, "timeout_ms": 1500, "rise": 1, "fall": 2, "damping": False}


def _checks(lab, **changed):
    """One check of each kind, or with other fields where `changed` says so."""
    kinds = {
        "tcp": ({}, 443),
        "https": ({"host": "www.test", "ca_file": str(lab.dir / "tls/cert.pem"), "body": "secure",
                   "min_days": 3650}, 443),
        "tls_hello": ({"server_name": "www.test"}, 443),
        "udp": ({"send": "hello", "expect": "echo hello"}, 7000),
        "dns": ({"name": "www.test", "answer": "192.0.2.7"}, 53),
        "icmp": ({}, None),
        "quic": ({}, 4433),
        "grpc": ({}, 50051),
    }
    rows = []
    for name, (fields, port) in kinds.items():
        row = {name: {**fields, **changed.get(name, {})}, **TIMING}
        rows.append(row if port is None else {**row, "port": port})
    return rows


def _document(lab, **changed):
    checks = _checks(lab, **changed)
    real = lab.reals[0]
    return config(vip(VIP4, [real.ip4], checks=checks), vip(VIP6, [real.ip6], checks=checks),
                  vip(VIP4, [real.ip6], port=8080, checks=checks),
                  vip(VIP6, [real.ip4], port=8080, checks=checks))


def _start_servers(lab, real):
    tls = lab.dir / "tls"
    tls.mkdir()
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", tls / "key.pem", "-out", tls / "cert.pem", "-days", "30", "-subj", "/CN=www.test",
         "-addext", "subjectAltName=DNS:www.test"])
    (tls / "nginx.conf").write_text(NGINX_TLS.format(dir=tls))
    real.start("nginx-tls", ["nginx", "-e", tls / "error.log", "-c", tls / "nginx.conf"])
    real.start("dnsmasq", ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
                           "--no-hosts", "--bind-interfaces", f"--listen-address={VIP4}",
                           f"--listen-address={VIP6}", "--user=root", f"--pid-file={tls}/dns.pid",
                           "--address=/www.test/192.0.2.7"], env=actors.SBIN)
    targets = real.start("targets", [ROOT / "tests/e2e/tools/probe_targets.py", VIP4, VIP6])
    wait_until(lambda: "serving" in targets.output(), 10, "the targets serve")
    return targets


def _rows(lab):
    """Checks, each with whether its inner and outer families differ."""
    return [{**check, "mixed": (":" in row["vip"]["address"]) != (":" in real["address"])}
            for row in health(lab)["vips"] for real in row["reals"] for check in real["checks"]]


def _wait(lab, what, condition):
    return wait_until(lambda: rows if condition(rows := _rows(lab)) else None, 20, what, 0.05)


@scenario
def health_kinds():
    """Each kind up, and down for each reason that it can name."""
    with new_lab(reals=1) as lab:
        real = lab.reals[0]
        unlimit_icmp(real)
        agent = actors.start_agent(real)
        targets = _start_servers(lab, real)
        lab.lbd = actors.start_lbd(lab, _document(lab))
        rows = _wait(lab, "every check succeeds",
                     lambda rows: all(row["state"] == "up" for row in rows))
        expect(len(rows) == 32, f"{len(rows)} checks")
        for row in rows:
            if row["check"] == "https":
                # 30 of them only within the second in which it was made.
                expect(re.search("expires in (29|30) days", row["last_reason"]), f"no warning: {row}")

        # What is answered, but not as it should be.
        apply(lab, _document(lab, https={"body": "insecure"}, udp={"expect": "pong"},
                             dns={"answer": "192.0.2.8"}, grpc={"service": "sick"}))
        reasons = {"https": ("body", '"insecure" is not in the body'),
                   "udp": ("body", '"pong" is not in the answer'),
                   "dns": ("body", "192.0.2.8 is not in the answer [192.0.2.7]"),
                   "grpc": ("status", "got NOT_SERVING, want SERVING")}
        _expect_reasons(lab, reasons)
        apply(lab, _document(lab, https={"host": "other.test"}, dns={"rcode": 3},
                             grpc={"service": "unknown"}))
        _expect_reasons(lab, {"https": ("tls", "certificate: hostname mismatch"),
                              "dns": ("status", "got NOERROR, want NXDOMAIN"),
                              "grpc": ("status", "gRPC status 5: unknown service")})
        apply(lab, _document(lab, https={"ca_file": ""}))
        _expect_reasons(lab, {"https": ("tls", "certificate: self-signed certificate")})

        # Nobody there, and servers that answer from another address.
        apply(lab, _document(lab))
        targets.stop(9)
        _expect_reasons(lab, {"udp": ("refused", "icmp: port unreachable"),
                              "quic": ("refused", "icmp: port unreachable"),
                              "grpc": ("refused", "connection refused")})
        targets = real.start("targets", [ROOT / "tests/e2e/tools/probe_targets.py", "0.0.0.0", "::"])
        # The address of the other family that an answer comes from is nobody's that lbd knows.
        _expect_reasons(lab, {"udp": ("wrong_source", "not from the VIP"),
                              "quic": ("wrong_source", "not from the VIP")},
                        mixed=("timeout", "no answer"))
        targets.stop(9)
        targets = real.start("targets", [ROOT / "tests/e2e/tools/probe_targets.py", VIP4, VIP6])
        _expect_reasons(lab, {})

        # What goes wrong with the tunnel goes wrong with every kind but the echo, which has none.
        tunnelled = [row for row in {row["check"] for row in rows} if row != "icmp"]
        agent.stop()
        _expect_reasons(lab, dict.fromkeys(tunnelled, ("no_decap", "does not decapsulate")))
        agent = actors.start_agent(real)
        _expect_reasons(lab, {})
        real.ip([f"route add blackhole {lab.lb.ip4}/32", f"route add blackhole {lab.lb.ip6}/128"])
        _expect_reasons(lab, dict.fromkeys([*tunnelled, "icmp"], ("timeout", "timeout after 1500 ms")))
        return {"checks": len(rows)}


def _expect_reasons(lab, reasons, mixed=None):
    """These checks are down for these reasons, or for `mixed` where the tunnel is of the other family; all
    others are up."""
    def as_wanted(rows):
        for row in rows:
            down = row["check"] in reasons
            result, text = reasons.get(row["check"], ("ok", ""))
            if down and mixed and row["mixed"]:
                result, text = mixed
            if row.get("last_result") != result or (down and text not in row["last_reason"]) or \
                    (row["state"] == "down") != down:
                return False
        return True
    try:
        _wait(lab, f"reasons {reasons}", as_wanted)
    except Exception:
        for row in _rows(lab):
            print(row["check"], row["state"], row.get("last_result"), row.get("last_reason"),
                  row["blind"])
        raise
