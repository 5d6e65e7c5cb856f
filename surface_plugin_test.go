package realtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

// parcel is a message type of a plugin.
type parcel struct {
	realtime.TypedMessage
	Weight int `json:"weight"`
}

func (*parcel) Type() int { return 78 }

// diaryOf collects what plugins were called for, in order.
type diaryOf struct {
	mu    sync.Mutex
	lines []string
}

func (d *diaryOf) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diaryOf) take() []string {
	calm()
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

// plugin writes down every call of its hooks, and changes what passes.
func (d *diaryOf) plugin(name string) realtime.Plugin {
	return realtime.Plugin{
		Name: name,
		BeforeMessageParse: func(data []byte, _ bool) ([]byte, error) {
			d.note("%s before parse", name)
			return []byte(strings.ReplaceAll(string(data), "<", "<"+name)), nil
		},
		AfterMessageParse: func(c realtime.Content) (realtime.Content, error) {
			d.note("%s after parse", name)
			if text, ok := c.(*realtime.TextMessage); ok {
				return realtime.NewTextMessage(text.Text + name), nil
			}
			return c, nil
		},
		BeforeMessageDispatch: func(m *realtime.Message, conv *realtime.Conversation) bool {
			d.note("%s dispatch %s in %s", name, m.Text(), conv.Name())
			return !strings.Contains(m.Text(), "stopped by "+name)
		},
		BeforeSend: func(_ context.Context, out *realtime.Outgoing) error {
			d.note("%s send in %s", name, out.Conversation.Name())
			if text, ok := out.Content.(*realtime.TextMessage); ok {
				if strings.Contains(text.Text, "refused by "+name) {
					return errors.New(name + " does not want it")
				}
				out.Content = realtime.NewTextMessage(text.Text + "+" + name)
			}
			return nil
		},
		OnRealtimeCreate:     func(*realtime.Realtime) { d.note("%s realtime", name) },
		OnIMClientCreate:     func(c *realtime.IMClient) { d.note("%s client %s", name, c.ID()) },
		OnConversationCreate: func(c *realtime.Conversation) { d.note("%s conversation", name) },
	}
}

// Plugins are called in the order in which they were given, each on what the
// one before made of it.
func TestSurfacePluginsInOrder(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		d := new(diaryOf)
		rt := s.realtime(func(o *realtime.Options) { o.Plugins = []realtime.Plugin{d.plugin("A"), d.plugin("B")} })
		require.Equal(t, []string{"A realtime", "B realtime"}, d.take())
		tom := s.client(rt, "Tom")
		require.Equal(t, []string{"A client Tom", "B client Tom"}, d.take())
		jerry := s.Client("Jerry") // without plugins
		conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}, Name: "home"})
		require.NoError(t, err)
		require.Equal(t, []string{"A conversation", "B conversation"}, d.take())
		byTom, byJerry := watch(tom), watch(jerry)

		s.say(conv, "hi")
		require.Equal(t, []string{"A send in home", "B send in home"}, d.take())
		require.Equal(t, []string{"message Tom: hi+A+B"}, byJerry.heard("message"))
		theirs := s.as(jerry, conv)
		s.say(theirs, "< ")
		require.Equal(t, []string{
			"A before parse", "B before parse", "A after parse", "B after parse",
			"A dispatch <BA AB in home", "B dispatch <BA AB in home",
		}, d.take())
		require.Equal(t, []string{"message Jerry: <BA AB"}, byTom.heard("message"))

		s.say(theirs, "stopped by A")
		require.Equal(t, []string{"A dispatch stopped by AAB in home"}, d.take()[4:], "the other one is not asked")
		s.say(theirs, "stopped by B")
		require.Len(t, d.take(), 6)
		require.Empty(t, byTom.heard("message", "unread"))

		mark := len(s.Commands())
		_, err = conv.Send(t.Context(), realtime.NewTextMessage("refused by A"))
		require.ErrorContains(t, err, "A does not want it")
		require.Equal(t, []string{"A send in home"}, d.take())
		require.Empty(t, s.sent(mark))
	})
}

// What goes wrong in a plugin costs the content of one message, and names the
// plugin.
func TestSurfacePluginThatFails(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		broken := errors.New("out of order")
		failing := realtime.Plugin{
			Name: "shredder",
			BeforeMessageParse: func(data []byte, _ bool) ([]byte, error) {
				if strings.Contains(string(data), "before") {
					return nil, broken
				}
				return data, nil
			},
			AfterMessageParse: func(c realtime.Content) (realtime.Content, error) {
				if text, ok := c.(*realtime.TextMessage); ok && text.Text == "after" {
					return nil, broken
				}
				return c, nil
			},
		}
		types := realtime.Plugin{Name: "parcels", MessageTypes: []realtime.Content{(*parcel)(nil)}}
		jerry := s.client(s.realtime(func(o *realtime.Options) { o.Plugins = []realtime.Plugin{failing, types} }), "Jerry")
		tom := s.Client("Tom")
		conv := s.group(tom, "Jerry")
		var got []*realtime.Message
		jerry.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { got = append(got, e.Message) })
		for _, raw := range []string{
			textContent("before"), textContent("after"), `{"_lctype":78,"_lctext":"a parcel","weight":3}`,
			`{"_lctype":78,"weight":"heavy"}`, `{"_lctype":79}`, `no JSON`, `[1,2]`,
		} {
			_, err := conv.Send(t.Context(), realtime.NewRawMessage(raw))
			require.NoError(t, err)
		}
		calm()
		require.Len(t, got, 7)
		for i, hook := range []string{"BeforeMessageParse", "AfterMessageParse"} {
			require.IsType(t, &realtime.RawMessage{}, got[i].Content)
			require.ErrorIs(t, got[i].ContentErr(), broken)
			require.ErrorContains(t, got[i].ContentErr(), "shredder")
			require.ErrorContains(t, got[i].ContentErr(), hook)
		}
		require.Equal(t, 3, got[2].Content.(*parcel).Weight)
		require.Equal(t, "a parcel", got[2].Summary())
		require.NoError(t, got[2].ContentErr())
		require.Error(t, got[3].ContentErr())
		for _, m := range got[4:] {
			require.NoError(t, m.ContentErr())
			require.IsType(t, &realtime.RawMessage{}, m.Content)
		}
		require.Equal(t, 79, got[4].Type())
		require.Equal(t, `[1,2]`, string(got[6].Payload()))

		_, err := realtime.New(realtime.Options{AppID: "a", AppKey: "k", Plugins: []realtime.Plugin{types, {Name: "rival", MessageTypes: types.MessageTypes}}})
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
		require.ErrorContains(t, err, "rival")
	})
}

// A plugin may use REST as the sender, as uploads do.
func TestSurfacePluginUsesREST(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		uploads := realtime.Plugin{Name: "uploads", BeforeSend: func(ctx context.Context, out *realtime.Outgoing) error {
			req, err := http.NewRequestWithContext(ctx, "POST", "/1.1/files", strings.NewReader(`{"name":"a.txt","url":"http://example.com/a.txt"}`))
			if err != nil {
				return err
			}
			resp, err := out.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			var file struct {
				ObjectID string `json:"objectId"`
			}
			if err := json.Unmarshal(body, &file); err != nil {
				return err
			}
			out.Content = realtime.NewTextMessage("file " + file.ObjectID)
			return nil
		}}
		tom := s.client(s.realtime(func(o *realtime.Options) { o.Plugins = []realtime.Plugin{uploads} }), "Tom")
		m := s.say(s.group(tom), "")
		require.Regexp(t, "^file [0-9a-f]{24}$", m.Text())
	})
}

// A message and a conversation survive being stored as JSON, and read by
// another client.
func TestSurfaceJSONRoundTrip(t *testing.T) {
	onSurface(t, func(t *testing.T, s *surface) {
		ctx := t.Context()
		plugged := func(o *realtime.Options) {
			o.Plugins = []realtime.Plugin{{Name: "parcels", MessageTypes: []realtime.Content{&parcel{}}}}
		}
		tom, jerry := s.client(s.realtime(plugged), "Tom"), s.client(s.realtime(plugged), "Jerry")
		conv, err := tom.CreateConversation(ctx, realtime.ConversationOptions{
			Members: []string{"Jerry"}, Name: "Tom & Jerry", Attributes: map[string]any{
				"attr": map[string]any{"day": time.Date(2020, 1, 2, 3, 4, 5, 6_000_000, time.UTC), "n": 1}, "tags": []string{"x"},
			},
		})
		require.NoError(t, err)
		moment()
		theirs := s.as(jerry, conv)
		var messages []*realtime.Message
		theirs.OnMessage(func(_ context.Context, e *realtime.MessageEvent) { messages = append(messages, e.Message) })
		theirs.OnMessageUpdate(func(_ context.Context, e *realtime.MessageUpdateEvent) { messages = append(messages, e.Message) })
		sent := []*realtime.Message{}
		for _, content := range []realtime.Content{
			realtime.NewTextMessage("text <&> 中文"), &parcel{TypedMessage: realtime.TypedMessage{Text: "p", Attributes: map[string]any{"k": "v"}}, Weight: 2},
			realtime.NewBinaryMessage([]byte{0, 255, 10}), realtime.NewRawMessage("plain"), realtime.NewRawMessage(`{"any": "JSON"}`),
			realtime.NewRawMessage(`"quoted"`), realtime.NewRawMessage("17"),
		} {
			m, err := conv.Send(ctx, content, realtime.WithMention("Jerry"), realtime.WithMentionAll(), realtime.WithReceipt())
			require.NoError(t, err)
			sent = append(sent, m)
			moment()
		}
		_, err = conv.Update(ctx, sent[0], realtime.NewTextMessage("edited"))
		require.NoError(t, err)
		require.NoError(t, theirs.Mute(ctx))
		calm()
		require.Len(t, messages, len(sent)+1)

		other := s.client(s.realtime(plugged), "Jerry")
		for _, m := range messages {
			data, err := json.Marshal(m)
			require.NoError(t, err)
			back, err := other.ParseMessage(data)
			require.NoError(t, err)
			if json.Valid(m.Payload()) { // as a value in JSON, whose spelling may change
				require.JSONEq(t, string(m.Payload()), string(back.Payload()), "%s", data)
			} else {
				require.Equal(t, m.Payload(), back.Payload(), "%s", data)
			}
			require.Equal(t, fmt.Sprintf("%T %d %s", m.Content, m.Type(), m.Summary()), fmt.Sprintf("%T %d %s", back.Content, back.Type(), back.Summary()))
			if m.Type() != 0 {
				require.Equal(t, m.Content, back.Content)
			}
			again, err := json.Marshal(back)
			require.NoError(t, err)
			require.JSONEq(t, string(data), string(again))
			require.ElementsMatch(t, m.MentionList, back.MentionList)
			require.Equal(t, []any{m.ID, m.From, m.ConversationID, m.Timestamp, m.UpdatedAt, m.DeliveredAt, m.Status, m.Mentioned, m.MentionedAll},
				[]any{back.ID, back.From, back.ConversationID, back.Timestamp, back.UpdatedAt, back.DeliveredAt, back.Status, back.Mentioned, back.MentionedAll})
		}

		for _, c := range []*realtime.Conversation{theirs, mustRoom(t, jerry)} {
			require.NoError(t, c.Fetch(ctx))
			data, err := json.Marshal(c)
			require.NoError(t, err)
			back, err := s.client(s.realtime(plugged), "Jerry").ParseConversation(data)
			require.NoError(t, err)
			want, got := c.Info(), back.Info()
			want.LastMessage, got.LastMessage = nil, nil
			if len(want.Members)+len(got.Members) == 0 {
				want.Members, got.Members = nil, nil
			}
			require.Equal(t, want, got, "%s", data)
			require.Equal(t, c.Kind(), back.Kind())
			again, err := json.Marshal(back)
			require.NoError(t, err)
			require.JSONEq(t, string(data), string(again))
			_, err = back.Count(ctx) // and it works
			require.NoError(t, err)
		}
		mark := len(s.Commands())
		known, err := jerry.ParseConversation([]byte(`{"id":"` + theirs.ID() + `","name":"an old name"}`))
		require.NoError(t, err)
		require.Same(t, theirs, known)
		require.Equal(t, "Tom & Jerry", known.Name(), "what is known is newer")
		require.Empty(t, s.sent(mark), "no I/O")
	})
}
