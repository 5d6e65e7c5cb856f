// Package wstest is a WebSocket client for tests of the server. It does what it
// is told, right or wrong: it sends frames that no library would, reads one
// frame at a time, and answers nothing by itself. It has no goroutines.
package wstest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Opcodes of frames.
const (
	OpText   = 0x1
	OpBinary = 0x2
	OpClose  = 0x8
	OpPing   = 0x9
	OpPong   = 0xa
)

const (
	finBit  = 0x80
	maskBit = 0x80
	keyText = "dGhlIHNhbXBsZSBub25jZQ==" // any 16 bytes
)

// Dialer makes TCP connections, such as memnet.Network.Dial.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// Request is the upgrade. The zero Request asks for the binary protocol at the
// path "/".
type Request struct {
	Target       string      // path and query; empty: /
	Subprotocols []string    // nil: the binary one; empty and not nil: none
	Header       http.Header // added
}

// Conn is the client's end. It is for one goroutine, except that writing and
// reading may be done by two.
type Conn struct {
	t     testing.TB
	Net   net.Conn
	Codec wire.Codec
	br    *bufio.Reader
}

// Dial connects and upgrades; a refused upgrade fails the test. The connection is
// closed when the test ends.
func Dial(t testing.TB, dial Dialer, addr string, q Request) *Conn {
	t.Helper()
	c, res := Try(t, dial, addr, q)
	if c == nil {
		t.Fatalf("upgrade: %s", res.Status)
	}
	return c
}

// Try is Dial for an upgrade that may be refused: then the Conn is nil.
func Try(t testing.TB, dial Dialer, addr string, q Request) (*Conn, *http.Response) {
	t.Helper()
	nc, err := dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { nc.Close() })
	if q.Target == "" {
		q.Target = "/"
	}
	if q.Subprotocols == nil {
		q.Subprotocols = []string{wire.SubprotocolBinary}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", q.Target, addr)
	fmt.Fprintf(&b, "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", keyText)
	if len(q.Subprotocols) > 0 {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", strings.Join(q.Subprotocols, ", "))
	}
	_ = q.Header.Write(&b) // a Builder never fails
	b.WriteString("\r\n")
	if _, err := io.WriteString(nc, b.String()); err != nil {
		t.Fatalf("write upgrade: %v", err)
	}
	br := bufio.NewReader(nc)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("read upgrade: %v", err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil, res
	}
	c := &Conn{t: t, Net: nc, br: br}
	c.Codec, _ = wire.CodecFor(res.Header.Get("Sec-WebSocket-Protocol"))
	return c, res
}

// AppendFrame appends a masked frame.
func AppendFrame(dst []byte, fin bool, opcode byte, payload []byte) []byte {
	first := opcode
	if fin {
		first |= finBit
	}
	dst = append(dst, first)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, maskBit|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, maskBit|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, maskBit|127), uint64(n))
	}
	key := [4]byte{1, 2, 3, 4}
	dst = append(dst, key[:]...)
	for i, b := range payload {
		dst = append(dst, b^key[i%4])
	}
	return dst
}

// Write sends bytes as they are.
func (c *Conn) Write(p []byte) {
	c.t.Helper()
	if _, err := c.Net.Write(p); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// Frame sends a whole frame.
func (c *Conn) Frame(opcode byte, payload []byte) {
	c.t.Helper()
	c.Write(AppendFrame(nil, true, opcode, payload))
}

// Send sends a command in the codec of the connection.
func (c *Conn) Send(cmd *pb.GenericCommand) {
	c.t.Helper()
	c.Write(c.Encode(cmd))
}

// Encode returns the frame that Send sends.
func (c *Conn) Encode(cmd *pb.GenericCommand) []byte {
	c.t.Helper()
	payload, err := c.Codec.Marshal(cmd)
	if err != nil {
		c.t.Fatalf("encode: %v", err)
	}
	if c.Codec.Text {
		return AppendFrame(nil, true, OpText, payload)
	}
	return AppendFrame(nil, true, OpBinary, payload)
}

// ReadFrame returns the next frame.
func (c *Conn) ReadFrame() (opcode byte, payload []byte, err error) {
	var h [2]byte
	if _, err := io.ReadFull(c.br, h[:]); err != nil {
		return 0, nil, err
	}
	if h[0]&finBit == 0 || h[1]&maskBit != 0 {
		return 0, nil, fmt.Errorf("a server sends whole frames without mask, got header %x", h)
	}
	n := uint64(h[1])
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(c.br, b[:]); err != nil {
			return 0, nil, err
		}
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(c.br, b[:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.br, payload)
	return h[0] &^ finBit, payload, err
}

// Read returns the next command. Anything else fails the test.
func (c *Conn) Read() *pb.GenericCommand {
	c.t.Helper()
	opcode, payload, err := c.ReadFrame()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	want := byte(OpBinary)
	if c.Codec.Text {
		want = OpText
	}
	if opcode != want {
		c.t.Fatalf("read: opcode %d with payload %q, want %d", opcode, payload, want)
	}
	cmd, err := c.Codec.Unmarshal(payload)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return cmd
}

// ReadClose returns the code and reason of the next frame, which must be a close
// frame. Anything else fails the test.
func (c *Conn) ReadClose() (wire.Code, string) {
	c.t.Helper()
	opcode, payload, err := c.ReadFrame()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	if opcode != OpClose || len(payload) < 2 {
		c.t.Fatalf("read: opcode %d with payload %q, want a close frame", opcode, payload)
	}
	return wire.Code(binary.BigEndian.Uint16(payload)), string(payload[2:])
}

// WantClosed answers a close frame, expects the end of the connection and
// nothing before it.
func (c *Conn) WantClosed(code wire.Code) {
	c.t.Helper()
	got, reason := c.ReadClose()
	if got != code || code >= wire.CodeAppNotAvailable && reason != code.Name() {
		c.t.Fatalf("closed with %d %q, want %d %q", got, reason, code, code.Name())
	}
	c.Frame(OpClose, binary.BigEndian.AppendUint16(nil, uint16(code)))
	c.WantEOF()
}

// WantEOF expects the end of the TCP connection and nothing before it.
func (c *Conn) WantEOF() {
	c.t.Helper()
	opcode, payload, err := c.ReadFrame()
	if err == nil {
		c.t.Fatalf("read: opcode %d with payload %q, want the end", opcode, payload)
	}
}

// WantSilence expects that nothing arrives for a while.
func (c *Conn) WantSilence(d time.Duration) {
	c.t.Helper()
	if err := c.Net.SetReadDeadline(time.Now().Add(d)); err != nil {
		c.t.Fatal(err)
	}
	if b, err := c.br.Peek(1); err == nil {
		c.t.Fatalf("got a frame that begins with %x, want silence", b)
	} else if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("read: %v, want silence", err)
	}
	if err := c.Net.SetReadDeadline(time.Time{}); err != nil {
		c.t.Fatal(err)
	}
}
