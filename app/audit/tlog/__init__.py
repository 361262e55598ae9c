"""The transparency log's own forms (C2SP, RFC 6962): tree, proofs, checkpoints, tiles, receipts, witnesses. Pure."""
