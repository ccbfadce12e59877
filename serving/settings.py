"""Settings of the service: options of ``kesu serve``, else the environment (KESU_...), else a TOML file, else these."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from model.errors import InvalidInput
from serving.security import is_loopback

PREFIX = "KESU_"
# Read elsewhere in kesu.
_OTHERS = {"KESU_CONFIG", "KESU_TRACEBACK"}
# Kubernetes tells every pod of Services named `kesu`, `kesu-web`, … in these, and in KESU_PORT, KESU_WEB_PORT, … (see
# `_environment`).
_KUBERNETES = re.compile(
    r"KESU_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)
KeyHash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Everything that can be set. Seconds, bytes and tokens as the names say."""

    # As JSON they go to another process, where `inf` (no limit) must still be one.
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True, ser_json_inf_nan="constants"
    )

    host: str = "127.0.0.1"
    port: Port = 8000
    model: Path | None = Field(None, description="model folder; by default the one that ships")
    playbook: Path | None = Field(None, description="playbook file; by default the one that ships")
    severity_rules: Path | None = Field(None, description="severity rules; by default those that ship")
    threads: int | None = Field(None, ge=1, description="by default the processors this process may use")

    api_keys: dict[str, KeyHash] = Field({}, description="name of a caller: SHA-256 of its key (kesu serve --new-key)")
    admin_keys: frozenset[str] = Field(frozenset(), description="names that may also call /v1/admin")
    insecure: bool = Field(False, description="serve other machines without API keys")
    texts_per_second: float | None = Field(None, gt=0, description="share of each key; by default unlimited")
    burst_texts: int = Field(256, ge=1, description="texts a key may send at once before its share counts")

    waiting_seconds: float = Field(
        0.35, gt=0, description="a single text that must be expected to wait longer gets a 429"
    )
    waiting_batch_seconds: float = Field(10, gt=0, description="the same for texts in batches")
    batch_items: int = Field(256, ge=1, le=4096)
    body_bytes: int = Field(1 << 20, ge=1 << 10)
    head_seconds: float = Field(10, gt=0, description="time in which the head of a request must have arrived")
    body_seconds: float = Field(10, gt=0, description="time in which a body must have arrived")
    text_seconds: float = Field(10, gt=0, description="time in which one text must be answered")
    batch_seconds: float = Field(60, gt=0, description="time in which a batch must be answered")
    stalled_seconds: float = Field(30, gt=0, description="a service whose every worker hangs this long starts anew")
    startup_seconds: float = Field(
        60, gt=0, description="time in which a starting service must be ready, else it is ended"
    )
    drain_seconds: int = Field(30, ge=0, description="time for open requests after SIGTERM")
    connections: int = Field(
        1024,
        ge=1,
        description="open connections, of which idle ones give way to new ones, and requests at once: above it 429",
    )
    logs: bool = Field(True, description="one line of JSON a request on standard error")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: pydantic would merge dicts of two sources, and a replaced API key would stay valid."""
        return (init_settings,)

    @model_validator(mode="after")
    def _guarded(self) -> Settings:
        if unknown := self.admin_keys - set(self.api_keys):
            raise ValueError(f"admin_keys names {sorted(unknown)[0]!r}, which api_keys does not hold")
        if not self.api_keys and not self.insecure and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host} can be reached from other machines, but no API key is set; make one with "
                "`kesu serve --new-key NAME`, serve on 127.0.0.1, or say --insecure"
            )
        return self


def load_settings(file: Path | None = None, options: Mapping[str, Any] | None = None) -> Settings:
    """Settings from ``options`` (None: not given), the environment and ``file`` (TOML; default: $KESU_CONFIG).

    Each setting is taken whole from the first of them that has it.
    Raises InvalidInput naming each unknown or invalid setting and where it stands.
    """
    if file is None and os.environ.get("KESU_CONFIG"):
        file = Path(os.environ["KESU_CONFIG"])
    written = _read(file) if file else {}
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return Settings(**(written | _environment() | given))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()]
        raise InvalidInput("; ".join(problems)) from None


def _environment() -> dict[str, Any]:
    known = set(Settings.model_fields)
    for name, value in os.environ.items():
        if not name.startswith(PREFIX) or name in _OTHERS or _KUBERNETES.fullmatch(name):
            continue
        if name.endswith("_PORT") and "://" in value:  # the address of a Service
            continue
        if name.removeprefix(PREFIX).lower() not in known:
            meant = _meant(name, {PREFIX + field.upper() for field in known})
            raise InvalidInput(f"environment variable {name}: unknown setting{meant}")
    try:
        found = EnvSettingsSource(Settings)()
    except ValueError as error:  # a variable that should be JSON
        raise InvalidInput(f"{error}; expected JSON") from None
    if "://" in found.get("port", ""):  # from Kubernetes: the address of the Service, not our port
        del found["port"]
    return found


def _read(file: Path) -> dict[str, Any]:
    known = set(Settings.model_fields)
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{file}: not valid TOML: {error}") from error
    for name in written:
        if name not in known:
            raise InvalidInput(f"{file}: unknown setting {name!r}{_meant(name, known)}")
    return written


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(sorted(known))}"
