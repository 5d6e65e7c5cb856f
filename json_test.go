package realtime_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

// unopened is a client that never connects.
func unopened(t testing.TB, id string) *realtime.IMClient {
	t.Helper()
	rt, err := realtime.New(realtime.Options{
		AppID: "app", AppKey: "key",
		Plugins: []realtime.Plugin{{MessageTypes: []realtime.Content{&RedPacket{}}}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close(t.Context())) })
	return rt.NewIMClient(id)
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "json", name+".json"))
	require.NoError(t, err)
	return data
}

// The samples are what toFullJSON of the official JavaScript SDK returned.
func TestMessageJSON(t *testing.T) {
	at := time.UnixMilli(1456567200123).UTC()
	for name, want := range map[string]realtime.Content{
		"text": &realtime.TextMessage{TypedMessage: realtime.TypedMessage{
			Text:       "Jerry，起床了！ <&> \"q\" \\ \n",
			Attributes: map[string]any{"a": 1.0, "b": []any{"x", map[string]any{"c": nil}}},
		}},
		"plain":      realtime.NewRawMessage("just text"),
		"object":     realtime.NewRawMessage(`{"foo":"bar","n":9007199254740991}`),
		"number":     realtime.NewRawMessage("42"),
		"binary":     realtime.NewBinaryMessage([]byte{0, 1, 2, 250, 251, 252, 253, 254, 255, 10}),
		"recalled":   &realtime.RecalledMessage{},
		"mentionall": realtime.NewTextMessage("to all"),
		"custom":     &RedPacket{realtime.TypedMessage{Text: "恭喜"}, 888},
	} {
		t.Run(name, func(t *testing.T) {
			data := sample(t, name)
			m, err := unopened(t, "Tom").ParseMessage(data)
			require.NoError(t, err)
			require.NoError(t, m.ContentErr())
			if raw, ok := m.Content.(*realtime.RawMessage); ok && json.Valid([]byte(raw.Data)) {
				require.JSONEq(t, want.(*realtime.RawMessage).Data, raw.Data) // indented in the sample
			} else {
				require.Equal(t, want, m.Content)
			}
			require.Equal(t, "8m6hhHrvQJ6Tsl1I7dYV0g", m.ID)
			require.Equal(t, "5f0b6d2e1f7c0b0008a3f6d1", m.ConversationID)
			require.Equal(t, "Jerry", m.From)
			require.Equal(t, at, m.Timestamp)
			require.Equal(t, name == "text" || name == "mentionall", m.Mentioned)

			back, err := json.Marshal(m)
			require.NoError(t, err)
			require.JSONEq(t, string(data), string(back))
		})
	}
	m, err := unopened(t, "Tom").ParseMessage(sample(t, "text"))
	require.NoError(t, err)
	require.Equal(t, []string{"Tom", "Mary"}, m.MentionList)
	require.Equal(t, time.UnixMilli(1456567201000).UTC(), m.DeliveredAt)
	require.Equal(t, time.UnixMilli(1456567300456).UTC(), m.UpdatedAt)
}

func TestMessageJSONOfPlainTexts(t *testing.T) {
	c := unopened(t, "Tom")
	for _, text := range []string{
		"", " ", "hello", `"quoted"`, `"`, "42", " 42", "42 ", "true", "null", "{", "{}", `{"_lctype":1`, "[1]", "1 2", "<&>\u2028",
	} {
		data, err := json.Marshal(&realtime.Message{Content: realtime.NewRawMessage(text), ID: "m"})
		require.NoError(t, err)
		m, err := c.ParseMessage(data)
		require.NoError(t, err, "%s", data)
		require.Equal(t, realtime.NewRawMessage(text), m.Content)
		require.Equal(t, text, string(m.Payload()))
	}
}

func TestParseMessageMistakes(t *testing.T) {
	c := unopened(t, "Tom")
	for _, in := range []string{"", "{}", "[]", `{"data":"x","timestamp":"yesterday"}`, `{"data":"!","bin":true}`, `{"data":`} {
		_, err := c.ParseMessage([]byte(in))
		require.Error(t, err, in)
	}
}

func TestConversationJSON(t *testing.T) {
	for name, kind := range map[string]realtime.Kind{
		"conversation": realtime.KindNormal, "chatroom": realtime.KindChatRoom,
		"service": realtime.KindService, "temporary": realtime.KindTemporary,
	} {
		t.Run(name, func(t *testing.T) {
			data := sample(t, name)
			conv, err := unopened(t, "Tom").ParseConversation(data)
			require.NoError(t, err)
			require.Equal(t, kind, conv.Kind())
			back, err := json.Marshal(conv)
			require.NoError(t, err)
			require.JSONEq(t, string(data), string(back))
		})
	}
	c := unopened(t, "Tom")
	conv, err := c.ParseConversation(sample(t, "conversation"))
	require.NoError(t, err)
	last := conv.LastMessage()
	require.Equal(t, "last one", last.Text())
	info := conv.Info()
	info.LastMessage = nil
	require.Equal(t, realtime.ConversationInfo{
		ID: "5f0b6d2e1f7c0b0008a3f6d1", Name: "Tom & Jerry", Creator: "Tom", Kind: realtime.KindNormal,
		UniqueID: "2f1c8a9ad5e80ee0f04d5b5d07dd4a2f", Members: []string{"Tom", "Jerry"},
		Attributes: map[string]any{"attr": map[string]any{"pinned": true, "n": 1.5}, "color": "#fff"},
		CreatedAt:  time.UnixMilli(1456560000000).UTC(), UpdatedAt: time.UnixMilli(1456566000000).UTC(),
		LastMessageAt: time.UnixMilli(1456567200123).UTC(), UnreadMessagesCount: 3,
		LastDeliveredAt: time.UnixMilli(1456567100000).UTC(), LastReadAt: time.UnixMilli(1456567000000).UTC(),
	}, info)

	// What is known already stays, and there is one object per id.
	again, err := c.ParseConversation([]byte(`{"id":"5f0b6d2e1f7c0b0008a3f6d1","name":"stale","unreadMessagesCount":9}`))
	require.NoError(t, err)
	require.Same(t, conv, again)
	require.Equal(t, "Tom & Jerry", conv.Name())
	require.Equal(t, 3, conv.UnreadMessagesCount())
}

// Numbers that no float64 can hold, and Dates, survive.
func TestConversationJSONKeepsAttributes(t *testing.T) {
	in := `{"id":"a","members":[],"unreadMessagesCount":0,"system":false,"transient":false,
		"big":12345678901234567890,"when":{"__type":"Date","iso":"2016-02-27T10:00:00.000Z"},"list":[{"at":{"__type":"Date","iso":"2016-02-27T10:00:00.123Z"}}]}`
	conv, err := unopened(t, "Tom").ParseConversation([]byte(in))
	require.NoError(t, err)
	require.Equal(t, time.Date(2016, 2, 27, 10, 0, 0, 0, time.UTC), conv.Get("when"))
	require.Equal(t, time.Date(2016, 2, 27, 10, 0, 0, 123e6, time.UTC), conv.Get("list.0.at"))
	require.Nil(t, conv.Get("list.1.at"))
	require.Nil(t, conv.Get("when.iso"))
	out, err := json.Marshal(conv)
	require.NoError(t, err)
	require.Contains(t, string(out), "12345678901234567890")
	require.JSONEq(t, in, string(out))
}

func TestParseConversationMistakes(t *testing.T) {
	c := unopened(t, "Tom")
	for _, in := range []string{"", "{}", "[]", `{"id":""}`, `{"id":1}`, `{"id":"a","members":"Tom"}`, `{"id":"a","createdAt":"x"}`, `{"id":"a","lastMessage":{}}`} {
		_, err := c.ParseConversation([]byte(in))
		require.Error(t, err, in)
	}
}

func FuzzParseStored(f *testing.F) {
	for _, name := range []string{"text", "binary", "custom", "number"} {
		f.Add(sample(f, name))
	}
	for _, name := range []string{"conversation", "chatroom", "temporary"} {
		f.Add(sample(f, name))
	}
	c := unopened(f, "Tom")
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := c.ParseMessage(data); err == nil {
			out, err := json.Marshal(m)
			require.NoError(t, err)
			back, err := c.ParseMessage(out)
			require.NoError(t, err)
			require.IsType(t, m.Content, back.Content)
			require.True(t, m.Timestamp.Equal(back.Timestamp))
		}
		conv, err := c.ParseConversation(data)
		if err != nil {
			return
		}
		_, err = json.Marshal(conv)
		require.NoError(t, err)
		conv.Info()
	})
}
