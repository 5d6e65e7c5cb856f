//go:build mutants

package mutant

import "sync/atomic"

//nolint:gochecknoglobals // for tests with this tag alone: what it switches is all over the program
var active atomic.Int64

// On tells whether m is switched on.
func On(m Mutant) bool { return Mutant(active.Load()) == m }

// Switch switches m on, in place of the one before, until off is called.
func Switch(m Mutant) (off func()) {
	active.Store(int64(m))
	return func() { active.Store(int64(None)) }
}
