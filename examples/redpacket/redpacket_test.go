package redpacket_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/examples/redpacket"
	"github.com/leanrtm/realtime/realtimetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRedPacket(t *testing.T) {
	srv := realtimetest.NewServer(t)
	options := srv.Options()
	options.Plugins = []realtime.Plugin{redpacket.Plugin()}
	rt, err := realtime.New(options)
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close(t.Context())) }()

	tom, err := rt.CreateIMClient(t.Context(), "Tom")
	require.NoError(t, err)
	jerry := rt.NewIMClient("Jerry")
	events := jerry.Events(t.Context())
	require.NoError(t, jerry.Open(t.Context()))
	conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}})
	require.NoError(t, err)

	packet := redpacket.New(520, "happy new year")
	packet.Attributes = map[string]any{"from": "the boss"}
	_, err = conv.Send(t.Context(), realtime.NewTextMessage("look:"))
	require.NoError(t, err)
	sent, err := conv.Send(t.Context(), packet)
	require.NoError(t, err)

	for ev, err := range events {
		require.NoError(t, err)
		message, ok := ev.(*realtime.MessageEvent)
		if !ok {
			continue
		}
		if got, ok := message.Message.Content.(*redpacket.Message); ok {
			require.Equal(t, 520, got.Cents)
			require.Equal(t, "the boss", got.Attributes["from"])
			require.Equal(t, "[红包] happy new year", message.Message.Summary())
			break
		}
	}

	found, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{Type: redpacket.Type})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, sent.ID, found[0].ID)
	require.Equal(t, 520, found[0].Content.(*redpacket.Message).Cents)
}
