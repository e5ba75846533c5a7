# SPDX-License-Identifier: MIT
"""Certificates for tests, by openssl."""

import subprocess

CA = """
[ca]
default_ca = tests
[tests]
database = {folder}/index
rand_serial = yes
new_certs_dir = {folder}
default_md = sha256
unique_subject = no
policy = any
x509_extensions = names
[any]
commonName = optional
organizationName = optional
[names]
{extensions}
"""


def openssl(*words):
    p = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    assert p.returncode == 0, (words, p.stderr)


class Authority:
    """One that signs: `cert` is its own certificate."""

    def __init__(self, folder, name):
        folder.mkdir()
        self.folder, self.cert, self.key = folder, folder / "ca.pem", folder / "ca.key"
        (folder / "index").touch()
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 1000,
                "-addext", "keyUsage = critical, keyCertSign, cRLSign",     # Python 3.13 wants it
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    def sign(self, name, names="", end="20991231000000Z", common_name=True):
        """A certificate and its key, for a server of these names ("DNS:a,IP:127.0.0.1") or a client: (cert, key)."""
        cert, key, request, config = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr", "conf"))
        lines = "authorityKeyIdentifier = keyid\nextendedKeyUsage = serverAuth, clientAuth\n" + (f"subjectAltName = {names}\n" if names else "")
        config.write_text(CA.format(folder=self.folder, extensions=lines))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", f"/CN={name}" if common_name else f"/O={name}", "-keyout", key, "-out", request)
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.cert, "-keyfile", self.key, "-in", request,
                "-out", cert, "-startdate", "20200101000000Z", "-enddate", end)
        return cert, key
