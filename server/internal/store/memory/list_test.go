package memory

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestListAgainstSlice compares a list with a sorted slice under random changes.
func TestListAgainstSlice(t *testing.T) {
	type pair struct{ k, v int }
	byKey := func(a, b pair) int { return cmp.Compare(a.k, b.k) }
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 0))
		l := newList(byKey)
		var want []pair
		span := []int{10, 3000, 100_000}[seed%3]
		for step := range 6000 {
			p := pair{r.IntN(span), step}
			if seed%4 == 3 {
				p.k = step // appending only
			}
			at, found := slices.BinarySearchFunc(want, p, byKey)
			if r.IntN(3) == 0 {
				old, ok := l.remove(p)
				require.Equal(t, found, ok)
				if found {
					require.Equal(t, want[at], old)
					want = slices.Delete(want, at, at+1)
				}
			} else {
				old, replaced := l.put(p)
				require.Equal(t, found, replaced)
				if found {
					require.Equal(t, want[at], old)
					want[at] = p
				} else {
					want = slices.Insert(want, at, p)
				}
			}
			require.Equal(t, len(want), l.n)
			if step%500 != 0 {
				continue
			}
			require.Equal(t, want, forward(&l, l.first()))
			require.Equal(t, want, backward(&l))
			probe := r.IntN(span)
			from, _ := slices.BinarySearchFunc(want, pair{k: probe}, byKey)
			require.Equal(t, len(want)-from, len(forward(&l, l.search(func(p pair) bool { return p.k >= probe }))))
			for i := range l.blocks() {
				require.NotEmpty(t, l.block(i))
				require.LessOrEqual(t, len(l.block(i)), blockSize)
			}
		}
	}
}

func forward[T any](l *list[T], at cursor[T]) []T {
	var out []T
	for ; at.valid(); at.next() {
		out = append(out, at.item())
	}
	return out
}

func backward[T any](l *list[T]) []T {
	var out []T
	at := l.end()
	for at.prev(); at.valid(); at.prev() {
		out = append(out, at.item())
	}
	slices.Reverse(out)
	return out
}
