package realtime_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

// RedPacket is a custom type.
type RedPacket struct {
	realtime.TypedMessage
	Cents int `json:"cents"`
}

func (*RedPacket) Type() int         { return 1 }
func (r *RedPacket) Summary() string { return "[red packet] " + r.Text }

// Sealed reads and writes itself.
type Sealed struct {
	realtime.TypedMessage
	secret string
}

func (*Sealed) Type() int { return 2 }

func (s *Sealed) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]string{"x": s.secret}) }

func (s *Sealed) UnmarshalJSON(data []byte) error {
	var in struct{ X string }
	err := json.Unmarshal(data, &in)
	if s.secret = in.X; err == nil && s.secret == "broken" {
		err = errors.New("seal is broken")
	}
	return err
}

func newParser(t testing.TB) *realtime.MessageParser {
	t.Helper()
	p, err := realtime.NewMessageParser(realtime.Plugin{MessageTypes: []realtime.Content{&RedPacket{}, &Sealed{}}})
	require.NoError(t, err)
	return p
}

func TestParseContent(t *testing.T) {
	text := func(s string) *realtime.TextMessage { return realtime.NewTextMessage(s) }
	raw := realtime.NewRawMessage
	for _, tt := range []struct {
		name, in string
		want     realtime.Content
	}{
		{"text", `{"_lctype":-1,"_lctext":"hi"}`, text("hi")},
		{"text first", `{"_lctext":"hi","_lctype":-1}`, text("hi")},
		{"spaces", " {\n\"_lctype\" : -1 ,\t\"_lctext\" :\"hi\" } \n", text("hi")},
		{"escapes", `{"_lctype":-1,"_lctext":"\u4f60\u597d \"\\\/\n\ud83d\ude00"}`, text("你好 \"\\/\n😀")},
		{"escaped key", `{"\u005flctype":-1,"_lctext":"hi"}`, text("hi")},
		{"number with fraction", `{"_lctype":-1.0,"_lctext":"hi"}`, text("hi")},
		{"unknown fields", `{"_lctype":-1,"_lctext":"hi","x":1,"y":null,"z":"s"}`, text("hi")},
		{"nested unknown field", `{"_lctype":-1,"_lctext":"hi","x":{"_lctext":"no"}}`, text("hi")},
		{"no text", `{"_lctype":-1}`, text("")},
		{"null text", `{"_lctype":-1,"_lctext":null}`, text("")},
		{"the last one wins", `{"_lctype":1,"_lctext":"a","_lctype":-1,"_lctext":"b"}`, text("b")},
		{
			"attributes", `{"_lctype":-1,"_lctext":"hi","_lcattrs":{"a":[1,{"b":null}]}}`,
			&realtime.TextMessage{TypedMessage: realtime.TypedMessage{
				Text: "hi", Attributes: map[string]any{"a": []any{1.0, map[string]any{"b": nil}}},
			}},
		},
		{"recalled", `{"_lctype":-127}`, &realtime.RecalledMessage{}},
		{"custom", `{"_lctype":1,"_lctext":"hi","cents":5}`, &RedPacket{realtime.TypedMessage{Text: "hi"}, 5}},
		{"reads itself", `{"_lctype":2,"x":"s"}`, &Sealed{secret: "s"}},
		{"unknown type", `{"_lctype":9,"_lctext":"hi"}`, raw(`{"_lctype":9,"_lctext":"hi"}`)},
		{"type is a string", `{"_lctype":"-1"}`, raw(`{"_lctype":"-1"}`)},
		{"type is a fraction", `{"_lctype":-1.5}`, raw(`{"_lctype":-1.5}`)},
		{"type is null", `{"_lctype":null}`, raw(`{"_lctype":null}`)},
		{"no type", `{"a":1}`, raw(`{"a":1}`)},
		{"nested type", `{"a":{"_lctype":-1}}`, raw(`{"a":{"_lctype":-1}}`)},
		{"plain text", "hello", raw("hello")},
		{"empty", "", raw("")},
		{"a list", `[{"_lctype":-1}]`, raw(`[{"_lctype":-1}]`)},
		{"two values", `{"_lctype":-1} {}`, raw(`{"_lctype":-1} {}`)},
		{"comma at the end", `{"_lctype":-1,}`, raw(`{"_lctype":-1,}`)},
		{"cut off", `{"_lctype":-1,"_lctext":"h`, raw(`{"_lctype":-1,"_lctext":"h`)},
		{"bad number", `{"_lctype":-01}`, raw(`{"_lctype":-01}`)},
		{"bad nested value", `{"_lctype":-1,"x":[1 2]}`, raw(`{"_lctype":-1,"x":[1 2]}`)},
		{"bad escape", `{"_lctype":-1,"_lctext":"\q"}`, raw(`{"_lctype":-1,"_lctext":"\q"}`)},
		{"control character", "{\"_lctype\":-1,\"_lctext\":\"\n\"}", raw("{\"_lctype\":-1,\"_lctext\":\"\n\"}")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newParser(t).Parse([]byte(tt.in), false)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}

	got, err := newParser(t).Parse([]byte{0, 1, 255}, true)
	require.NoError(t, err)
	require.Equal(t, realtime.NewBinaryMessage([]byte{0, 1, 255}), got)
}

func TestContentErrors(t *testing.T) {
	p := newParser(t)

	got, err := p.Parse([]byte(`{"_lctype":1,"_lctext":"hi","cents":"many"}`), false)
	require.Error(t, err, "a field of the wrong kind")
	require.Equal(t, &RedPacket{realtime.TypedMessage{Text: "hi"}, 0}, got, "the rest is read")

	in := `{"_lctype":2,"x":"broken"}`
	got, err = p.Parse([]byte(in), false)
	require.ErrorContains(t, err, "seal is broken")
	require.Equal(t, realtime.NewRawMessage(in), got)
	require.Equal(t, 2, got.Type())
}

func TestParseHooks(t *testing.T) {
	var order []string
	rot := realtime.Plugin{
		Name: "rot",
		BeforeMessageParse: func(data []byte, binary bool) ([]byte, error) {
			order = append(order, "before 1")
			if string(data) == "bad" {
				return nil, errors.New("cannot decrypt")
			}
			return []byte(strings.TrimPrefix(string(data), "secret:")), nil
		},
		AfterMessageParse: func(c realtime.Content) (realtime.Content, error) {
			order = append(order, "after 1")
			if text, ok := c.(*realtime.TextMessage); ok {
				switch text.Text {
				case "none":
					return (*realtime.TextMessage)(nil), nil
				case "fail":
					return nil, errors.New("not today")
				}
				text.Text += "!"
			}
			return c, nil
		},
	}
	second := realtime.Plugin{
		BeforeMessageParse: func(data []byte, binary bool) ([]byte, error) {
			order = append(order, "before 2")
			return data, nil
		},
		AfterMessageParse: func(c realtime.Content) (realtime.Content, error) {
			order = append(order, "after 2")
			return c, nil
		},
	}
	p, err := realtime.NewMessageParser(rot, second)
	require.NoError(t, err)

	got, err := p.Parse([]byte(`secret:{"_lctype":-1,"_lctext":"hi"}`), false)
	require.NoError(t, err)
	require.Equal(t, realtime.NewTextMessage("hi!"), got)
	require.Equal(t, []string{"before 1", "before 2", "after 1", "after 2"}, order)

	for _, in := range []string{"bad", `{"_lctype":-1,"_lctext":"none"}`, `{"_lctype":-1,"_lctext":"fail"}`} {
		got, err = p.Parse([]byte(in), false)
		require.ErrorContains(t, err, `plugin "rot"`)
		require.Equal(t, realtime.NewRawMessage(in), got)
	}
}

// wrongPlace does not embed TypedMessage by value.
type wrongPlace struct{ *realtime.TypedMessage }

func (*wrongPlace) Type() int { return 3 }

type zero struct{ realtime.TypedMessage }

func (*zero) Type() int { return 0 }

type text2 struct{ realtime.TypedMessage }

func (*text2) Type() int { return realtime.TypeText }

func TestRegisterMistakes(t *testing.T) {
	_, err := realtime.NewMessageParser(
		realtime.Plugin{Name: "one", MessageTypes: []realtime.Content{&wrongPlace{}, &zero{}, nil, &text2{}}},
		realtime.Plugin{Name: "two", MessageTypes: []realtime.Content{&RedPacket{}, &RedPacket{}, realtime.NewBinaryMessage(nil)}},
	)
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	for _, part := range []string{
		"wrongPlace does not embed", "zero has the number 0", "is nil", "number -1, which *realtime.TextMessage has too",
		`plugin "two": message type *realtime_test.RedPacket has the number 1`, "BinaryMessage does not embed",
	} {
		require.ErrorContains(t, err, part)
	}
	_, err = realtime.New(realtime.Options{
		AppID: "a", AppKey: "k", Plugins: []realtime.Plugin{{MessageTypes: []realtime.Content{&zero{}}}},
	})
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
}

func TestMarshalContent(t *testing.T) {
	for _, tt := range []struct {
		in   realtime.Content
		want string
	}{
		{realtime.NewTextMessage("Tom & <Jerry> \"\\\n\t\x01你好"), `{"_lctype":-1,"_lctext":"Tom & <Jerry> \"\\\n\t\u0001你好"}`},
		{realtime.NewTextMessage(""), `{"_lctype":-1}`},
		{realtime.NewTextMessage("bad \xff utf-8"), `{"_lctype":-1,"_lctext":"bad � utf-8"}`},
		{
			&realtime.TextMessage{TypedMessage: realtime.TypedMessage{Text: "<", Attributes: map[string]any{"a": 1}}},
			`{"_lctype":-1,"_lctext":"<","_lcattrs":{"a":1}}`,
		},
		{&RedPacket{realtime.TypedMessage{Text: "hi"}, 5}, `{"_lctype":1,"_lctext":"hi","cents":5}`},
		{&Sealed{secret: "s"}, `{"_lctype":2,"x":"s"}`},
		{&realtime.RecalledMessage{}, `{"_lctype":-127}`},
		{realtime.NewRawMessage("any text"), "any text"},
	} {
		data, binary, err := realtime.MarshalContent(tt.in)
		require.NoError(t, err)
		require.False(t, binary)
		require.Equal(t, tt.want, string(data))
	}
	data, binary, err := realtime.MarshalContent(realtime.NewBinaryMessage([]byte{1, 2}))
	require.NoError(t, err)
	require.True(t, binary)
	require.Equal(t, []byte{1, 2}, data)

	for _, c := range []realtime.Content{nil, (*realtime.TextMessage)(nil), (*RedPacket)(nil), (*realtime.RawMessage)(nil), &zero{}} {
		_, _, err := realtime.MarshalContent(c)
		require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	}
}

func TestRawMessageType(t *testing.T) {
	for in, want := range map[string]int{
		`{"_lctype":7,"a":{}}`: 7, `{"_lctype":7,"a":[1 2]}`: 0, "hello": 0, "": 0, `{"_lctype":"7"}`: 0,
	} {
		require.Equal(t, want, realtime.NewRawMessage(in).Type(), in)
	}
}

func TestMessageAccessors(t *testing.T) {
	m := &realtime.Message{Content: &RedPacket{realtime.TypedMessage{Text: "hi", Attributes: map[string]any{"a": 1}}, 5}}
	require.Equal(t, 1, m.Type())
	require.Equal(t, "hi", m.Text())
	require.Equal(t, "[red packet] hi", m.Summary())
	require.Equal(t, map[string]any{"a": 1}, m.Attributes())
	require.JSONEq(t, `{"_lctype":1,"_lctext":"hi","_lcattrs":{"a":1},"cents":5}`, string(m.Payload()))

	none := new(realtime.Message)
	require.Zero(t, none.Type())
	require.Empty(t, none.Text()+none.Summary())
	require.Nil(t, none.Attributes())
	require.Nil(t, none.Payload())
}

// Whatever comes, there is a content, and what encoding/json takes for a text
// message of ours is one with that text.
func FuzzParseContent(f *testing.F) {
	for _, s := range []string{
		`{"_lctype":-1,"_lctext":"hi"}`, `{"_lctype":-1,"_lctext":"\ud800","_lcattrs":{"a":[1]}}`, `{"_lctype":1,"cents":1e3}`,
		`{"a":[{"_lctype":-1}],"_lctype":-1.0}`, `[`, `{"_LCTEXT":"x","_lctype":-1}`, `{"_lctype":2,"x":"broken"}`, "{}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		p := newParser(t)
		c, err := p.Parse([]byte(in), false)
		require.NotNil(t, c)
		var keys map[string]any
		var want struct {
			Text string         `json:"_lctext"`
			Attr map[string]any `json:"_lcattrs"`
		}
		if json.Unmarshal([]byte(in), &keys) == nil && keys["_lctype"] == float64(realtime.TypeText) && json.Unmarshal([]byte(in), &want) == nil {
			text, ok := c.(*realtime.TextMessage)
			require.True(t, ok, "%T", c)
			require.NoError(t, err)
			require.Equal(t, want.Text, text.Text)
			require.Equal(t, want.Attr, text.Attributes)
		}
		if raw, ok := c.(*realtime.RawMessage); ok {
			require.Equal(t, in, raw.Data)
			if !utf8.ValidString(in) { // it came, but must not be sent on
				_, _, err := realtime.MarshalContent(raw)
				require.ErrorIs(t, err, realtime.ErrInvalidArgument)
				return
			}
		}
		if err == nil {
			again, _, err := realtime.MarshalContent(c)
			require.NoError(t, err)
			back, err := p.Parse(again, false)
			require.NoError(t, err)
			require.IsType(t, c, back)
			twice, _, err := realtime.MarshalContent(back)
			require.NoError(t, err)
			require.Equal(t, string(again), string(twice))
		}
	})
}

// A text comes back as it was sent, but for what is no text.
func FuzzText(f *testing.F) {
	f.Add("hi")
	f.Add("\x00\"\\ \u2028😀\xff")
	f.Fuzz(func(t *testing.T, text string) {
		data, _, err := realtime.MarshalContent(realtime.NewTextMessage(text))
		require.NoError(t, err)
		require.True(t, json.Valid(data))
		require.True(t, utf8.Valid(data))
		c, err := newParser(t).Parse(data, false)
		require.NoError(t, err)
		require.Equal(t, string([]rune(text)), c.(*realtime.TextMessage).Text)
	})
}
