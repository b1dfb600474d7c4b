"""The commands by name, each loaded when it is called: a status need not wait for what only a server needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_group

__all__ = ["MODULES", "Commands"]

MODULES = {
    "importing": ("import",),
    "publishing": ("publish", "rollback", "release"),
    "serving": ("serve",),
    "settings": ("config",),
    "tokens": ("token",),
    "lookups": ("lookup",),
    "hashing": ("hash",),
    "matching": ("match",),
    "conformance": ("conformance",),
    "status": ("status", "watch"),
    "top": ("top",),
    "auditing": ("audit",),
    "showing": ("show",),
    "entries": ("withdraw", "remove", "disable", "enable", "reinstate"),
    "banks": ("bank",),
    "quarantine": ("quarantine",),
}
"""What the `app` of each module of this package holds, in the order of the help."""
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}


class Commands(TyperGroup):
    """The group of all commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands."""
        del ctx
        return list(_MODULE_OF)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a command; for a name that there is not, all of them, so that typer can say which one was meant."""
        del ctx
        for module in [_MODULE_OF[cmd_name]] if cmd_name in _MODULE_OF else MODULES:
            self.commands.update(get_group(import_module(f"nearhash_service.cli.{module}").app).commands)
        return self.commands.get(cmd_name)
