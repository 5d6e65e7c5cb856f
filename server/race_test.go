//go:build race

package server_test

// underRace tells that everything takes ten times as long.
const underRace = true
