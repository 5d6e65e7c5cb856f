package interop_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// recorder keeps every byte that clients send to the listeners it has wrapped,
// and where the steps of a scenario began.
type recorder struct {
	mu    sync.Mutex
	conns []*recordedConn
	steps []string
}

// recordedConn is one connection: its bytes, and how many there were when each
// step began.
type recordedConn struct {
	net.Conn
	recorder *recorder
	data     []byte // guarded by recorder.mu
	begins   []int  // by step; guarded by recorder.mu
}

// recordingListener wraps the connections of a listener.
type recordingListener struct {
	net.Listener
	recorder *recorder
}

func (l recordingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := l.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	recorded := &recordedConn{Conn: c, recorder: r, begins: make([]int, len(r.steps))}
	r.conns = append(r.conns, recorded)
	return recorded, nil
}

func (c *recordedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.recorder.mu.Lock()
	defer c.recorder.mu.Unlock()
	c.data = append(c.data, p[:n]...)
	return n, err
}

// begin marks the beginning of a step.
func (r *recorder) begin(step string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, step)
	for _, c := range r.conns {
		c.begins = append(c.begins, len(c.data))
	}
}

// sent is one frame of a client.
type sent struct {
	step    string
	peer    string // client id of the first login on the connection
	opcode  byte   // of the WebSocket message
	masked  bool
	raw     []byte // the serialized command
	command *pb.GenericCommand
}

// socket is one WebSocket connection of a client: its request and its frames.
type socket struct {
	step    string // during which it was opened
	request *http.Request
	frames  []sent
}

// sockets are the WebSocket connections so far.
func (r *recorder) sockets() ([]socket, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []socket
	for _, c := range r.conns {
		s, err := c.socket()
		if err != nil {
			return nil, err
		}
		if s.request != nil {
			out = append(out, s)
		}
	}
	return out, nil
}

// stepAt is the step during which a byte was sent.
func (c *recordedConn) stepAt(offset int) string {
	step := ""
	for i, begin := range c.begins {
		if begin <= offset {
			step = c.recorder.steps[i]
		}
	}
	return step
}

// socket parses the connection: HTTP requests, of which the last may be an
// upgrade that WebSocket frames follow.
func (c *recordedConn) socket() (s socket, err error) {
	buffered := bytes.NewReader(c.data)
	in := bufio.NewReader(buffered)
	offset := func() int { return len(c.data) - buffered.Len() - in.Buffered() }
	for {
		at := offset()
		request, err := http.ReadRequest(in)
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return s, err
		}
		if strings.EqualFold(request.Header.Get("Upgrade"), "websocket") {
			s.request, s.step = request, c.stepAt(at)
			break
		}
	}
	text := strings.Contains(s.request.Header.Get("Sec-WebSocket-Protocol"), "base64")
	peer := ""
	for {
		at := offset()
		opcode, masked, payload, err := readFrame(in)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		if opcode&0x0f != 1 && opcode&0x0f != 2 { // control frames
			continue
		}
		if text {
			if payload, err = base64.StdEncoding.DecodeString(string(payload)); err != nil {
				return s, err
			}
		}
		f := sent{step: c.stepAt(at), opcode: opcode, masked: masked, raw: payload, command: &pb.GenericCommand{}}
		if err := proto.Unmarshal(payload, f.command); err != nil {
			return s, err
		}
		if peer == "" {
			peer = f.command.GetPeerId()
		}
		f.peer = peer
		s.frames = append(s.frames, f)
	}
}

// readFrame reads one WebSocket frame of RFC 6455: the first byte (the flag of
// the last fragment and the opcode), whether it was masked, and its payload.
func readFrame(in io.Reader) (first byte, masked bool, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, false, nil, err
	}
	size := uint64(head[1] & 0x7f)
	switch size {
	case 126:
		var n uint16
		if err := binary.Read(in, binary.BigEndian, &n); err != nil {
			return 0, false, nil, err
		}
		size = uint64(n)
	case 127:
		if err := binary.Read(in, binary.BigEndian, &size); err != nil {
			return 0, false, nil, err
		}
	}
	const limit = 1 << 20
	if size > limit {
		return 0, false, nil, fmt.Errorf("a frame of %d bytes", size)
	}
	masked = head[1]&0x80 != 0
	var mask [4]byte
	if masked {
		if _, err := io.ReadFull(in, mask[:]); err != nil {
			return 0, false, nil, err
		}
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(in, payload); err != nil {
		return 0, false, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0], masked, payload, nil
}
