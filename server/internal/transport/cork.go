package transport

// Cork keeps replies from starting the writer until Uncork, which comes at the
// latest when the reader is about to wait for the network: the reader that
// executes commands writes the replies itself, those of commands that arrived
// together in one piece, which spares two goroutines the way to each other. It is
// for commands that wait for nothing. Only the Receiver calls the two, within
// Command.
func (c *Conn) Cork() {
	if !c.quick.Possible() || c.tapped != nil { // with a tap it is not the reader that executes
		return
	}
	c.cork = true
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

// Uncork writes what waits, as far as the kernel takes it at once; the writer
// goroutine does the rest. It does not block. No-op unless corked.
func (c *Conn) Uncork() {
	if !c.cork {
		return
	}
	c.cork = false
	c.mu.Lock()
	c.corked = false
	b := c.queue
	switch {
	case b == nil || c.writing || c.state == dead:
		c.mu.Unlock()
		return
	case !b.small():
		c.startWriter()
		c.mu.Unlock()
		return
	}
	c.queue = nil
	c.abandon = false
	c.writing = true
	c.writer.Add(1) // the reader is the writer now
	c.mu.Unlock()
	c.writeQuickly(b)
}

// quickSize is how many bytes the reader writes itself at most.
const quickSize = 32 << 10

// small tells whether a batch is for one write of the reader.
func (b *batch) small() bool {
	n := 0
	for i := range b.entries {
		e := &b.entries[i]
		n += e.size() + maxFrameHeader
		if n > quickSize || e.last {
			return false
		}
	}
	return true
}

func (c *Conn) writeQuickly(b *batch) {
	w := c.newWriter()
	w.room(b)
	for i := range b.entries {
		w.put(&b.entries[i])
	}
	w.done = len(b.entries)
	n := c.quick.Write(w.buf)
	if n < len(w.buf) {
		go c.writeRest(w, b, n) // is the writer goroutine now
		return
	}
	c.srv.stats.writes.Add(1)
	c.srv.stats.writtenBytes.Add(uint64(n))
	w.settle(b)
	w.release()
	c.srv.reuse(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queue != nil && c.state != dead {
		go c.start() // the writer, as which the reader counted until now
		return
	}
	c.writing = false
	c.writer.Done()
}

// writeRest is the writer goroutine with a batch of which n bytes are out.
func (c *Conn) writeRest(w *writer, b *batch, n int) {
	c.srv.stats.writtenBytes.Add(uint64(n))
	w.buf = w.buf[:copy(w.buf, w.buf[n:])]
	if err := w.flush(b); err != nil {
		c.Cut()
	}
	c.srv.reuse(b)
	c.writeOn(w)
}
