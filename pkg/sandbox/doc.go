// Package sandbox is a Discord-compatible server: REST (v9 and v10), the
// attachment CDN and the gateway on one listener, over real HTTP. It keeps
// messages in SQLite and attachments as files, survives a restart, applies
// Discord's limits at the scale it is told to, and breaks on command.
//
// It is for tests, for bots that want to be tried without Discord, and for
// running the product without a bot token. It is a peer of the product's own
// client, not a mock of it: the two share no code, so that a misreading of
// Discord's API in one is not repeated in the other.
//
// It leaves out voice, threads, reactions, interactions, and the evaluation of
// permissions: every bot may do everything, and a refusal is a fault rule.
package sandbox
