"""Policy files: the example of the specification with real keys, and every rule that a file can break."""

from __future__ import annotations

import pytest

from app.audit.tlog.checkpoint import Signer
from app.audit.tlog.cosignatures import Cosigner
from app.audit.tlog.policy import PolicyError, parse_policy

LOG = Signer("simpul.jepara.example/log", bytes(32)).verifier.text()
KEYS = [Cosigner(f"w{n}.example", bytes([n]) * 32).key.text() for n in range(6)]
NAMES = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
WITNESSES = "".join(f"witness {name} {key}\n" for name, key in zip(NAMES, KEYS, strict=True))
EXAMPLE = f"""# two levels
log {LOG} https://simpul.jepara.example/log

{WITNESSES}
\tgroup X-witnesses 2 X1 X2 X3
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses  Y-witnesses
quorum X-and-Y
"""


@pytest.mark.parametrize(
    ("cosigned", "enough"),
    [("X1 X2 Y3", True), ("X1 X2 X3 Y1", True), ("X1 Y1 Y2 Y3", False), ("X1 X2 X3", False), ("", False)],
)
def test_a_quorum_of_two_levels(cosigned, enough):
    policy = parse_policy(EXAMPLE)
    assert policy.satisfied(frozenset(cosigned.split())) is enough
    assert list(policy.logs) == ["simpul.jepara.example/log"]


def test_no_quorum_and_a_url():
    policy = parse_policy(f"witness a {KEYS[0]} http://127.0.0.1:8100/\nquorum none\n")
    assert policy.satisfied(frozenset())
    assert policy.witnesses["a"].url == "http://127.0.0.1:8100"


W0, W1 = f"witness a {KEYS[0]}\n", f"witness b {KEYS[1]}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "exactly one line 'quorum"),
        ("quorum none\nquorum none\n", "line 2: there is a quorum line already"),
        ("quorum a\n", "line 1: a is no witness or group"),
        (f"{W0}quorum b\n", "line 2: b is no witness"),
        (f"{W0}{W0}quorum a\n", "line 2: the name a is taken"),
        (f"{W0}witness b {KEYS[0]}\nquorum a\n", "line 2: this witness key stands here twice"),
        (f"witness none {KEYS[0]}\nquorum none\n", "the name none is taken"),
        (f"log {LOG}\nlog {LOG}\nquorum none\n", "line 2: this log stands here twice"),
        (f"{W0}group g 2 a\nquorum g\n", "threshold"),
        (f"{W0}group g 0 a\nquorum g\n", "threshold"),
        (f"{W0}group g some a\nquorum g\n", "threshold"),
        (f"{W0}{W1}group g 1 a\ngroup h any a b\nquorum h\n", "line 4: a is a member already"),
        (f"{W0}group g any none\nquorum g\n", "none is no witness"),
        (f"{W0}group g any\nquorum g\n", "a line is"),
        (f"log {KEYS[0]}\nquorum none\n", "line 1: a verifier key holds"),
        (f"witness a {LOG}\nquorum none\n", "line 1: a witness key holds"),
        ("quorum none\r\n", "line 1: control characters"),
        ("trust me\nquorum none\n", "line 1: a line is"),
    ],
)
def test_files_that_are_refused(text, words):
    with pytest.raises(PolicyError, match=words):
        parse_policy(text)
