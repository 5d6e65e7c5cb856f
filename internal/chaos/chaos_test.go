package chaos_test

import (
	"fmt"
	"testing"
)

// few is how many seeds a plain go test plays.
const few = 24

// TestChaos plays seeds; see the package documentation.
func TestChaos(t *testing.T) {
	if *oneSeed >= 0 {
		playSeed(t, uint64(*oneSeed), true)
		return
	}
	count := *seedCount
	if count == 0 {
		count = few
		if raceEnabled {
			count = few / 6
		}
	}
	for seed := range uint64(count) {
		t.Run(fmt.Sprintf("seed=%d", *firstSeed+seed), func(t *testing.T) {
			t.Parallel()
			playSeed(t, *firstSeed+seed, false)
		})
	}
}

// playSeed plays one seed and reports what was wrong.
func playSeed(t *testing.T, seed uint64, whole bool) {
	defer func() {
		if r := recover(); r != nil { // what is left in a bubble ends in a panic
			t.Errorf("%v\nplay it again:\n\t%s", r, replay(seed))
			panic(r)
		}
	}()
	wrong, story := play(t, seed)
	if len(wrong) > 0 {
		t.Error(report(seed, wrong, story, whole))
	}
}
