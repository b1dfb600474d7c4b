"""What a server is told: read from a TOML file, the environment and flags, validated once, frozen.

Another key is one line in its section's module: name, type with bounds, description, default. From that line follow the
key in the file, its environment variable (`server.workers`: NEARHASH_SERVER__WORKERS), `--set server.workers=2`, the
line of `nearhash config`, and the one in service/nearhash.example.toml, which `make example` writes again. Another
section is a module like server.py and one line in config.py. Units belong in names: `drain_grace_s`.

What one key must satisfy stands in its type; what several must satisfy together, in `__post_init__` of the section or,
across sections, of `Config`; they raise InvalidInput naming the key, and the place where it was set is told.
"""

from nearhash_service.config.admission import AdmissionSection
from nearhash_service.config.callers import Caller, Role
from nearhash_service.config.config import Config
from nearhash_service.config.log import LogSection
from nearhash_service.config.metrics import MetricsSection
from nearhash_service.config.publish import PublishSection
from nearhash_service.config.server import ServerSection, parse_address
from nearhash_service.config.sources import ConfigSources, Given, Loaded
from nearhash_service.config.tls import TLSSection
from nearhash_service.config.tracing import TracingSection

__all__ = [
    "AdmissionSection",
    "Caller",
    "Config",
    "ConfigSources",
    "Given",
    "Loaded",
    "LogSection",
    "MetricsSection",
    "PublishSection",
    "Role",
    "ServerSection",
    "TLSSection",
    "TracingSection",
    "parse_address",
]
