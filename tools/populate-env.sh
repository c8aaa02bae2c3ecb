#!/bin/sh
# Prints a complete environment for a manager, with fresh keys. Redirect it to a
# file that only you can read, fill in the two lines of Discord, and start with
#   discord-cloud --env-file FILE manager
# Needs openssl. Nothing is written anywhere but to standard output.
set -eu
umask 077
command -v openssl >/dev/null 2>&1 || { echo "populate-env.sh: openssl is needed" >&2; exit 1; }
private=$(openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:3072 2>/dev/null || openssl genrsa 3072 2>/dev/null)
public=$(printf '%s\n' "$private" | openssl pkey -pubout)
cat <<EOF
# A manager's environment. Keep a copy of it in a safe place: without
# MESSAGE_ENCRYPTION_KEY nothing that is stored can be read again.
MANAGER_HOST=127.0.0.1
MANAGER_PORT=8080
DATA_DIR=./data
SERVICE_PASSWORD=$(openssl rand -hex 32)
PRIVATE_KEY=$(printf '%s\n' "$private" | openssl base64 -A)
PUBLIC_KEY=$(printf '%s\n' "$public" | openssl base64 -A)
MESSAGE_ENCRYPTION_KEY=$(openssl rand -base64 32)
DISCORD_BOT_TOKEN=
DISCORD_CHANNEL_IDS=
EOF
