"""Use cases that touch two or more rooms below."""
