//go:build race

package jail_test

// raceEnabled tells that the race detector takes memory of its own.
const raceEnabled = true
