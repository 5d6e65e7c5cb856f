package memnet

// buffer is a queue of bytes that grows as needed and gives a large block back
// once it is empty.
type buffer struct {
	block []byte // length is zero or a power of two
	head  int
	n     int
}

const (
	bufferMin  = 512
	bufferKeep = 4 << 10 // an empty buffer of at most this size keeps its block
)

func (b *buffer) write(p []byte) {
	if b.n+len(p) > len(b.block) {
		b.grow(b.n + len(p))
	}
	tail := (b.head + b.n) & (len(b.block) - 1)
	copied := copy(b.block[tail:], p)
	copy(b.block, p[copied:])
	b.n += len(p)
}

func (b *buffer) grow(need int) {
	size := max(bufferMin, len(b.block))
	for size < need {
		size *= 2
	}
	block := make([]byte, size)
	n := b.n
	b.read(block[:n])
	b.block, b.head, b.n = block, 0, n
}

// read fills p; the buffer must hold that much.
func (b *buffer) read(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	copied := copy(p, b.block[b.head:min(len(b.block), b.head+b.n)])
	copy(p[copied:], b.block)
	b.head = (b.head + len(p)) & (len(b.block) - 1)
	if b.n -= len(p); b.n == 0 && len(b.block) > bufferKeep {
		*b = buffer{}
	}
	return len(p)
}
