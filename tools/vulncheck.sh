#!/bin/sh
# Checks the dependencies against Go's vulnerability database. Where the
# database cannot be reached nothing can be said: that is reported, and is a
# failure only with VULNCHECK=required.
#   tools/vulncheck.sh VERSION-OF-GOVULNCHECK
set -eu
cd "$(dirname "$0")/.."
tool=.tools/govulncheck-$1
if [ ! -x "$tool" ]; then
	mkdir -p .tools/bin
	GOBIN="$PWD/.tools/bin" go install "golang.org/x/vuln/cmd/govulncheck@$1"
	mv .tools/bin/govulncheck "$tool"
fi
out=$(mktemp)
trap 'rm -f "$out"' EXIT
if "$tool" ./... >"$out" 2>&1; then
	cat "$out"
	exit 0
fi
cat "$out"
if grep -q 'fetching vulnerabilities' "$out"; then
	echo "govulncheck: NOT CHECKED, the vulnerability database is out of reach"
	[ "${VULNCHECK:-}" != required ]
	exit
fi
exit 1
