package chaos_test

import (
	"math/rand/v2"
	"sync"
	"time"
)

// dice are random numbers for several goroutines. Each party of a world has its
// own, so that what one of them does is not shifted by what another one does.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed, party uint64) *dice {
	return &dice{r: rand.New(rand.NewPCG(seed, party))}
}

// n is a number below limit.
func (d *dice) n(limit int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(limit)
}

// in tells whether one of so many times has come.
func (d *dice) in(times int) bool { return d.n(times) == 0 }

// upTo is a time between 0 and most, to the microsecond, so that hardly ever two
// things are due in the same instant.
func (d *dice) upTo(most time.Duration) time.Duration {
	return time.Duration(1+d.n(int(most/time.Microsecond))) * time.Microsecond
}

// between is a time.
func (d *dice) between(least, most time.Duration) time.Duration {
	return least + d.upTo(most-least)
}

// pick is one of several.
func pick[T any](d *dice, of []T) T { return of[d.n(len(of))] }
