package admin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/admin"
)

// FuzzAnswers has a server answer everything with the same bytes: every call
// comes to an end, and what it returns is whole.
func FuzzAnswers(f *testing.F) {
	page := func(n int, format string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf(format, i)
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	for _, seed := range []string{
		"", "{}", "[]", "null", `{"results":null}`, `{"result":1}`, `{"count":-1}`, "<html>",
		`{"results":[{"objectId":"x","createdAt":1.5e12,"lm":{"__type":"Date"},"m":null,"attr":{"a":{"__type":"Date","iso":"x"}}}]}`,
		`{"results":[{"objectId":"_tmp:x","ttl":1e30,"msg":"AA","bin":true,"msg_timestamp":9223372036854775807}]}`,
		`[{"timestamp":-1,"data":"{\"_lctype\":-1}","bin":true,"to":{},"valid-till":9223372036854775807}]`,
		page(100, `{"timestamp":1,"msg-id":"m%d","data":"x","from":"a"}`),
		page(50, `{"timestamp":1,"subscriber":"s%d","conv_id":"c"}`),
		`{"results":` + page(100, `{"objectId":"c%03d"}`) + `}`,
		`{"results":` + page(100, `{"objectId":"c%d"}`) + `}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, c := scripted(t, nil, ok(string(body)))
		ctx := t.Context()
		const enough = 10_000 // more than any of the answers can hold
		n := 0
		for m, err := range c.Messages(ctx, realtime.MessageQuery{}) {
			if err == nil {
				require.NotNil(t, m.Message.Content)
			}
			n++
			require.Less(t, n, enough)
		}
		for info, err := range c.AllConversations(ctx, admin.Query{}) {
			require.True(t, err != nil || info.ID != "")
			n++
			require.Less(t, n, enough)
		}
		for range c.Broadcasts(ctx, "") {
			n++
			require.Less(t, n, enough)
		}
		for range c.ServiceConversation("x").Subscribers(ctx) {
			n++
			require.Less(t, n, enough)
		}
		_, _ = c.ChatRoom("x").Count(ctx)
		_, _ = c.ChatRoom("x").OnlineMembers(ctx)
		_, _ = c.Stats(ctx)
		_, _ = c.Conversation("x").Send(ctx, text("a", "b"))
		_, _ = c.CreateChatRoom(ctx, realtime.ChatRoomOptions{})
	})
}
