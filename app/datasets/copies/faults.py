"""What can be wrong with a copy of a dataset."""

from __future__ import annotations

from app.errors import RequestError, SourceError


class SnapshotGone(RequestError):
    """The pages before came from a copy of a dataset that is not kept any more."""

    code = "snapshot_gone"


class SnapshotOverdue(SourceError):
    """No copy of the dataset was taken in time, and no fault is known: what is there is older than promised."""

    code = "snapshot_overdue"
    retryable = True


class SnapshotUnreadable(SourceError):
    """The file of a copy is gone, was changed, or is sealed under a key that this gateway does not have."""

    code = "snapshot_unreadable"
    retryable = True


class SnapshotTooLarge(SourceError):
    """The copies of an agency would take more of the disk than it may have."""

    code = "snapshot_too_large"
