package conn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/leanrtm/realtime/internal/retryafter"
	"github.com/leanrtm/realtime/internal/wire"
)

// Conn is a connection. Safe for concurrent use.
type Conn struct {
	o       Options
	codec   wire.Codec
	ws      *websocket.Conn
	stream  *stream  // under the library
	raw     net.Conn // under the stream; nil if the HTTP client does not show it
	started time.Time

	out       outbox
	frames    sync.Pool // of *Frame
	watch     writeWatch
	heartbeat alarm
	silence   alarm
	finish    chan struct{} // closed by Close: nothing is accepted any more
	dead      chan struct{} // closed by fail: stop at once
	done      chan struct{} // closed when the last goroutine has left

	heard   atomic.Int64 // when something was last received, in ns since started
	running atomic.Int32 // goroutines and armed timers; 0: over

	mu       sync.Mutex
	err      error // the cause; set once
	finished bool  // finish is closed
	failed   bool  // dead is closed
}

// Dial opens a connection. ctx bounds the dialling only. The error is a
// *DialError.
func Dial(ctx context.Context, url string, o Options) (*Conn, error) {
	c := &Conn{
		o:       o.withDefaults(),
		codec:   wire.Codec{Text: o.Text},
		started: time.Now(),
		finish:  make(chan struct{}),
		dead:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	client := *c.o.HTTPClient
	upgrade := &upgrader{base: client.Transport, upgraded: func(s *stream) { c.stream = s }}
	client.Transport = upgrade
	var under net.Conn
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { under = info.Conn },
	})
	ws, resp, err := websocket.Dial(traced, url, &websocket.DialOptions{
		HTTPClient:     &client,
		HTTPHeader:     c.o.Header,
		Subprotocols:   []string{c.o.subprotocol()},
		OnPingReceived: func(context.Context, []byte) bool { c.hear(); return true },
		OnPongReceived: func(context.Context, []byte) { c.hear() },
	})
	if err != nil {
		dialErr := &DialError{URL: url, Err: err}
		if resp != nil {
			dialErr.Status, dialErr.After = resp.StatusCode, retryafter.Of(resp)
		}
		return nil, dialErr
	}
	ws.SetReadLimit(c.o.ReadLimit)
	c.ws = ws
	c.raw = lowest(under)
	if !upgrade.plain() {
		under = nil
	}
	c.stream.prepare(under, c.rouse)
	c.hear()
	c.running.Store(1)
	c.watch.conn = c
	if every := c.o.HeartbeatInterval; every > 0 {
		c.heartbeat.begin(c, nextHeartbeat(every), c.beat)
	}
	if c.o.SilenceTimeout > 0 {
		c.silence.begin(c, c.o.SilenceTimeout, c.listen)
	}
	go c.read() // ends when the socket is shut; Done tells
	return c, nil
}

// lowest returns the connection under TLS, which can be closed without saying
// goodbye to a peer that does not listen.
func lowest(conn net.Conn) net.Conn {
	for {
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = wrapped.NetConn()
	}
}

// hear notes that the server lives.
func (c *Conn) hear() { c.heard.Store(int64(time.Since(c.started))) }

// Heard is when something was last received.
func (c *Conn) Heard() time.Time { return c.started.Add(time.Duration(c.heard.Load())) }

// Done is closed when the connection is over and no OnCommand runs any more.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection is over or being closed, nil while it lives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Kill ends the connection at once, without a word to the server, with this
// cause unless it has one already. It does not wait; see Done. It may be called
// from OnCommand.
func (c *Conn) Kill(cause error) { c.fail(cause) }

// Close sends what is queued, shakes hands with the server, ends the
// connection and waits until it is over. What is not done within the budget is
// left out. It must not be called from OnCommand.
func (c *Conn) Close(budget time.Duration) {
	c.mu.Lock()
	if c.err == nil {
		c.err = ErrClosed
	}
	first := !c.finished
	c.finished = true
	c.mu.Unlock()
	if first {
		c.goodbye()
		close(c.finish)
	}
	timer := time.NewTimer(budget)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.fail(ErrClosed)
		<-c.done
	}
}

// fail ends the connection.
func (c *Conn) fail(cause error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = cause
	}
	first := !c.failed
	c.failed = true
	c.mu.Unlock()
	if !first {
		return
	}
	c.out.refuse()
	close(c.dead)
	// Not through the library and not through TLS: both would try to tell a
	// server that may not listen.
	if c.raw != nil {
		_ = c.raw.Close()
	} else {
		_ = c.stream.Close()
	}
}

// enter counts one more goroutine, and reports whether the connection is not over
// yet.
func (c *Conn) enter() bool {
	for {
		n := c.running.Load()
		if n == 0 {
			return false
		}
		if c.running.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release is called by every goroutine as it leaves; the last one locks up.
func (c *Conn) release() {
	if c.running.Add(-1) == 0 {
		_ = c.ws.CloseNow()
		close(c.done)
		c.o.OnDone()
	}
}

// read is the reader. It ends when the connection is dead, and the timers end
// with it.
func (c *Conn) read() {
	defer func() {
		c.watch.end()
		c.heartbeat.end()
		c.silence.end()
		c.release()
	}()
	want := websocket.MessageBinary
	if c.codec.Text {
		want = websocket.MessageText
	}
	var frame []byte
	for {
		typ, err := c.readFrame(&frame)
		if err != nil {
			c.fail(readError(err))
			return
		}
		c.hear()
		c.o.Counters.FramesIn.Add(1)
		c.o.Counters.BytesIn.Add(uint64(len(frame)))
		if typ != want {
			c.fail(&FrameError{fmt.Errorf("a %v message", typ)})
			return
		}
		block := c.o.Blocks.Get()
		cmd, inside, err := c.codec.UnmarshalInto(block, frame)
		if !inside { // not to be kept while nothing comes
			c.o.Blocks.Put(block)
			block = nil
		}
		if err != nil {
			c.fail(&FrameError{err})
			return
		}
		c.o.OnCommand(cmd, block)
		if cap(frame) > keepBuffer {
			frame = nil
		}
	}
}

// keepBuffer is the largest buffer that is kept for the next frame.
const keepBuffer = 16 << 10

// readFrame reads one frame into the buffer. The context is one that never
// ends: one that could would cost a timer per read.
func (c *Conn) readFrame(frame *[]byte) (websocket.MessageType, error) {
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return 0, err
	}
	b := (*frame)[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			*frame = b
			if err == io.EOF { // of the message; see stream
				return typ, nil
			}
			return 0, err
		}
	}
}

// readError is why the reader ended, in the terms of this package.
func readError(err error) error {
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return &CloseError{Code: wire.Code(closed.Code), Reason: closed.Reason}
	}
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return &FrameError{err}
	}
	return fmt.Errorf("read from the server: %w", err)
}
