"""The manifest of a built site: what it was made from, and a hash of every file in it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from brainseg.cohort.kaggle import HANDLE, PUBLISHED
from brainseg.networks.record import reference_runs
from brainseg.paths import write_atomically
from brainseg.provenance import commit
from brainseg.publishing.execute import Edition

NAME = "manifest.json"


def write_manifest(site: Path, edition: Edition) -> Path:
    """Write ``manifest.json`` into a site that is otherwise finished.

    It holds the ``commit``; of the cohort its fingerprint and counts, and where these are those of the published data
    set the ``version`` of it at Kaggle; the digests of the kept ``weights``; ``versions`` of libraries; per page its
    parameters and the hash of its source; and the SHA-256 of each file.
    """
    records = {name: edition.record(name) for name in edition.pages}
    cohort = next((record["cohort"] for record in records.values() if record["cohort"]), None)
    first = next(iter(records.values()))
    manifest = {
        "commit": commit(),
        "cohort": cohort and {**cohort, "version": HANDLE if _is_published(cohort) else None},
        "weights": {record.name: record.digest() for record in reference_runs(with_weights=True)},
        "versions": first["versions"],
        "pages": {
            name: {key: record[key] for key in ("parameters", "profile", "source", "executed")}
            for name, record in records.items()
        },
        "files": hashes(site),
    }
    return _write(site, manifest)


def read_manifest(site: Path) -> dict:
    """The manifest of a built site; see :func:`write_manifest`."""
    return json.loads((site / NAME).read_text(encoding="utf-8"))


def rewrite_hashes(site: Path) -> Path:
    """Write the manifest again where files were added to a finished site."""
    return _write(site, read_manifest(site) | {"files": hashes(site)})


def _write(site: Path, manifest: dict) -> Path:
    with write_atomically(site / NAME) as part:
        part.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return site / NAME


def hashes(site: Path) -> dict[str, str]:
    """The SHA-256 of each file of a site but the manifest, by its place."""
    files = sorted(path for path in site.rglob("*") if path.is_file() and path.name != NAME)
    return {path.relative_to(site).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _is_published(cohort: dict) -> bool:
    names = {"patients": "patients", "slices": "slices", "tumour_slices": "slices with tumour"}
    return cohort["tcga"] and all(cohort[name] == PUBLISHED[published] for name, published in names.items())
