package wire

import (
	"encoding/base64"
	"fmt"

	"github.com/leanrtm/realtime/internal/pb"
)

// Block is memory for one command, for whoever reads many and is soon done with
// each. It is for one goroutine at a time; the zero Block is ready.
type Block struct{ direct directBlock }

// Reset makes the block ready for another command. The one that lies in it must
// not be used any more; its strings and lists may be.
func (b *Block) Reset() { b.direct = directBlock{} }

// UnmarshalInto is Unmarshal for a command that may lie in b, which is ready. If
// inside is true it does: it is good until Reset. Else b is still ready.
func (c Codec) UnmarshalInto(b *Block, frame []byte) (cmd *pb.GenericCommand, inside bool, err error) {
	if c.Text {
		if frame, err = base64.StdEncoding.AppendDecode(nil, frame); err != nil {
			return nil, false, fmt.Errorf("decode base64 frame: %w", err)
		}
	}
	cmd = fastUnmarshal(frame, &b.direct)
	switch {
	case cmd == nil:
		b.Reset()
		cmd, err = slowUnmarshal(frame)
		return cmd, false, err
	case cmd != &b.direct.cmd:
		return cmd, false, nil
	}
	return cmd, true, nil
}
