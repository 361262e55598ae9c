#!/usr/bin/env bash
# Libraries: pyarrow 26.0.1 with cryptography 50.0.2
# Behaviour: an Arrow IPC stream that is written into a file object of Python hands it `bytes` for what is small and a `pyarrow.Buffer`
#   for the columns; `encryptor().update` of cryptography takes the first and raises TypeError for the second, also for a memoryview of it.
#   hashlib, zlib and files take it. Cast to unsigned bytes, the same memory is taken.
# Why one guesses otherwise: the Buffer supports the buffer protocol, and a stream of a schema alone, or of empty batches, passes.
#   Its memoryview has the format `b` (signed), which cryptography's binding does not take for bytes.
# What it costs: a layer that seals a stream works in every test with small batches and fails at the first batch with columns.
# Do instead: memoryview(part).cast("B") before the cipher sees it.
# Output seen (this script fails when it changes):
#> write gets bytes and Buffer
#> format of the Buffer: b
#> cipher, Buffer: TypeError
#> cipher, memoryview: TypeError
#> cipher, memoryview cast to B: 8
#> sha256, Buffer: 32
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pyarrow==26.0.1 cryptography==50.0.2
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import hashlib
import io

import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

given = []


class Sink(io.RawIOBase):
    def writable(self):
        return True

    def write(self, part):
        given.append(part)
        return len(memoryview(part))


with pa.ipc.new_stream(Sink(), pa.schema([("a", pa.int64())])) as stream:
    stream.write_batch(pa.record_batch({"a": [1]}))
print("write gets", " and ".join(sorted({type(part).__name__ for part in given}, key=str.swapcase)))
column = next(part for part in given if isinstance(part, pa.Buffer))
print("format of the Buffer:", memoryview(column).format)
cipher = Cipher(AES(b"k" * 32), CTR(b"n" * 16)).encryptor()


def tried(name, work):
    try:
        print(f"{name}: {len(work())}")
    except Exception as fault:
        print(f"{name}: {type(fault).__name__}")


tried("cipher, Buffer", lambda: cipher.update(column))
tried("cipher, memoryview", lambda: cipher.update(memoryview(column)))
tried("cipher, memoryview cast to B", lambda: cipher.update(memoryview(column).cast("B")))
tried("sha256, Buffer", lambda: hashlib.sha256(column).digest())
PY
cat "$work/seen"
sed -n "s/^#> //p" "$0" | diff - "$work/seen"
