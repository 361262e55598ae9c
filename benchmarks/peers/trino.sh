#!/usr/bin/env bash
# P2, P4 and P5 beside Trino 476 on the same databases, in turn. Not part of `make bench`: it takes 821 MB from Maven Central.
#
#   bash benchmarks/peers/trino.sh [FOLDER]      FOLDER keeps the download (default: build/trino)
#
# Needs Maven and Java 24 or newer (JAVA_HOME). Trino listens on 127.0.0.1 only and is ended with this script.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=476
folder=$(realpath -m "${1:-build/trino}")
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
major=$("$java" -version 2>&1 | sed -nE '1s/.*"([0-9]+).*/\1/p')
if [ "${major:-0}" -lt 24 ]; then
    echo "Trino $version needs Java 24 or newer; this is ${major:-none}. Set JAVA_HOME." >&2
    exit 2
fi
mkdir -p "$folder"
home=$folder/trino-server-$version
if [ ! -d "$home" ]; then
    mvn -q dependency:copy "-Dartifact=io.trino:trino-server:$version:tar.gz" "-DoutputDirectory=$folder"
    tar -xzf "$folder/trino-server-$version.tar.gz" -C "$folder"
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
run=$(mktemp -d)
mkdir -p "$run/etc/catalog"
cat >"$run/etc/node.properties" <<END
node.environment=bench
node.id=bench
node.bind-ip=127.0.0.1
node.data-dir=$run/data
END
cat >"$run/etc/jvm.config" <<END
-server
-Xmx6G
-XX:+UseG1GC
-XX:ReservedCodeCacheSize=512M
-XX:PerMethodRecompilationCutoff=10000
-XX:PerBytecodeRecompilationCutoff=10000
-Djdk.attach.allowAttachSelf=true
-Djdk.nio.maxCachedBufferSize=2000000
-Dfile.encoding=UTF-8
--sun-misc-unsafe-memory-access=allow
END
cat >"$run/etc/config.properties" <<END
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port=$port
node.internal-address=127.0.0.1
discovery.uri=http://127.0.0.1:$port
catalog.management=dynamic
query.max-length=10000000
END
cat >"$run/etc/log.properties" <<END
io.trino=WARN
END
launcher=("$home/bin/launcher" --etc-dir "$run/etc" --launcher-log-file "$run/launcher.log" --server-log-file "$run/server.log")
JAVA_HOME=${JAVA_HOME:-} PATH="$(dirname "$(command -v "$java")"):$PATH" "${launcher[@]}" run >"$run/out.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -rf "$run"' EXIT
"${PYTHON:-.venv/bin/python}" -m benchmarks.peers.trino "http://127.0.0.1:$port" || { tail -n 30 "$run/out.log" >&2; exit 1; }
