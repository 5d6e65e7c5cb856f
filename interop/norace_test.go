//go:build !race

package interop_test

// underRace tells that everything takes ten times as long.
const underRace = false
