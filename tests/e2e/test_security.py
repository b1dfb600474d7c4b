"""From a new token to a call over TLS, and to its end, with the commands that an operator types."""

import stat
from hashlib import sha256

from ..service.certificates import Authority
from ..service.running import eventually, serving
from ..service.sample import NARROW, make_sample, write_sample
from .commands import failed_here, ok_here, run_here

REFUSED = "error: no token or certificate of a known caller came with the call\n"


def test_tokens_are_made_shown_and_taken_out(tmp_path):
    write_sample(tmp_path / "data", make_sample(per_type=10))
    files = {name: tmp_path / f"{name}.token" for name in ("uploads", "watchers", "operators")}
    lines = {name: ok_here("token", "--file", file) for name, file in files.items()}
    for name, file in files.items():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert lines[name] == f'token_sha256 = ["{sha256(file.read_bytes().strip()).hexdigest()}"]\n'
    assert "File exists" in failed_here("token", "--file", files["uploads"])

    authority = Authority(tmp_path, "ours")
    authority.issue("server")
    uploads = f'[[callers]]\nname = "uploads"\nroles = ["lookup"]\nbanks = ["{NARROW}"]\n{lines["uploads"]}'
    watchers = f'[[callers]]\nname = "watchers"\nroles = ["observe"]\n{lines["watchers"]}'
    operators = f'[[callers]]\nname = "operators"\nroles = ["admin"]\n{lines["operators"]}'
    settings = tmp_path / "nearhash.toml"
    settings.write_text(f'[tls]\ncertificate = "server.pem"\nkey = "server.key"\n\n{uploads}\n{watchers}\n{operators}')
    with serving(tmp_path / "server", tmp_path / "data", "--config", settings) as running:
        where = ["--target", f"localhost:{running.port}", "--tls-ca", authority.certificate]
        lookup = ["lookup", "0123456789abcdef", *where]
        assert "no match" in ok_here(*lookup, "--token-file", files["uploads"])
        assert failed_here(*lookup) == REFUSED
        told = failed_here("status", *where, "--token-file", files["uploads"])
        assert told == "error: this caller has no right to this RPC\n"
        assert NARROW in ok_here("status", *where, "--token-file", files["watchers"])
        assert failed_here("audit", *where, "--token-file", files["watchers"]) == told
        done = run_here("bank", "create", "new", *where, NEARHASH_TOKEN=files["operators"].read_text().strip())
        assert (done.returncode, done.stdout) == (0, "created bank new\n")
        assert "operators for " in ok_here("audit", *where, "--token-file", files["operators"])

        settings.write_text(settings.read_text().replace(uploads, ""))
        eventually(lambda: "2 callers" in running.log())
        assert failed_here(*lookup, "--token-file", files["uploads"]) == REFUSED
