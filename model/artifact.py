"""The on-disk layout of a model: which files, and proof that they are whole and belong together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.atomic import atomic_writer
from model.decoding import Decoding
from model.errors import InvalidArtefact, InvalidTaxonomy
from model.taxonomy import Taxonomy, parse_taxonomy

__all__ = ["DEFAULT_FOLDER", "FORMAT", "Artefact", "Decoding", "Manifest", "ModelFolder", "write_manifest"]

FORMAT = 1
DEFAULT_FOLDER = Path(__file__).with_name("weights") / "kesu-base"
_MANIFEST = "manifest.json"
_WARM_START = "torch"
# What an answer depends on. Anything else (model card, warm-start weights) may be absent.
_NEEDED = ("taxonomy.yaml", "tokenizer.json", "model.int8.onnx", "decoding.json")
_LAYOUT = f"a model folder holds {_MANIFEST} (written last), {', '.join(_NEEDED)} and, for warm starts, {_WARM_START}/"
_KEYS = {"format", "name", "version", "taxonomy_version", "created", "files", "training"}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model is called and which bytes belong to it: file name → (sha256 in hex, size in bytes)."""

    name: str
    version: str
    taxonomy_version: str
    created: str
    files: Mapping[str, tuple[str, int]]
    training: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Artefact:
    """A model folder that was found whole, with its small files read."""

    folder: ModelFolder
    manifest: Manifest
    taxonomy: Taxonomy
    decoding: Decoding


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Where the parts of a model lie. Nothing is read before :meth:`validate`."""

    path: Path

    @property
    def manifest(self) -> Path:
        """Name, version and the checksums of all other files; its presence means "complete"."""
        return self.path / _MANIFEST

    @property
    def taxonomy(self) -> Path:
        """The labels in the order of the network's outputs."""
        return self.path / "taxonomy.yaml"

    @property
    def tokenizer(self) -> Path:
        """A Hugging Face ``tokenizers`` file."""
        return self.path / "tokenizer.json"

    @property
    def network(self) -> Path:
        """The int8 ONNX graph."""
        return self.path / "model.int8.onnx"

    @property
    def decoding(self) -> Path:
        """Calibration and thresholds."""
        return self.path / "decoding.json"

    @property
    def warm_start(self) -> Path:
        """PyTorch weights to go on training from; may be absent."""
        return self.path / _WARM_START

    def is_valid(self, *, warm_start: bool = False) -> bool:
        """Whether :meth:`validate` would pass."""
        try:
            self.validate(warm_start=warm_start)
        except InvalidArtefact:
            return False
        return True

    def validate(self, *, warm_start: bool = False) -> Artefact:
        """Check every file an answer depends on (with ``warm_start`` the PyTorch weights too) and read the small ones.

        Raises InvalidArtefact for a missing file, another size or SHA-256 than the manifest
        tells, unreadable JSON, an unknown format, and thresholds that do not fit the labels.
        That the network fits the labels is checked where it is loaded, in ``model.engine``.
        """
        manifest = self._read_manifest()
        names = list(_NEEDED)
        if warm_start:
            kept = [name for name in manifest.files if name.startswith(f"{_WARM_START}/")]
            if not kept:
                raise InvalidArtefact(
                    f"{self.path}: this model came without {_WARM_START}/, so it can answer but not be trained "
                    "further; use a folder exported with its warm-start weights"
                )
            names += kept
        for name in names:
            if name not in manifest.files:
                raise InvalidArtefact(f"{self.manifest}: does not list {name}; export the model again ({_LAYOUT})")
            self._check(name, *manifest.files[name])
        taxonomy = self._read_taxonomy()
        if taxonomy.version != manifest.taxonomy_version:
            raise InvalidArtefact(
                f"{self.taxonomy}: version {taxonomy.version!r}, but the manifest tells {manifest.taxonomy_version!r}; "
                "export the model again"
            )
        return Artefact(self, manifest, taxonomy, Decoding.read(self.decoding, taxonomy))

    def _read_taxonomy(self) -> Taxonomy:
        # Not load_taxonomy: it remembers by path, and a folder may be exported anew while a service runs.
        try:
            return parse_taxonomy(self.taxonomy.read_text(encoding="utf-8"), self.taxonomy)
        except (InvalidTaxonomy, UnicodeDecodeError) as error:
            raise InvalidArtefact(f"{self.taxonomy}: not a valid taxonomy: {error}; export the model again") from error

    def _read_manifest(self) -> Manifest:
        if not self.path.is_dir():
            raise InvalidArtefact(f"{self.path}: no such folder; {_LAYOUT}")
        try:
            raw = json.loads(self.manifest.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InvalidArtefact(
                f"{self.manifest}: missing, so the folder is not a model or its export did not finish; "
                f"name another folder or export again ({_LAYOUT})"
            ) from error
        except OSError as error:
            raise InvalidArtefact(f"{self.manifest}: cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise InvalidArtefact(f"{self.manifest}: not valid JSON ({error}); export the model again") from error
        if not isinstance(raw, dict) or "format" not in raw:
            raise InvalidArtefact(f"{self.manifest}: has no format number; this kesu reads format {FORMAT}: {_LAYOUT}")
        if raw["format"] != FORMAT:
            raise InvalidArtefact(
                f"{self.manifest}: format {raw['format']!r} is not known; this kesu reads format {FORMAT}: update kesu"
            )
        if set(raw) != _KEYS:
            key = sorted(set(raw) ^ _KEYS)[0]
            problem = "unknown" if key in raw else "missing"
            raise InvalidArtefact(f"{self.manifest}: {problem} key {key!r}; expected are {', '.join(sorted(_KEYS))}")
        try:
            files = {str(name): (str(entry["sha256"]), int(entry["bytes"])) for name, entry in raw["files"].items()}
            training = dict(raw["training"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidArtefact(
                f"{self.manifest}: files must map each name to its sha256 and bytes, and training be a mapping; "
                "export the model again"
            ) from error
        name, version, labels, created = (str(raw[key]) for key in ("name", "version", "taxonomy_version", "created"))
        return Manifest(name, version, labels, created, files, training)

    def _check(self, name: str, sha256: str, size: int) -> None:
        path = self.path / name
        try:
            found = path.stat().st_size
            if found != size:
                raise InvalidArtefact(
                    f"{path}: {found} bytes, but the manifest tells {size}; the copy is incomplete or the file was "
                    "changed: copy or export the model again"
                )
            digest = _sha256(path)
        except FileNotFoundError as error:
            raise InvalidArtefact(f"{path}: missing; copy or export the model again ({_LAYOUT})") from error
        except OSError as error:
            raise InvalidArtefact(f"{path}: cannot be read: {error.strerror}") from error
        if digest != sha256:
            raise InvalidArtefact(
                f"{path}: its SHA-256 is not the manifest's; the file is damaged or was changed: "
                "copy or export the model again"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_manifest(folder: Path, *, name: str, version: str, training: Mapping[str, Any]) -> Artefact:
    """Seal a model folder: list all its files with size and SHA-256, as the last step of an export.

    The label version is read from the folder's own taxonomy. Written atomically, then the
    folder is validated. Model cards (``*.md``) and hidden files stay out of the list, so
    that they can be edited. ``training`` holds free facts that JSON can express.
    Raises InvalidArtefact as :meth:`ModelFolder.validate` does.
    """
    layout = ModelFolder(folder)
    for needed in _NEEDED:
        if not (folder / needed).is_file():
            raise InvalidArtefact(f"{folder / needed}: missing; write it before the manifest ({_LAYOUT})")
    listed = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path != layout.manifest and path.suffix != ".md" and not path.name.startswith(".")
    )
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "taxonomy_version": layout._read_taxonomy().version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {
            path.relative_to(folder).as_posix(): {"sha256": _sha256(path), "bytes": path.stat().st_size}
            for path in listed
        },
        "training": dict(training),
    }
    with atomic_writer(layout.manifest) as handle:
        json.dump(manifest, handle, ensure_ascii=False, indent=2)
        handle.write("\n")
    return layout.validate()
