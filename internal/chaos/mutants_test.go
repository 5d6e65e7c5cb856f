//go:build mutants

package chaos_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/leanrtm/realtime/internal/mutant"
)

const (
	// mutantSeeds is how many seeds may pass before the suite must have noticed
	// that something is switched off.
	mutantSeeds = 600
	// mutantBatch is how many are played between two looks.
	mutantBatch = 8
)

// TestMutants switches off one of the things that the promises rest on, and
// wants the suite to notice. Each in its turn.
func TestMutants(t *testing.T) {
	for _, m := range mutant.All() {
		t.Run(m.String(), func(t *testing.T) {
			defer mutant.Switch(m)()
			for first := uint64(0); first < mutantSeeds; first += mutantBatch {
				if noticed := noticedBy(t, first); noticed != "" {
					t.Log(noticed)
					return
				}
			}
			t.Errorf("%d seeds have not noticed anything", mutantSeeds)
		})
	}
}

// noticedBy plays a batch of seeds, and returns what was noticed; "": nothing.
func noticedBy(t *testing.T, first uint64) string {
	var mu sync.Mutex
	var noticed string
	t.Run("seeds", func(t *testing.T) { // ends when all of them have
		for seed := first; seed < first+mutantBatch; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				if wrong, _ := play(t, seed); len(wrong) > 0 {
					mu.Lock()
					defer mu.Unlock()
					noticed = fmt.Sprintf("noticed by seed %d: %s", seed, wrong[0])
				}
			})
		}
	})
	return noticed
}
