package event

// ring is a first-in-first-out buffer that grows as needed and gives a large
// buffer back once it is empty, so that a burst does not stay in memory.
type ring[T any] struct {
	buf  []T // length is zero or a power of two
	head int
	n    int
}

const (
	ringMin  = 4
	ringKeep = 64 // an empty ring of at most this size keeps its memory
)

func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		r.grow()
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = v
	r.n++
}

func (r *ring[T]) grow() {
	buf := make([]T, max(ringMin, 2*len(r.buf)))
	copied := copy(buf, r.buf[r.head:])
	copy(buf[copied:], r.buf[:r.head])
	r.buf, r.head = buf, 0
}

// pop removes the oldest value. The ring must not be empty.
func (r *ring[T]) pop() T {
	var zero T
	v := r.buf[r.head]
	r.buf[r.head] = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	if r.n == 0 && len(r.buf) > ringKeep {
		*r = ring[T]{}
	}
	return v
}

// take empties the ring and returns what it held, oldest first.
func (r *ring[T]) take() []T {
	all := make([]T, 0, r.n)
	for r.n > 0 {
		all = append(all, r.pop())
	}
	return all
}
