"""nearhash serve."""

from __future__ import annotations

import typer

from nearhash_service.cli.printing import output
from nearhash_service.cli.settings import config_sources
from nearhash_service.cli.shared_options import with_options_of
from nearhash_service.config import Config, ConfigSources
from nearhash_service.processes.starting import load_template
from nearhash_service.sight.logs import set_up_logging

__all__ = ["app"]

app = typer.Typer()


@app.command()
@with_options_of(config_sources)
def serve(sources: ConfigSources) -> None:
    """Serve lookups and administration until SIGTERM or Ctrl-C, then let calls in flight end.

    Example: nearhash serve --data data --listen 127.0.0.1:50051 --workers 2
    """
    set_up_logging("supervisor", sources.load().config.log)
    load_template()
    # This takes half as long as the template does, and goes on beside it.
    from nearhash_service.processes.supervisor import serve as run_workers  # noqa: PLC0415

    run_workers(sources, _announce)
    output.print("stopped")


def _announce(config: Config, addresses: list[str]) -> None:
    output.print(f"serving {config.server.data} at {','.join(addresses)} with {config.server.workers} workers")
