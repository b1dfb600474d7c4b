import os
import socket

from nearhash_service.cli.author import author


def test_a_user_without_a_name_is_told_by_number(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_123)
    assert author("a reason").actor == f"uid-4000000123@{socket.gethostname()}"
