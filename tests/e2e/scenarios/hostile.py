# SPDX-License-Identifier: Apache-2.0
"""Clients that mean harm: what they send is refused, lbd stays small and packets do not notice."""

import concurrent.futures
import ctypes
import os
import pathlib
import re
import socket
import ssl
import time

from actors import VIP4, binary, config, lbctl, socket_path, start_lbd, udp_flows, vip
from harness import expect, new_lab, scenario, serving_lab
from lab import run, wait_until
from pki import authority, certificate

CONNECTIONS = 10_000
TLS_SESSIONS = 1000
TLS_ADDRESS = ("127.0.0.1", 7443)
HANDSHAKE_SECONDS = 5  # that lbd gives to clients
MAX_PER_ORIGIN = 32  # connections of one user or address that lbd keeps
MAX_GROWTH_MIB = 100
STREAMS = 5000  # of each of 16 connections, twice
RATE = 5000  # packets per second meanwhile


def _resident_mib(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s*(\d+) kB", text, re.MULTILINE)[1]) / 1024


def _connect(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    client = socket.socket(family)
    client.settimeout(5)
    client.connect(address)
    return client


def _is_closed(client):
    """Whether lbd has closed it; what it said before is thrown away."""
    client.setblocking(False)
    try:
        while client.recv(65536):
            pass
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def _still_open(clients):
    """Those that lbd has not closed; the others are closed here, too."""
    kept = []
    for client in clients:
        if _is_closed(client):
            client.close()
        else:
            kept.append(client)
    return kept


def _idle_connections(connect, count=CONNECTIONS):
    """Makes many connections and returns those that lbd keeps open; the others it closes at once."""
    clients = []
    for _ in range(count):
        try:
            clients.append(connect())
        except OSError:
            continue
        if len(clients) >= 900:  # of 1024 descriptors
            clients = _still_open(clients)
    time.sleep(0.2)  # what was accepted last is closed by then
    return _still_open(clients)


def _garbage(connect):
    for text in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(65536),
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff\xff\xff\x00\x00" * 100,
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"):
        client = connect()
        try:
            client.sendall(text)
            client.settimeout(0.3)
            while client.recv(65536):
                pass
        except OSError:
            pass
        client.close()


def _frame(kind, flags, stream, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") +
            payload)


def _half_open(connect, method, streams):
    """A connection with calls that begin and never go on, whose client acknowledges nothing."""
    path = method.encode()
    headers = (b"\x83\x86" + b"\x04" + bytes([len(path)]) + path + b"\x01\x01x" +
               b"\x0f\x10\x10application/grpc" + b"\x00\x02te\x08trailers")
    client = connect()
    try:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0))
        for stream in range(streams):
            client.sendall(_frame(1, 4, 2 * stream + 1, headers))
    except OSError:
        pass  # it had enough of us
    return client


def _flood(connect):
    """Many calls that never go on; the connections, which are all closed when it is over."""
    methods = ["/lb.v1.LoadBalancer/GetConfig"] * 8 + ["/lb.v1.LoadBalancer/WatchEvents"] * 4 + [
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"] * 4
    clients = [_half_open(connect, method, STREAMS) for method in methods]
    time.sleep(0.2)
    left = len(_still_open(clients))
    expect(left == 0, f"{left} of {len(clients)} connections may have {STREAMS} calls")


def _in_network_of(node, function):
    """Calls it in a thread whose sockets are of the node."""
    def inside():
        with open(f"/run/netns/{node.netns}") as netns:
            if ctypes.CDLL(None, use_errno=True).setns(netns.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        return function()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(inside).result()


def _tls(pki):
    """How a client with a certificate connects."""
    context = ssl.create_default_context(cafile=pki / "fleet.pem")
    context.load_cert_chain(pki / "guest.pem", pki / "guest.key")
    context.set_alpn_protocols(["h2"])
    return lambda: context.wrap_socket(_connect(TLS_ADDRESS), server_hostname="localhost")


def _attack_tls(connect):
    """As on the socket, before the handshake and after it; what lbd kept open of either."""
    def plain():
        return _connect(TLS_ADDRESS)
    for way in (plain, connect):
        _garbage(way)
    _flood(connect)
    silent = _idle_connections(plain)
    time.sleep(HANDSHAKE_SECONDS + 1)
    left = len(_still_open(silent))
    expect(left == 0, f"{left} connections are open that never shook hands")
    idle = _idle_connections(connect, TLS_SESSIONS)
    for client in idle:
        client.close()
    return len(silent), len(idle)


@scenario
def hostile():
    """Garbage, idle connections, and calls that never go on, of clients that acknowledge no limit: on the
    socket, on the port for TLS and inside TLS they are refused, lbd stays small, and packets go on
    as before."""
    with new_lab() as lab:
        document = config(vip(VIP4, [real.ip4 for real in lab.reals], protocol="udp", port=53))
        pki = lab.dir / "pki"
        pki.mkdir()
        authority(pki, "fleet")
        for name in ("lbd", "guest"):
            certificate(pki, name, "fleet")
        lab.lbd = start_lbd(lab, document, flags=[
            "--listen_tcp=127.0.0.1:7443", "--tls_cert", pki / "lbd.pem", "--tls_key",
            pki / "lbd.key", "--tls_client_ca", pki / "fleet.pem"])
        address = str(socket_path(lab))
        with udp_flows(lab, VIP4, RATE) as quiet:
            time.sleep(1)
        before = _resident_mib(lab.lbd)
        with udp_flows(lab, VIP4, RATE) as attacked:
            _garbage(lambda: _connect(address))
            _flood(lambda: _connect(address))
            silent, sessions = _in_network_of(lab.lb, lambda: _attack_tls(_tls(pki)))
            clients = _idle_connections(lambda: _connect(address))
            growth = _resident_mib(lab.lbd) - before
        kept = {"socket": len(clients), "silent": silent, "sessions": sessions}
        expect(all(0 < count <= MAX_PER_ORIGIN for count in kept.values()), f"open: {kept}")
        expect(growth < MAX_GROWTH_MIB, f"lbd grew by {growth:.0f} MiB")
        expect(attacked["lost"] == "0" and attacked["misdirected"] == "0", f"{attacked}")
        expect(int(attacked["pps"]) > 0.9 * int(quiet["pps"]), f"{attacked}, before: {quiet}")
        for client in clients:
            client.close()
        start = time.monotonic()
        wait_until(lambda: lbctl(lab, "status", check=False).returncode == 0, 20, "lbd answers again")
        answers_after = time.monotonic() - start
        expect("xdp" in lab.lb.link(), "no program on eth0")
        lab.lbd.stop()
        return {"idle": CONNECTIONS, **kept, "growth_mib": f"{growth:.0f}",
                "pps": attacked["pps"], "quiet_pps": quiet["pps"],
                "answers_after_s": f"{answers_after:.1f}"}


def _expect_roles(call, viewer, operator, admin):
    """What each of the three may do; call(who, *argv) runs lbctl."""
    real = ["10.200.0.1:80/tcp", "10.10.11.2"]
    for who, drains, changes in ((viewer, False, False), (operator, True, False),
                                 (admin, True, True)):
        for allowed, argv in ((True, ["vip", "list"]), (drains, ["real", "drain", *real]),
                              (drains, ["real", "activate", *real]),
                              (changes, ["real", "update", *real, "--weight", "90"])):
            done = call(who, *argv)
            expect(done.returncode == (0 if allowed else 1), f"{who}: {argv}: {done}")
            expect(allowed or "takes the role" in done.stderr, f"{who}: {argv}: {done.stderr}")


def _shown_name(lab, pki):
    """The name in the certificate that lbd shows now."""
    done = lab.lb.run(["openssl", "s_client", "-connect", "localhost:7443", "-servername", "localhost",
                       "-cert", pki / "stranger.pem", "-key", pki / "stranger.key"], stdin="",
                      check=False, timeout=10)
    return (re.search(r"^subject=CN = (.*)$", done.stdout, re.MULTILINE) or [None, None])[1]


def _rotate_server(lab, pki):
    """lbd shows its new certificate, and serves those who trust that one's authority only."""
    expect(_shown_name(lab, pki) == "lbd", f"lbd shows {_shown_name(lab, pki)!r}")
    authority(pki, "next")
    certificate(pki, "lbd-next", "next")
    pid = lab.lbd.pid
    for kind in ("key", "pem"):
        (pki / f"lbd-next.{kind}").replace(pki / f"lbd.{kind}")
    wait_until(lambda: _shown_name(lab, pki) == "lbd-next", 20, "the new certificate is shown", 0.2)
    for ca, code in (("next", 0), ("old", 3)):
        done = lab.lb.run([binary("lbctl"), "--server=localhost:7443", "--timeout=5",
                           "--tls-ca", pki / f"{ca}.pem", "--tls-cert", pki / "stranger.pem",
                           "--tls-key", pki / "stranger.key", "vip", "list"], check=False)
        expect(done.returncode == code, f"with the authority {ca}: {done}")
    expect(lab.lbd.alive() and lab.lbd.pid == pid, "lbd was restarted")


@scenario
def roles():
    """By Unix group and by certificate: viewers look, operators drain, admins change; strangers and
    expired certificates get nowhere; new certificates of either side are taken without a restart."""
    with serving_lab(lambda lab: config(vip(VIP4, [real.ip4 for real in lab.reals]))) as lab:
        lab.lbd.stop()
        pki = lab.dir / "pki"
        pki.mkdir()
        for ca in ("fleet", "foreign"):
            authority(pki, ca)
        for name in ("lbd", "deploy", "oncall", "guest"):
            certificate(pki, name, "fleet")
        certificate(pki, "deploy", "foreign", "stranger")
        certificate(pki, "deploy", "fleet", "late", end="20200201000000Z")
        # Three groups that every Debian has.
        lab.lbd = start_lbd(lab, config(vip(VIP4, [real.ip4 for real in lab.reals])), flags=[
            "--socket_group=users", "--operator_group=games", "--admin_group=staff",
            "--audit_log", lab.dir / "audit", "--listen_tcp=127.0.0.1:7443",
            "--tls_cert", pki / "lbd.pem", "--tls_key", pki / "lbd.key",
            "--tls_client_ca", pki / "fleet.pem", "--tls_admins=deploy", "--tls_operators=oncall"])

        def by_group(groups, *argv):
            return run(["setpriv", "--reuid=65534", "--regid=65534", f"--groups={groups}",
                        binary("lbctl"), "--server", f"unix:{socket_path(lab)}", *argv], check=False)

        def by_certificate(name, *argv):
            return lab.lb.run([binary("lbctl"), "--server=localhost:7443", "--timeout=5",
                               "--tls-ca", pki / "fleet.pem", "--tls-cert", pki / f"{name}.pem",
                               "--tls-key", pki / f"{name}.key", *argv], check=False)

        _expect_roles(by_group, "100", "100,60", "100,50")
        expect(by_group("65534", "vip", "list").returncode == 3, "a stranger may connect")
        _expect_roles(by_certificate, "guest", "oncall", "deploy")
        for name in ("stranger", "late"):
            expect(by_certificate(name, "vip", "list").returncode == 3, f"{name} may connect")
        plain = lab.lb.run([binary("lbctl"), "--server=localhost:7443", "--timeout=3", "vip", "list"],
                           check=False)
        expect(plain.returncode == 3, f"without TLS: {plain}")
        # Rotated: the new authority is believed, the old one no longer.
        (pki / "old.pem").write_bytes((pki / "fleet.pem").read_bytes())
        (pki / "foreign.pem").replace(pki / "fleet.pem")

        def believed():
            done = lab.lb.run([binary("lbctl"), "--server=localhost:7443", "--timeout=2",
                               "--tls-ca", pki / "old.pem", "--tls-cert", pki / "stranger.pem",
                               "--tls-key", pki / "stranger.key", "vip", "list"], check=False)
            return done.returncode == 0
        wait_until(believed, 20, "the new authority is believed")
        _rotate_server(lab, pki)
        audit = (lab.dir / "audit").read_text()
        for text in ('"peer":"uid 65534 (nobody)"', '"peer":"cert oncall"', '"call":"UpdateReal"',
                     '"code":7'):
            expect(text in audit, f"no {text} in: {audit}")
        return {"audited": audit.count("\n")}
