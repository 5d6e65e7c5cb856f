//go:build race

package typedmessages

// raceEnabled: everything takes ten times as long.
const raceEnabled = true
