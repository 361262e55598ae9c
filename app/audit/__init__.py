"""The exchange log: entries, Merkle tree, checkpoints, stores, search, verification."""
