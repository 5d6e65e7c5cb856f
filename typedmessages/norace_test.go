//go:build !race

package typedmessages

const raceEnabled = false
