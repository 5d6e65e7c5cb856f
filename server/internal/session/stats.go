package session

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Stats counts what clients asked for. The numbers only grow.
type Stats struct {
	Opened       uint64 // logins that were granted
	Reopened     uint64 // of those, the ones of a client that came back by itself
	LoginsFailed uint64

	Commands map[string]uint64    // received, by name; all names are there
	Refusals map[wire.Code]uint64 // commands answered with an error, by its code; logins included
}

// Observation is one command that was executed.
type Observation struct {
	Cmd  pb.CommandType
	Op   pb.OpType
	Took time.Duration // until it was answered and its handler had returned
	Code wire.Code     // of the error that it was answered with; 0: none
}

// unknownCommands is where commands are counted whose number has no name.
const unknownCommands = 64

// counters are those of a Manager.
type counters struct {
	opened, reopened, loginsFailed atomic.Uint64

	commands [unknownCommands + 1]atomic.Uint64 // by number

	mu       sync.Mutex
	refusals map[wire.Code]uint64
}

func (c *counters) command(cmd pb.CommandType) {
	c.commands[min(uint32(cmd), unknownCommands)].Add(1)
}

func (c *counters) refused(code wire.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refusals == nil {
		c.refusals = make(map[wire.Code]uint64)
	}
	c.refusals[code]++
}

// Stats counts.
func (m *Manager) Stats() Stats {
	c := &m.stats
	s := Stats{
		LoginsFailed: c.loginsFailed.Load(),
		Reopened:     c.reopened.Load(), // before Opened, of which it is a part
		Commands:     make(map[string]uint64, len(pb.CommandType_name)),
		Refusals:     make(map[wire.Code]uint64),
	}
	s.Opened = c.opened.Load()
	for number, name := range pb.CommandType_name {
		s.Commands[name] = c.commands[min(uint32(number), unknownCommands)].Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for code, n := range c.refusals {
		s.Refusals[code] = n
	}
	return s
}

// codeOf is the code of the error that a reply tells; 0: it tells none.
func codeOf(reply *pb.GenericCommand) wire.Code {
	switch reply.GetCmd() {
	case pb.CommandType_error:
		return wire.Code(reply.GetErrorMessage().GetCode())
	case pb.CommandType_ack:
		return wire.Code(reply.GetAckMessage().GetCode())
	case pb.CommandType_session:
		return wire.Code(reply.GetSessionMessage().GetCode())
	}
	return 0
}
