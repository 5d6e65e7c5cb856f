package memory

import "sort"

// blockSize is the number of elements after which a block is split.
const blockSize = 256

// list is an ordered set in blocks. No block is empty.
type list[T any] struct {
	blocks [][]T
	n      int
	cmp    func(a, b T) int
}

func newList[T any](cmp func(a, b T) int) list[T] { return list[T]{cmp: cmp} }

// cursor is a place in a list; it is valid until the list changes.
type cursor[T any] struct {
	l    *list[T]
	b, i int
}

// search returns the place of the first element for which f holds; f must hold for every
// element after one for which it holds. The place is the end if there is none.
func (l *list[T]) search(f func(T) bool) cursor[T] {
	b := sort.Search(len(l.blocks), func(b int) bool {
		return f(l.blocks[b][len(l.blocks[b])-1])
	})
	if b == len(l.blocks) {
		return cursor[T]{l, b, 0}
	}
	block := l.blocks[b]
	return cursor[T]{l, b, sort.Search(len(block), func(i int) bool { return f(block[i]) })}
}

// locate returns the place at which v is or would be inserted.
func (l *list[T]) locate(v T) (at cursor[T], found bool) {
	// The common case: v belongs at the end.
	if last, ok := l.last(); !ok || l.cmp(last, v) < 0 {
		return cursor[T]{l, len(l.blocks), 0}, false
	}
	at = l.search(func(e T) bool { return l.cmp(e, v) >= 0 })
	return at, l.cmp(at.item(), v) == 0
}

func (l *list[T]) first() cursor[T] { return cursor[T]{l, 0, 0} }

func (l *list[T]) end() cursor[T] { return cursor[T]{l, len(l.blocks), 0} }

func (l *list[T]) last() (v T, ok bool) {
	if len(l.blocks) == 0 {
		return v, false
	}
	block := l.blocks[len(l.blocks)-1]
	return block[len(block)-1], true
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
		p := &l.blocks[at.b][at.i]
		old, *p = *p, v
		return old, true
	}
	l.n++
	if at.b == len(l.blocks) {
		if at.b > 0 && len(l.blocks[at.b-1]) < blockSize {
			l.blocks[at.b-1] = append(l.blocks[at.b-1], v)
			return old, false
		}
		l.blocks = append(l.blocks, []T{v})
		return old, false
	}
	if half := blockSize / 2; len(l.blocks[at.b]) == blockSize {
		l.split(at.b)
		if at.i > half {
			at.b, at.i = at.b+1, at.i-half
		}
	}
	block := append(l.blocks[at.b], v)
	copy(block[at.i+1:], block[at.i:])
	block[at.i] = v
	l.blocks[at.b] = block
	return old, false
}

func (l *list[T]) split(b int) {
	block := l.blocks[b]
	half := len(block) / 2
	right := append(make([]T, 0, blockSize), block[half:]...)
	clear(block[half:])
	l.blocks = append(l.blocks, nil)
	copy(l.blocks[b+2:], l.blocks[b+1:])
	l.blocks[b], l.blocks[b+1] = block[:half], right
}

// remove takes out the element that is equal to v and returns it.
func (l *list[T]) remove(v T) (old T, ok bool) {
	at, found := l.locate(v)
	if !found {
		return old, false
	}
	l.n--
	block := l.blocks[at.b]
	old = block[at.i]
	if len(block) == 1 {
		l.blocks = append(l.blocks[:at.b], l.blocks[at.b+1:]...)
		return old, true
	}
	copy(block[at.i:], block[at.i+1:])
	clear(block[len(block)-1:])
	l.blocks[at.b] = block[:len(block)-1]
	return old, true
}

func (c *cursor[T]) valid() bool { return c.b >= 0 && c.b < len(c.l.blocks) }

func (c *cursor[T]) item() T { return c.l.blocks[c.b][c.i] }

func (c *cursor[T]) next() {
	if c.i++; c.i == len(c.l.blocks[c.b]) {
		c.b, c.i = c.b+1, 0
	}
}

func (c *cursor[T]) prev() {
	if c.i--; c.i < 0 {
		if c.b--; c.b >= 0 {
			c.i = len(c.l.blocks[c.b]) - 1
		}
	}
}
