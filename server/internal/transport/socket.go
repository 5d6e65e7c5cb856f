package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// This file is the only one that knows the WebSocket library. The library
// shakes hands, takes frames apart and answers pings and closes. It never
// writes to the network: its answers go into the connection's queue like
// everything else, so there is one writer, and a peer that does not read never
// blocks the reader.

// Sizes of the library's buffers. Every connection keeps them, so they are
// small: what is longer than the first is read past it, and the second has room
// for a control frame, which is the largest thing that the library writes.
const (
	lineBuffer    = 1 << 10
	controlBuffer = 160
)

// aheadBuffer is the size of a buffer that a connection has while more frames
// come in than fit into lineBuffer.
const aheadBuffer = 16 << 10

var (
	errTooLong   = errors.New("transport: frame too long")
	errNotHijack = errors.New("transport: the HTTP connection cannot be taken over")
)

// socket is the reading side of a WebSocket.
type socket struct {
	ws   *websocket.Conn
	line *line
	body io.Reader // of the message that next found
	rest io.Reader // of a message that was too long and is not read to its end
}

// accept answers an upgrade request. c becomes the owner of the TCP connection:
// c.net is set. On an error the answer has been written.
func accept(w http.ResponseWriter, r *http.Request, c *Conn, subprotocols []string) (*socket, error) {
	ws, err := websocket.Accept(&hijacker{ResponseWriter: w, conn: c}, r, &websocket.AcceptOptions{
		Subprotocols:       subprotocols,
		InsecureSkipVerify: true, // origins are judged at login, where a refusal can be told
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     func(context.Context, []byte) bool { c.controlled(); return true },
		OnPongReceived:     func(context.Context, []byte) { c.controlled() },
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1) // read has a limit of its own, with the protocol's close code
	return &socket{ws: ws, line: c.line}, nil
}

// subprotocol is what accept agreed on.
func (s *socket) subprotocol() string { return s.ws.Subprotocol() }

// next waits for the next message and tells its type. It needs no buffer: most
// connections are here most of the time. What is left of a message that was too
// long is skipped.
func (s *socket) next() (text bool, err error) {
	if s.rest != nil {
		if _, err := io.Copy(io.Discard, s.rest); err != nil {
			return false, err
		}
		s.rest = nil
	}
	typ, r, err := s.ws.Reader(context.Background())
	s.body = r
	return typ == websocket.MessageText, err
}

// read returns the message that next found, in buf or a larger one. More than
// limit bytes are errTooLong; the connection is still good.
func (s *socket) read(buf []byte, limit int) ([]byte, error) {
	frame := buf[:0]
	for {
		if len(frame) == cap(frame) {
			frame = append(frame, 0)[:len(frame)]
		}
		// The library fills what it is given, so not a byte more than is wanted.
		n, err := s.body.Read(frame[len(frame):min(cap(frame), limit+1)])
		frame = frame[:len(frame)+n]
		if len(frame) > limit {
			s.rest = s.body
			return frame, errTooLong
		}
		if errors.Is(err, io.EOF) {
			if s.line.failed.Load() {
				// The library takes the end of the stream between two parts of a message
				// for the end of the message.
				return frame, io.ErrUnexpectedEOF
			}
			return frame, nil
		}
		if err != nil {
			return frame, err
		}
	}
}

// close lets the library forget the connection. It touches no network.
func (s *socket) close() { _ = s.ws.CloseNow() } // fails only if it was closed before

// hijacker hands the library a connection that reports reads to the Conn and
// puts writes into its queue.
type hijacker struct {
	http.ResponseWriter
	conn *Conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, errors.Join(errNotHijack, err)
	}
	h.conn.net = nc
	h.conn.quick.Init(nc)
	l := &line{Conn: nc, conn: h.conn}
	if n := rw.Reader.Buffered(); n > 0 { // the peer was in a hurry
		early, err := rw.Reader.Peek(n)
		if err != nil {
			return nil, nil, errors.Join(errNotHijack, err, nc.Close())
		}
		l.early = append([]byte(nil), early...)
	}
	h.conn.line = l
	return l, bufio.NewReadWriter(bufio.NewReaderSize(l, lineBuffer), bufio.NewWriterSize(l, controlBuffer)), nil
}

// line is the library's view of the TCP connection.
type line struct {
	net.Conn
	conn   *Conn
	early  []byte      // was read, but not by the library yet
	ahead  *[]byte     // the pool's, that early lies in; nil: it is its own
	more   bool        // the last read filled the library's buffer
	failed atomic.Bool // a read failed: the peer is gone
}

func (l *line) Read(p []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(p, l.early)
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
			l.giveBack()
		}
		return n, nil
	}
	l.conn.watchFrame()
	l.conn.Uncork() // before it may wait
	n, err := l.read(p)
	if n > 0 {
		l.conn.heard()
		return n, nil // an error will come again
	}
	if err != nil {
		l.failed.Store(true)
	}
	return 0, err
}

// read reads ahead if there is likely to be more than fits into p: a peer that
// has much to say is read, executed and answered in few system calls. A
// connection that waits has no buffer for that.
func (l *line) read(p []byte) (int, error) {
	if !l.more || len(p) > lineBuffer {
		n, err := l.Conn.Read(p)
		l.more = n == lineBuffer && len(p) == lineBuffer
		return n, err
	}
	l.ahead = l.conn.srv.ahead.Get().(*[]byte)
	block := (*l.ahead)[:aheadBuffer]
	n, err := l.Conn.Read(block)
	taken := copy(p, block[:n])
	l.more = n > lineBuffer
	if l.early = block[taken:n]; len(l.early) == 0 {
		l.early = nil
		l.giveBack()
	}
	return taken, err
}

func (l *line) giveBack() {
	if l.ahead != nil {
		l.conn.srv.ahead.Put(l.ahead)
		l.ahead = nil
	}
}

// Write queues a control frame. The library flushes after each one, so p is
// a whole frame.
func (l *line) Write(p []byte) (int, error) {
	l.conn.control(p)
	return len(p), nil
}

// Close does nothing: the reader ends with the error that made the library
// close, and closes the connection after the queue.
func (l *line) Close() error { return nil }

func (l *line) SetDeadline(time.Time) error      { return nil }
func (l *line) SetReadDeadline(time.Time) error  { return nil }
func (l *line) SetWriteDeadline(time.Time) error { return nil }
