#!/bin/sh
# Runs a command that needs Chromium, with CHROMIUM set to it. Installs
# Debian's where that is possible; without one the command is left out, which
# is a failure with CI=true.
set -eu
CHROMIUM=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [ -z "$CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } >&2 || true
	CHROMIUM=$(command -v chromium || true)
fi
if [ -z "$CHROMIUM" ]; then
	echo "LEFT OUT: browser tests, there is no Chromium on this machine"
	[ "${CI:-}" != true ]
	exit
fi
export CHROMIUM
exec "$@"
