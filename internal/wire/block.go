package wire

import (
	"encoding/base64"
	"fmt"
	"sync"

	"github.com/leanrtm/realtime/internal/pb"
)

// Block is memory for one command, for whoever reads many and is soon done with
// each. It is for one goroutine at a time; the zero Block is ready.
type Block struct {
	holds  uint64 // tag of the body that was decoded; 0: the block is ready
	direct directBlock
	ack    ackBlock
}

// reset makes the block ready.
func (b *Block) reset() {
	switch b.holds {
	case tagDirectMessage:
		b.direct = directBlock{}
	case tagAckMessage:
		b.ack = ackBlock{}
	}
	b.holds = 0
}

// Blocks are blocks that wait for use. The zero Blocks is ready, and safe for
// concurrent use.
type Blocks struct{ pool sync.Pool }

// Get returns a block that is ready.
func (p *Blocks) Get() *Block {
	if b, ok := p.pool.Get().(*Block); ok {
		return b
	}
	return new(Block)
}

// Put takes a block that Get has returned, or nil. The command that lies in it
// must not be used any more; its strings and lists may be.
func (p *Blocks) Put(b *Block) {
	if b != nil {
		b.reset()
		p.pool.Put(b)
	}
}

// UnmarshalInto is Unmarshal for a command that may lie in b, which is ready. If
// inside is true it does: it is good until the block is put back. Else b is still
// ready.
func (c Codec) UnmarshalInto(b *Block, frame []byte) (cmd *pb.GenericCommand, inside bool, err error) {
	if c.Text {
		if frame, err = base64.StdEncoding.AppendDecode(nil, frame); err != nil {
			return nil, false, fmt.Errorf("decode base64 frame: %w", err)
		}
	}
	if cmd = fastUnmarshal(frame, b); cmd != nil {
		return cmd, b.holds != 0, nil
	}
	b.reset()
	cmd, err = slowUnmarshal(frame)
	return cmd, false, err
}
