"""Which logs and witnesses are trusted, and which witnesses together are enough (C2SP tlog-policy).

Pure. The same file configures the gateway (witness URLs) and an offline verifier (keys and quorum).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.audit.tlog.checkpoint import Checkpoint, NoteError, Verifier, split_note
from app.audit.tlog.cosignatures import Cosignature, WitnessKey

NO_QUORUM = "none"


class PolicyError(ValueError):
    """A policy file that is not what tlog-policy says; the text names the line."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness of a policy; `url` is its submission prefix, None where only verification is meant."""

    name: str
    key: WitnessKey
    url: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """At least `needed` of `members` (witnesses or groups)."""

    needed: int
    members: tuple[str, ...]


@dataclass(slots=True)
class Policy:
    """A parsed policy. `quorum` names a witness or group, `none` when no cosignature is asked for."""

    logs: dict[str, Verifier] = field(default_factory=dict)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str = NO_QUORUM

    def satisfied(self, cosigned: AbstractSet[str]) -> bool:
        """True when the witnesses of these policy names are a quorum."""
        return self.quorum == NO_QUORUM or self._holds(self.quorum, cosigned)

    def _holds(self, name: str, cosigned: AbstractSet[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in cosigned
        return sum(self._holds(member, cosigned) for member in group.members) >= group.needed

    def cosignatures(self, note: str) -> Mapping[str, Cosignature]:
        """Valid cosignatures of this policy's witnesses in a note, by the witness's policy name."""
        found = {name: witness.key.find(note) for name, witness in self.witnesses.items()}
        return {name: cosignature for name, cosignature in found.items() if cosignature is not None}

    def open(self, note: str, *, fresh_since: int | None = None) -> Checkpoint:
        """A checkpoint that one of the logs signed and a quorum cosigned; NoteError says what is missing.

        `fresh_since` (seconds since 1970): a quorum must have cosigned it after this time, else it may be an old one.
        """
        origin = split_note(note)[0].partition("\n")[0]
        log = self.logs.get(origin)
        if log is None:
            raise NoteError(
                f"the checkpoint is of origin {origin}, the policy trusts {', '.join(self.logs) or 'no log'}"
            )
        checkpoint = log.open(note)
        cosigned = self.cosignatures(note)
        if not self.satisfied(cosigned.keys()):
            raise NoteError(
                f"cosigned by {', '.join(sorted(cosigned)) or 'nobody'}: the quorum {self.quorum} is not met"
            )
        if fresh_since is not None:
            fresh = {name for name, found in cosigned.items() if found.time >= fresh_since}
            if not fresh or not self.satisfied(fresh):
                last = max((found.time for found in cosigned.values()), default=0)
                raise NoteError(
                    f"cosigned by {', '.join(sorted(cosigned)) or 'nobody'}, but the last time at"
                    f" {datetime.fromtimestamp(last, UTC).isoformat()}: this may be an old checkpoint"
                )
        return checkpoint


def parse_policy(text: str) -> Policy:
    """Read a policy file; PolicyError names the line and the rule."""
    policy = Policy()
    members: set[str] = set()
    quorum: str | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if any(ord(char) < 0x20 and char != "\t" for char in line):
            raise PolicyError(f"line {number}: control characters are not allowed")
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            quorum = _line(policy, members, quorum, words)
        except (NoteError, PolicyError) as error:
            raise PolicyError(f"line {number}: {error}") from None
    if quorum is None:
        raise PolicyError("a policy has exactly one line 'quorum <name>' (or 'quorum none')")
    policy.quorum = quorum
    return policy


def _line(policy: Policy, members: set[str], quorum: str | None, words: list[str]) -> str | None:
    kind, rest = words[0], words[1:]
    if kind == "log" and len(rest) in {1, 2}:
        _add_log(policy, rest)
    elif kind == "witness" and len(rest) in {2, 3}:
        _add_witness(policy, rest)
    elif kind == "group" and len(rest) > 2:
        _add_group(policy, members, rest)
    elif kind == "quorum" and len(rest) == 1:
        if quorum is not None:
            raise PolicyError("there is a quorum line already")
        if rest[0] != NO_QUORUM:
            _known(policy, rest[0])
        return rest[0]
    else:
        raise PolicyError(
            "a line is 'log <vkey> [url]', 'witness <name> <vkey> [url]', 'group <name> <all|any|k> <name>...'"
            " or 'quorum <name>'"
        )
    return quorum


def _add_log(policy: Policy, rest: list[str]) -> None:
    key = Verifier.parse(rest[0])
    if key.name in policy.logs or any(known.public_key == key.public_key for known in policy.logs.values()):
        raise PolicyError("this log stands here twice")
    policy.logs[key.name] = key


def _add_witness(policy: Policy, rest: list[str]) -> None:
    name = _fresh(policy, rest[0])
    key = WitnessKey.parse(rest[1])
    if any(known.key.public_key == key.public_key for known in policy.witnesses.values()):
        raise PolicyError("this witness key stands here twice")
    policy.witnesses[name] = Witness(name, key, rest[2].rstrip("/") if len(rest) > 2 else None)


def _add_group(policy: Policy, members: set[str], rest: list[str]) -> None:
    name, threshold, *listed = rest
    _fresh(policy, name)
    for member in listed:
        _known(policy, member)
        if member in members:
            raise PolicyError(f"{member} is a member already; a name counts once")
        members.add(member)
    words = {"all": len(listed), "any": 1}
    needed = words.get(threshold, int(threshold) if threshold.isascii() and threshold.isdigit() else 0)
    if not 1 <= needed <= len(listed):
        raise PolicyError(f"the threshold is all, any, or a number from 1 to {len(listed)}")
    policy.groups[name] = Group(needed, tuple(listed))


def _fresh(policy: Policy, name: str) -> str:
    if name == NO_QUORUM or name in policy.witnesses or name in policy.groups:
        raise PolicyError(f"the name {name} is taken")
    return name


def _known(policy: Policy, name: str) -> None:
    if name not in policy.witnesses and name not in policy.groups:
        raise PolicyError(f"{name} is no witness or group of a line above")
