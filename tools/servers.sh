#!/usr/bin/env bash
# The programs that tests use beside Python: PostgreSQL, MariaDB, Chromium, strace. Installed as Debian packages where this may
# be done (root and apt); elsewhere named. Nothing is started here: tests start their own, on loopback, and stop them.
set -euo pipefail

missing=()
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
{ command -v mariadbd || test -x /usr/sbin/mariadbd; } >/dev/null || missing+=(mariadb-server)
{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || missing+=(chromium)
command -v strace >/dev/null || missing+=(strace)

[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "The tests need programs that are not here. Install them, then try again:" >&2
  echo "  Debian, Ubuntu:  sudo apt-get install ${missing[*]}" >&2
  echo "  elsewhere:       the packages that hold initdb and postgres, mariadbd, chromium, strace" >&2
  exit 2
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 40 "$log" >&2
  exit 2
fi
rm -f "$log"
