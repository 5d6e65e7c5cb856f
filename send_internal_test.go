package realtime

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
)

// What a message costs on its way in and out, in allocations, without the
// frame and the connection.
func TestAllocations(t *testing.T) {
	rt, err := New(Options{AppID: "app", AppKey: "key"})
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close(context.Background())) }()
	c := rt.NewIMClient("Tom")
	conv, err := c.ParseConversation([]byte(`{"id":"a","members":["Tom","Jerry"]}`))
	require.NoError(t, err)

	const runs = 1000
	acks := make([]*pb.AckCommand, runs+1)
	pushes := make([]*pb.DirectCommand, runs+1)
	for i := range acks {
		id, at := proto.String(fmt.Sprint("m", i)), proto.Int64(int64(1000+i))
		acks[i] = &pb.AckCommand{Uid: proto.String("own" + *id), T: at}
		pushes[i] = &pb.DirectCommand{
			Cid: proto.String("a"), Id: id, Timestamp: at, FromPeerId: proto.String("Jerry"), Msg: proto.String(`{"_lctype":-1,"_lctext":"hi"}`),
		}
	}
	// Acknowledging begins with a command at once; from then on a timer is due.
	c.pushedMessage(t.Context(), &pb.DirectCommand{Cid: proto.String("a"), Id: proto.String("x"), Timestamp: proto.Int64(1), FromPeerId: proto.String("Jerry")})

	i := 0
	content := NewTextMessage("hi")
	out := testing.AllocsPerRun(runs, func() {
		s := &sending{conv: conv, content: content}
		if s.opts.collect(content, nil) != nil || conv.allowed(anyKind) != nil || s.prepare(t.Context()) != nil {
			t.Error("not prepared")
		}
		c.sync.begin(s)
		s.build(new(outgoing))
		s.ended(s.accepted(acks[i]), nil)
		i++
	})
	i = 0
	in := testing.AllocsPerRun(runs, func() {
		c.pushedMessage(t.Context(), pushes[i])
		i++
	})
	require.Equal(t, runs+2, conv.UnreadMessagesCount())
	// The message, its content, and for receiving the events; the windows of
	// ids grow, on the average, by less than one.
	require.LessOrEqual(t, out, 7.0) // the command, of which there is a pool, is one of them
	require.LessOrEqual(t, in, 6.0)
}
