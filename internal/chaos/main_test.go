package chaos_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// Flags of the suite:
//
//	go test ./internal/chaos -run TestChaos -chaos.seed=17      one seed, with its story
//	go test ./internal/chaos -run TestChaos -chaos.seeds=2000   many
var (
	oneSeed   = flag.Int64("chaos.seed", -1, "play this seed only, and tell its story")
	seedCount = flag.Int("chaos.seeds", 0, "how many seeds to play; 0: a few")
	firstSeed = flag.Uint64("chaos.first", 0, "the first of these seeds")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
