"""Tables of the embedded log (`DIR/log.db`). The same names and columns as `tables.py` gives PostgreSQL.

`log_replica` has fewer: one process has this log, so none is registered, locked or declared stopped by another.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

TABLES = """
CREATE TABLE log_head (
    log_id TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, frontier BLOB NOT NULL, tail BLOB NOT NULL
) STRICT;
CREATE TABLE log_entry (
    idx INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, entry BLOB NOT NULL,
    id TEXT NOT NULL, xid TEXT NOT NULL, kind TEXT NOT NULL, t_us INTEGER NOT NULL, agency TEXT, client TEXT,
    op TEXT NOT NULL, effect TEXT, status INTEGER, row_count INTEGER, facet INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX uq_log_entry_id ON log_entry (id);
CREATE INDEX ix_log_entry_xid ON log_entry (xid);
CREATE INDEX ix_log_entry_facet_counts ON log_entry (facet, idx, t_us, row_count);
CREATE TABLE log_facet (term TEXT NOT NULL, facet INTEGER NOT NULL, PRIMARY KEY (term, facet)) STRICT, WITHOUT ROWID;
CREATE TABLE log_node (
    level INTEGER NOT NULL, n INTEGER NOT NULL, hash BLOB NOT NULL,
    leaves BLOB, t_min_us INTEGER, t_max_us INTEGER, PRIMARY KEY (level, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE log_checkpoint (
    size INTEGER PRIMARY KEY, root BLOB NOT NULL, note TEXT NOT NULL, at_us INTEGER NOT NULL
) STRICT;
CREATE TABLE log_replica (replica TEXT PRIMARY KEY, open_from INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE exchange_detail (idx INTEGER PRIMARY KEY, salt BLOB NOT NULL, detail BLOB NOT NULL) STRICT;
CREATE TABLE exchange_subject (
    tag BLOB NOT NULL, idx INTEGER NOT NULL, role TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (idx, tag, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX ix_exchange_subject_tag ON exchange_subject (tag, idx);
CREATE TRIGGER log_entry_no_update BEFORE UPDATE ON log_entry
BEGIN SELECT RAISE(ABORT, 'entries of the exchange log are immutable'); END;
CREATE TRIGGER log_entry_no_delete BEFORE DELETE ON log_entry
BEGIN SELECT RAISE(ABORT, 'entries of the exchange log are immutable'); END;
"""

ADDED_LATER = """
CREATE INDEX IF NOT EXISTS ix_log_facet_facet ON log_facet (facet);
CREATE TABLE IF NOT EXISTS log_cosignature (
    size INTEGER NOT NULL, name TEXT NOT NULL, line TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (size, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ix_log_entry_facet_counts ON log_entry (facet, idx, t_us, row_count);
DROP INDEX IF EXISTS ix_log_entry_facet;
CREATE INDEX IF NOT EXISTS ix_log_node_times ON log_node (level, n, t_min_us, t_max_us);
"""
"""What a log of the same version may lack; made at each opening."""
