package memory

import "sort"

// blockSize is the number of elements after which a block is split.
const blockSize = 256

// list is an ordered set in blocks. No block is empty. The last one is held apart:
// most lists have no other, and most elements are added to it.
type list[T any] struct {
	full [][]T // the blocks before the last
	tail []T   // the last block; empty if the list is
	n    int
	cmp  func(a, b T) int // nil: callers search themselves
}

func newList[T any](cmp func(a, b T) int) list[T] { return list[T]{cmp: cmp} }

// cursor is a place in a list; it is valid until the list changes.
type cursor[T any] struct {
	l    *list[T]
	b, i int
}

// blocks is the number of blocks.
func (l *list[T]) blocks() int {
	if len(l.tail) == 0 {
		return 0
	}
	return len(l.full) + 1
}

func (l *list[T]) block(b int) []T {
	if b < len(l.full) {
		return l.full[b]
	}
	return l.tail
}

func (l *list[T]) setBlock(b int, block []T) {
	if b < len(l.full) {
		l.full[b] = block
	} else {
		l.tail = block
	}
}

// search returns the place of the first element for which f holds; f must hold for every
// element after one for which it holds. The place is the end if there is none.
func (l *list[T]) search(f func(T) bool) cursor[T] {
	n := l.blocks()
	b := sort.Search(n, func(b int) bool {
		block := l.block(b)
		return f(block[len(block)-1])
	})
	if b == n {
		return cursor[T]{l, b, 0}
	}
	block := l.block(b)
	return cursor[T]{l, b, sort.Search(len(block), func(i int) bool { return f(block[i]) })}
}

// locate returns the place at which v is or would be inserted.
func (l *list[T]) locate(v T) (at cursor[T], found bool) {
	// The common case: v belongs at the end.
	if last, ok := l.last(); !ok || l.cmp(last, v) < 0 {
		return l.end(), false
	}
	at = l.search(func(e T) bool { return l.cmp(e, v) >= 0 })
	return at, l.cmp(at.item(), v) == 0
}

func (l *list[T]) first() cursor[T] { return cursor[T]{l, 0, 0} }

func (l *list[T]) end() cursor[T] { return cursor[T]{l, l.blocks(), 0} }

func (l *list[T]) last() (v T, ok bool) {
	if len(l.tail) == 0 {
		return v, false
	}
	return l.tail[len(l.tail)-1], true
}

// find returns the element that is equal to v.
func (l *list[T]) find(v T) (e T, ok bool) {
	at, ok := l.locate(v)
	if ok {
		e = at.item()
	}
	return e, ok
}

// put inserts v, or replaces the element that is equal to it and returns that.
func (l *list[T]) put(v T) (old T, replaced bool) {
	at, found := l.locate(v)
	if found {
		old = at.item()
		at.set(v)
		return old, true
	}
	l.insert(at, v)
	return old, false
}

// push adds v, which belongs after all others.
func (l *list[T]) push(v T) {
	l.n++
	if len(l.tail) == blockSize {
		l.full = append(l.full, l.tail)
		l.tail = nil
	}
	l.tail = append(l.tail, v)
}

// insert adds v before the element at a place.
func (l *list[T]) insert(at cursor[T], v T) {
	if at.b == l.blocks() {
		l.push(v)
		return
	}
	l.n++
	if half := blockSize / 2; len(l.block(at.b)) == blockSize {
		l.split(at.b)
		if at.i > half {
			at.b, at.i = at.b+1, at.i-half
		}
	}
	block := append(l.block(at.b), v)
	copy(block[at.i+1:], block[at.i:])
	block[at.i] = v
	l.setBlock(at.b, block)
}

func (l *list[T]) split(b int) {
	block := l.block(b)
	half := len(block) / 2
	right := append(make([]T, 0, blockSize), block[half:]...)
	clear(block[half:])
	left := block[:half]
	if b == len(l.full) {
		l.full, l.tail = append(l.full, left), right
		return
	}
	l.full = append(l.full, nil)
	copy(l.full[b+2:], l.full[b+1:])
	l.full[b], l.full[b+1] = left, right
}

// remove takes out the element that is equal to v and returns it.
func (l *list[T]) remove(v T) (old T, ok bool) {
	at, found := l.locate(v)
	if !found {
		return old, false
	}
	old = at.item()
	l.removeAt(at)
	return old, true
}

func (l *list[T]) removeAt(at cursor[T]) {
	l.n--
	block := l.block(at.b)
	switch {
	case len(block) > 1:
		copy(block[at.i:], block[at.i+1:])
		clear(block[len(block)-1:])
		l.setBlock(at.b, block[:len(block)-1])
	case at.b < len(l.full):
		copy(l.full[at.b:], l.full[at.b+1:])
		l.full[len(l.full)-1] = nil
		l.full = l.full[:len(l.full)-1]
	case len(l.full) > 0:
		last := len(l.full) - 1
		l.tail, l.full[last] = l.full[last], nil
		l.full = l.full[:last]
	default:
		l.tail = nil
	}
}

func (c *cursor[T]) valid() bool { return c.b >= 0 && c.b < c.l.blocks() }

func (c *cursor[T]) item() T { return c.l.block(c.b)[c.i] }

func (c *cursor[T]) set(v T) { c.l.block(c.b)[c.i] = v }

func (c *cursor[T]) next() {
	if c.i++; c.i == len(c.l.block(c.b)) {
		c.b, c.i = c.b+1, 0
	}
}

func (c *cursor[T]) prev() {
	if c.i--; c.i < 0 {
		if c.b--; c.b >= 0 {
			c.i = len(c.l.block(c.b)) - 1
		}
	}
}
