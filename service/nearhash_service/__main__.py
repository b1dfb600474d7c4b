"""The command `nearhash`, also `python -m nearhash_service`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from nearhash_service.cli.app import run  # noqa: PLC0415 - the light client is installed without what it needs
    except ModuleNotFoundError as error:
        sys.exit(f"nearhash: {error.name} is not installed; the command needs: pip install 'nearhash[server]'")
    run()


if __name__ == "__main__":
    main()
