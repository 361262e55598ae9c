"""Files of an agency that a manifest names: below its own folder, and nothing else."""

from __future__ import annotations

from pathlib import Path

from app.errors import SourceMissing, SourcePermissionDenied


def agency_file(root: Path, location: str) -> Path:
    """The file itself; raises `SourceMissing`, or `SourcePermissionDenied` when a link leads out of the folder."""
    path = root / location
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise SourceMissing(
            f"there is no file {location} in the agency's folder; upload it", field="/source/location"
        ) from None
    if not real.is_relative_to(root.resolve()):
        raise SourcePermissionDenied(f"{location} leads out of the agency's folder", field="/source/location")
    if not real.is_file():
        raise SourceMissing(f"{location} is no file", field="/source/location")
    return real
