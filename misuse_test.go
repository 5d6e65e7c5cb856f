package realtime_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exports finds the compiled packages that this one needs, and itself.
func exports(t *testing.T) func(path string) (io.ReadCloser, error) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	list.Stderr = t.Output()
	out, err := list.Output()
	require.NoError(t, err)
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

// What is easily done wrong does not compile.
func TestMisuseDoesNotCompile(t *testing.T) {
	const head = `package p
import ("context"; "github.com/leanrtm/realtime")
type RedPacket struct { realtime.TypedMessage; Cents int }
func (*RedPacket) Type() int { return 1 }
type Untyped struct { realtime.TypedMessage }
type Foreign struct{}
func (*Foreign) Type() int { return 2 }
var ctx = context.Background()
var c *realtime.IMClient
var conv *realtime.Conversation
var m *realtime.Message
var e realtime.Event
`
	fset := token.NewFileSet()
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", exports(t))}
	compile := func(t *testing.T, code string) error {
		t.Helper()
		file, err := parser.ParseFile(fset, "p.go", head+code, 0)
		require.NoError(t, err)
		_, err = config.Check("p", fset, []*ast.File{file}, nil)
		return err
	}
	for name, code := range map[string]string{
		"a message with its options": `var _, _ = conv.Send(ctx, &RedPacket{}, realtime.WithReceipt(), realtime.WithMention("Tom"), realtime.WithPriority(realtime.PriorityLow))`,
		"mentions of an edit":        `var _, _ = conv.Update(ctx, m, &RedPacket{}, realtime.WithMention("Tom"), realtime.WithMentionAll())`,
		"a switch over contents":     `func f() { switch m.Content.(type) { case *RedPacket, *realtime.TextMessage: } }`,
		"a switch over events":       `func f() { switch e.(type) { case *realtime.MessageEvent, *realtime.CloseEvent: } }`,
		"a code":                     `func f(e *realtime.Error) bool { switch e.Code { case realtime.ErrSilenced: return true }; return false }`,
	} {
		t.Run(name, func(t *testing.T) { require.NoError(t, compile(t, code)) })
	}
	for name, c := range map[string]struct{ code, why string }{
		"a tag of a message":                {`var _, _ = conv.Send(ctx, &RedPacket{}, realtime.WithTag("x"))`, "SendOption"},
		"a receipt of an edit":              {`var _, _ = conv.Update(ctx, m, &RedPacket{}, realtime.WithReceipt())`, "UpdateOption"},
		"an option of a fetch for a client": {`var _ = c.Realtime().NewIMClient("Tom", realtime.WithoutCache())`, "ClientOption"},
		"a number for a priority option":    {`var _, _ = conv.Send(ctx, &RedPacket{}, realtime.PriorityLow)`, "SendOption"},
		"a value as content":                {`var _, _ = conv.Send(ctx, RedPacket{})`, "pointer receiver"},
		"a text as content":                 {`var _, _ = conv.Send(ctx, "hello")`, "Content"},
		"a content without a type":          {`var _ realtime.Content = &Untyped{}`, "missing method Type"},
		"a content that embeds nothing":     {`var _ realtime.Content = &Foreign{}`, "missing method typed"},
		"a case of values of a content":     {`func f() { switch m.Content.(type) { case RedPacket: } }`, "impossible type switch case"},
		"a case of values of an event":      {`func f() { switch e.(type) { case realtime.MessageEvent: } }`, "impossible type switch case"},
		"a handler of another event":        {`func f() { c.OnMessage(func(context.Context, *realtime.InvitedEvent) {}) }`, "cannot use"},
		"an event of another emitter":       {`func f() { c.Realtime().OnMessage(nil) }`, "OnMessage"},
		"an event of one's own":             {`type mine struct{}; var _ realtime.Event = mine{}`, "missing method event"},
		"reading an event of a value":       {`func f() { for ev := range c.Events(ctx) { _ = ev.(realtime.CloseEvent) } }`, "impossible type assertion"},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorContains(t, compile(t, c.code), c.why) })
	}
}
