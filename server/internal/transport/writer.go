package transport

import (
	"encoding/base64"
	"time"
)

const (
	chunkSize  = 64 << 10 // of one write at most
	smallChunk = 4 << 10  // buffer of a writer that has little to do

	keepScratch = 16 << 10 // more scratch of the text codec is not kept
)

// write is the writer goroutine: it writes until the queue is empty.
func (c *Conn) write() { c.writeOn(c.newWriter()) }

// newWriter returns one that free will take back.
func (c *Conn) newWriter() *writer {
	w := c.srv.writers.Get().(*writer)
	*w = writer{conn: c, binary: w.binary, text: w.text}
	return w
}

// writeOn is write with a writer that may have begun.
func (c *Conn) writeOn(w *writer) {
	defer c.writer.Done()
	for {
		c.mu.Lock()
		b := c.queue
		if b == nil || c.state == dead {
			c.writing = false
			c.mu.Unlock()
			break
		}
		c.queue = nil
		c.abandon = false
		c.mu.Unlock()
		if err := w.writeBatch(b); err != nil {
			c.Cut()
		}
		c.srv.reuse(b)
	}
	w.release()
}

// reuse keeps a batch that was written for the next time.
func (s *Server) reuse(b *batch) {
	clear(b.entries)
	b.entries = b.entries[:0]
	if cap(b.entries) <= keepBatch {
		s.batches.Put(b)
	}
}

// writer packs frames into chunks. A chunk may begin and end within a frame, but
// a call of flush accounts for whole frames: those whose last byte is out.
type writer struct {
	conn  *Conn
	buf   []byte
	pool  *[]byte
	large bool

	binary []byte // scratch for the text codec
	text   []byte

	done      int  // entries of the batch whose last byte is in buf or out
	settled   int  // entries that are accounted for
	abandoned bool // the rest of the batch is not wanted any more
}

func (w *writer) writeBatch(b *batch) error {
	c := w.conn
	w.done, w.settled, w.abandoned = 0, 0, false
	w.room(b)
	for i := range b.entries {
		e := &b.entries[i]
		if err := w.append(b, e); err != nil {
			return err
		}
		w.done = i + 1
		if len(w.buf) >= chunkSize || i == len(b.entries)-1 || w.abandoned {
			if err := w.flush(b); err != nil {
				return err
			}
			if w.abandoned { // at the end of a frame: the stream stays whole
				return nil
			}
		}
		if e.last {
			// The peer answers our close frame, and the reader sees that. If not, it
			// sees this. It fails only on a connection that is closed already.
			_ = c.net.SetReadDeadline(time.Now().Add(closeTimeout))
		}
	}
	return nil
}

// room gets a buffer that fits the batch.
func (w *writer) room(b *batch) {
	if w.large {
		return
	}
	total := 0
	for i := range b.entries {
		total += b.entries[i].size() + maxFrameHeader
		if total > smallChunk {
			break
		}
	}
	switch {
	case total > smallChunk || w.conn.codec.Text:
		w.free()
		w.pool = w.conn.srv.large.Get().(*[]byte)
		w.large = true
	case w.pool == nil:
		w.pool = w.conn.srv.small.Get().(*[]byte)
	}
	w.buf = (*w.pool)[:0]
}

// release gives back the writer and what it has.
func (w *writer) release() {
	w.free()
	pool := &w.conn.srv.writers
	if cap(w.binary)+cap(w.text) > keepScratch {
		w.binary, w.text = nil, nil
	}
	w.conn = nil
	pool.Put(w)
}

// free gives back the buffer.
func (w *writer) free() {
	if w.pool == nil {
		return
	}
	if w.large {
		w.conn.srv.large.Put(w.pool)
	} else {
		w.conn.srv.small.Put(w.pool)
	}
	w.pool, w.buf, w.large = nil, nil, false
}

// put adds a frame to the buffer, whatever the size of that.
func (w *writer) put(e *entry) {
	switch {
	case e.raw:
		w.buf = append(w.buf, e.body...)
	case w.conn.codec.Text:
		w.encode(e)
		w.buf = append(appendHeader(w.buf, frameText, len(w.text)), w.text...)
	default:
		w.buf = append(append(appendHeader(w.buf, frameBinary, e.size()), e.head...), e.body...)
	}
}

// encode makes the text of a frame.
func (w *writer) encode(e *entry) {
	w.binary = append(append(w.binary[:0], e.head...), e.body...)
	w.text = base64.StdEncoding.AppendEncode(w.text[:0], w.binary)
}

// append adds a frame to the buffer, and writes full chunks.
func (w *writer) append(b *batch, e *entry) error {
	switch {
	case e.raw:
		return w.bytes(b, e.body)
	case w.conn.codec.Text:
		w.encode(e)
		w.buf = appendHeader(w.buf, frameText, len(w.text))
		return w.bytes(b, w.text)
	}
	w.buf = appendHeader(w.buf, frameBinary, e.size())
	if err := w.bytes(b, e.head); err != nil {
		return err
	}
	return w.bytes(b, e.body)
}

// bytes adds p to the buffer. It writes a long p chunk by chunk, so that the
// write timeout judges progress and not size.
func (w *writer) bytes(b *batch, p []byte) error {
	for len(w.buf)+len(p) > chunkSize {
		n := max(chunkSize-len(w.buf), 0)
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if err := w.flush(b); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, p...)
	return nil
}

// flush writes the buffer and accounts for the frames that are out with it.
func (w *writer) flush(b *batch) error {
	c := w.conn
	if len(w.buf) > 0 {
		if err := c.net.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := c.net.Write(w.buf); err != nil {
			return err
		}
		c.srv.stats.writes.Add(1)
		c.srv.stats.writtenBytes.Add(uint64(len(w.buf)))
		w.buf = w.buf[:0]
	}
	w.settle(b)
	return nil
}

// settle accounts for the frames that are out.
func (w *writer) settle(b *batch) {
	c := w.conn
	if w.done > w.settled {
		c.srv.stats.written.Add(uint64(w.done - w.settled))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var now time.Duration // read when needed
	stamped := false
	for i := w.settled; i < w.done; i++ {
		e := &b.entries[i]
		if !w.abandoned { // else it was given back with the others
			c.settle(e)
		}
		if e.call != nil {
			if !stamped {
				now = c.srv.alarms.now()
			}
			e.call.written, e.call.at = true, now
			stamped = true
		}
	}
	w.settled = w.done
	if c.choked.Load() && c.replies.bytes*2 < c.srv.opts.QueueBytes && c.replies.frames*2 < c.srv.opts.QueueFrames {
		c.unchoke()
	}
	if stamped && len(c.lane) > 0 && c.state == open {
		c.advance(now)
	}
	if c.abandon && !w.abandoned {
		w.abandoned = true
		for i := w.settled; i < len(b.entries); i++ {
			c.settle(&b.entries[i])
		}
	}
}
