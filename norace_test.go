//go:build !race

package realtime_test

// underRace tells that everything takes ten times as long.
const underRace = false
