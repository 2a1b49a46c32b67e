# SPDX-License-Identifier: Apache-2.0
"""Certificates for scenarios."""

from lab import run


def _openssl(*argv):
    run(["openssl", *argv])


def authority(directory, name):
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", "1", "-subj", f"/CN={name}",
             "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.pem")


def certificate(directory, name, ca, file=None, start="20200101000000Z", end="20490101000000Z"):
    """FILE.pem and FILE.key, by default called as their owner, signed by CA.pem."""
    out = directory / (file or name)
    (directory / "ca").mkdir(exist_ok=True)
    (directory / "ca/index").touch()
    conf = directory / "ca.cnf"
    conf.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={directory}/ca/index\nrand_serial=yes\n"
                    f"new_certs_dir={directory}/ca\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
                    "x509_extensions=x\n[p]\ncommonName=supplied\n"
                    "[x]\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
    _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             f"/CN={name}", "-keyout", f"{out}.key", "-out", f"{out}.csr")
    _openssl("ca", "-batch", "-notext", "-config", conf, "-cert", directory / f"{ca}.pem", "-keyfile",
             directory / f"{ca}.key", "-startdate", start, "-enddate", end, "-in", f"{out}.csr",
             "-out", f"{out}.pem")
