//go:build !race

package export_test

// raceEnabled: everything takes ten times as long.
const raceEnabled = false
