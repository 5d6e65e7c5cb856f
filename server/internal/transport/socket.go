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

// Room for the largest thing that the library writes: a control frame.
const controlBuffer = 160

var (
	errTooLong   = errors.New("transport: frame too long")
	errNotHijack = errors.New("transport: the HTTP connection cannot be taken over")
)

// socket is the reading side of a WebSocket.
type socket struct {
	ws   *websocket.Conn
	line *line
	rest io.Reader // of a message that was too long and is not read to its end
}

// accept answers an upgrade request. c becomes the owner of the TCP connection:
// c.net is set. On an error the answer has been written.
func accept(w http.ResponseWriter, r *http.Request, c *Conn, subprotocols []string) (*socket, error) {
	ws, err := websocket.Accept(&hijacker{ResponseWriter: w, conn: c}, r, &websocket.AcceptOptions{
		Subprotocols:       subprotocols,
		InsecureSkipVerify: true, // origins are judged at login, where a refusal can be told
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1) // read has a limit of its own, with the protocol's close code
	return &socket{ws: ws, line: c.line}, nil
}

// subprotocol is what accept agreed on.
func (s *socket) subprotocol() string { return s.ws.Subprotocol() }

// read returns the next message, in buf or a larger one. A message of more than
// limit bytes is errTooLong, once: the next call skips what is left of it.
func (s *socket) read(buf []byte, limit int) (frame []byte, text bool, err error) {
	if s.rest != nil {
		if _, err = io.Copy(io.Discard, s.rest); err != nil {
			return buf[:0], false, err
		}
		s.rest = nil
	}
	typ, r, err := s.ws.Reader(context.Background())
	if err != nil {
		return buf[:0], false, err
	}
	text = typ == websocket.MessageText
	frame = buf[:0]
	for {
		if len(frame) == cap(frame) {
			frame = append(frame, 0)[:len(frame)]
		}
		// The library fills what it is given, so not a byte more than is wanted.
		n, err := r.Read(frame[len(frame):min(cap(frame), limit+1)])
		frame = frame[:len(frame)+n]
		if len(frame) > limit {
			s.rest = r
			return frame[:0], text, errTooLong
		}
		if errors.Is(err, io.EOF) {
			if s.line.failed.Load() {
				// The library takes the end of the stream between two parts of a message
				// for the end of the message.
				return frame[:0], text, io.ErrUnexpectedEOF
			}
			return frame, text, nil
		}
		if err != nil {
			return frame[:0], text, err
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
	line := &line{Conn: nc, conn: h.conn}
	h.conn.line = line
	return line, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(line, controlBuffer)), nil
}

// line is the library's view of the TCP connection.
type line struct {
	net.Conn
	conn   *Conn
	failed atomic.Bool // a read failed: the peer is gone
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.conn.heard()
		return n, nil // an error will come again
	}
	if err != nil {
		l.failed.Store(true)
	}
	return 0, err
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
