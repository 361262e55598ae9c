"""Sources of agencies: the contract, the kinds, the mapping to shared schemas."""
