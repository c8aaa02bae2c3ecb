// Package gc lets go of what nobody wants any more: entries that have been in
// the trash long enough and old versions, then the messages in Discord that
// nothing refers to after that. What is referred to is decided in package meta,
// in the transaction that takes the last reference away.
package gc
