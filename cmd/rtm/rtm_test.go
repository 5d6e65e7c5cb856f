package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// program is a command that runs as it would in a terminal of its own.
type program struct {
	t         *testing.T
	interrupt context.CancelFunc
	typing    io.WriteCloser
	out, err  *terminal
	done      chan struct{}
	code      int // valid when done is closed
}

// start runs a command line. The test ends it, if nothing else has.
func start(t *testing.T, variables map[string]string, args ...string) *program {
	t.Helper()
	in, typing := io.Pipe()
	ctx, interrupt := context.WithCancel(context.Background())
	p := &program{
		t: t, interrupt: interrupt, typing: typing,
		out: newTerminal(), err: newTerminal(), done: make(chan struct{}),
	}
	env := environment{in: in, out: p.out, err: p.err, lookup: func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}}
	go func() {
		defer close(p.done)
		p.code = run(ctx, args, env)
		_ = in.Close() // whoever types now is told so
	}()
	t.Cleanup(func() {
		interrupt()
		_ = typing.Close()
		p.exitCode()
		if t.Failed() {
			t.Logf("rtm %q\n%s%s", args, p.out, p.err)
		}
	})
	return p
}

// types enters a line.
func (p *program) types(line string) {
	p.t.Helper()
	_, err := io.WriteString(p.typing, line+"\n")
	require.NoError(p.t, err)
}

// exitCode waits for the end.
func (p *program) exitCode() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(patience):
		require.FailNow(p.t, "the command does not end")
		return -1
	}
}

// shows waits until the pattern has appeared on standard output and returns its
// groups.
func (p *program) shows(pattern string) []string {
	p.t.Helper()
	return p.out.waitFor(p.t, pattern)
}

// terminal keeps what was written and lets a test wait for more.
type terminal struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed and replaced with each write
}

func newTerminal() *terminal {
	return &terminal{more: make(chan struct{})}
}

func (o *terminal) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	close(o.more)
	o.more = make(chan struct{})
	return len(b), nil
}

func (o *terminal) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *terminal) waitFor(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	timeout := time.After(patience)
	for {
		o.mu.Lock()
		text, more := o.text.String(), o.more
		o.mu.Unlock()
		if m := re.FindStringSubmatch(text); m != nil {
			return m
		}
		select {
		case <-more:
		case <-timeout:
			require.FailNow(t, "did not appear: "+pattern, "what did:\n%s", text)
		}
	}
}

// keys are those of a server that a test has started.
var keys = map[string]string{
	"RTM_LISTEN": "127.0.0.1:0", "RTM_APP_ID": "test-app", "RTM_APP_KEY": "test-key-of-app", "RTM_MASTER_KEY": "test-master-key",
}

// with returns the keys and more variables.
func with(more ...string) map[string]string {
	variables := map[string]string{}
	for name, value := range keys {
		variables[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		variables[more[i]] = more[i+1]
	}
	return variables
}

// startServer runs rtm serve and returns the URL it says it is ready at.
func startServer(t *testing.T) (*program, string) {
	t.Helper()
	p := start(t, keys, "serve")
	return p, p.err.waitFor(t, `msg=ready url=(\S+) app_id=test-app`)[1]
}

// startChat runs rtm chat until it is connected.
func startChat(t *testing.T, url, as string, args ...string) *program {
	t.Helper()
	p := start(t, with("RTM_SERVER", url, "RTM_AS", as), append([]string{"chat"}, args...)...)
	p.shows("· connected")
	return p
}

func TestTwoTerminals(t *testing.T) {
	server, url := startServer(t)
	tom := startChat(t, url, "Tom", "--with", "Jerry")
	jerry := startChat(t, url, "Jerry", "--with", "Tom")

	tom.types("Jerry, get up!")
	tom.shows(`^\[\d\d:\d\d:\d\d\] Tom: Jerry, get up!$`)
	jerry.shows(`^\[\d\d:\d\d:\d\d\] Tom: Jerry, get up!$`)
	jerry.types("五分钟")
	tom.shows(`^\[\d\d:\d\d:\d\d\] Jerry: 五分钟$`)
	jerry.types("//me yawns")
	tom.shows(`^\[\d\d:\d\d:\d\d\] Jerry: /me yawns$`)
	jerry.types("evil \x1b[2J\u202Eclears")
	tom.shows("^.* Jerry: evil \uFFFD\\[2J\uFFFDclears$")

	jerry.types("/quit")
	assert.Equal(t, exitOK, jerry.exitCode())
	assert.NotContains(t, tom.out.String(), "Jerry: /quit", "a command is not sent")

	// Who comes later finds what was said, once.
	jerry = startChat(t, url, "Jerry", "--with", "Tom")
	jerry.shows(`(?s)Tom: Jerry, get up!.*Jerry: 五分钟.*· connected`)
	assert.Equal(t, 1, strings.Count(jerry.out.String(), "get up!"))
	// Unless nothing is asked for.
	quiet := startChat(t, url, "Jerry", "--with", "Tom", "--history", "0")
	assert.NotContains(t, quiet.out.String(), "get up!")

	// The end of the input ends a chat, and so does an interrupt.
	require.NoError(t, quiet.typing.Close())
	assert.Equal(t, exitOK, quiet.exitCode())
	tom.interrupt()
	assert.Equal(t, exitOK, tom.exitCode())

	// A server that ends is a lost connection, no failure of the chat.
	server.interrupt()
	assert.Equal(t, exitOK, server.exitCode())
	assert.Contains(t, server.err.String(), "msg=stopped")
	jerry.shows(`^· connection lost$`)
	jerry.shows(`^· trying again in `)
	jerry.types("are you there?")
	jerry.shows(`^· not done: send: `)
	jerry.types("/quit")
	assert.Equal(t, exitOK, jerry.exitCode())
}

func TestComingsAndGoings(t *testing.T) {
	_, url := startServer(t)
	tom := startChat(t, url, "Tom", "--with", "Jerry")
	id := tom.shows(`^· conversation (\w+): `)[1]
	jerry := startChat(t, url, "Jerry", "--with", "Tom")
	require.Equal(t, id, jerry.shows(`^· conversation (\w+): `)[1], "the same people, the same conversation")

	tom.types("/who")
	tom.shows(`^· members: .*Tom \(online\)`)
	tom.types("/add Mary")
	jerry.shows(`^· Mary has joined, by Tom$`)
	tom.types("/who")
	tom.shows(`^· members: .*Mary(,|$)`)

	mary := startChat(t, url, "Mary", "--conversation", id)
	mary.types("Hello, I am Mary.")
	jerry.shows(`Mary: Hello, I am Mary\.$`)
	tom.types("/remove Mary")
	mary.shows(`^· you are out, by Tom$`)
	jerry.shows(`^· Mary has left, by Tom$`)

	// By its id, anybody may join.
	startChat(t, url, "William", "--conversation", id)
	tom.shows(`^· William has joined$`)

	// What happens elsewhere says where.
	other := startChat(t, url, "Mary", "--with", "Tom")
	elsewhere := other.shows(`^· conversation (\w+): `)[1]
	tom.shows(`^· \[` + elsewhere + `\] you have joined, by Mary$`)
	other.types("psst")
	tom.shows(`^\[` + elsewhere + `\] \[\d\d:\d\d:\d\d\] Mary: psst$`)

	for _, line := range []string{"/add", "/remove", "/dance"} {
		tom.types(line)
		tom.shows(`^· not done: .*` + line)
	}
	tom.types("/help")
	tom.shows(`^  /quit `)
}

// The command lines that serve prints work as they are printed.
func TestMadeUpKeys(t *testing.T) {
	server := start(t, nil, "serve", "--listen", "127.0.0.1:0")
	server.err.waitFor(t, "msg=ready")
	out := server.out.String()
	made := regexp.MustCompile(`(?m)^(?:app-id|app-key|master-key) +(\S+)$`).FindAllStringSubmatch(out, -1)
	require.Len(t, made, 3, out)
	lines := regexp.MustCompile(`(?m)^  rtm (chat .*)$`).FindAllStringSubmatch(out, -1)
	require.Len(t, lines, 2, out)
	tom := start(t, nil, strings.Fields(lines[0][1])...)
	tom.shows("· connected")
	jerry := start(t, nil, strings.Fields(lines[1][1])...)
	jerry.shows("· connected")
	jerry.types("it works")
	tom.shows("Jerry: it works$")
	assert.NotContains(t, server.err.String(), made[1][1], "keys are printed, not logged")
	assert.NotContains(t, server.err.String(), made[2][1], "keys are printed, not logged")
}

func TestGivenKeysAreNotShown(t *testing.T) {
	server, url := startServer(t)
	tom := startChat(t, url, "Tom", "--with", "Jerry", "--verbose")
	tom.types("/quit")
	require.Equal(t, exitOK, tom.exitCode())
	server.interrupt()
	require.Equal(t, exitOK, server.exitCode())
	for _, output := range []*terminal{server.out, server.err, tom.out, tom.err} {
		assert.NotContains(t, output.String(), keys["RTM_APP_KEY"])
		assert.NotContains(t, output.String(), keys["RTM_MASTER_KEY"])
	}
}

func TestUsageErrors(t *testing.T) {
	for _, test := range []struct {
		name      string
		args      string
		variables map[string]string
		says      string
	}{
		{"no such command", "dance", nil, `there is no command "dance"`},
		{"no such flag", "serve --dance", nil, "--dance"},
		{"an argument", "serve now", nil, `serve takes no arguments`},
		{"negative grace", "serve --grace -1s", nil, "--grace -1s"},
		{"bad variable", "serve", with("RTM_GRACE", "soon"), "RTM_GRACE"},
		{"no app", "chat --as Tom --with Jerry", nil, "--app-id (or RTM_APP_ID) is required"},
		{"no key", "chat --app-id x --as Tom --with Jerry", nil, "--app-key (or RTM_APP_KEY) is required"},
		{"nobody", "chat --with Jerry", keys, "--as (or RTM_AS) is required"},
		{"alone", "chat --as Tom", keys, "--with or --conversation is required"},
		{"both", "chat --as Tom --with Jerry --conversation x", keys, "exclude each other"},
		{"empty name", "chat --as Tom --with Jerry,", keys, "--with has an empty name"},
		{"history below", "chat --as Tom --with Jerry --history -1", keys, "--history -1"},
		{"history above", "chat --as Tom --with Jerry --history 1001", keys, "--history 1001"},
		{"history no number", "chat --as Tom --with Jerry --history all", keys, "--history"},
		{"bad server", "chat --as Tom --with Jerry --server http://[", keys, "erver"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.variables, strings.Fields(test.args)...)
			assert.Equal(t, exitUsage, p.exitCode())
			assert.Contains(t, p.err.String(), test.says)
			assert.Regexp(t, `Run 'rtm.* --help' for usage`, p.err.String())
			assert.Empty(t, p.out.String())
		})
	}
}

func TestFailures(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := taken.Addr().String()

	serve := start(t, keys, "serve", "--listen", address)
	assert.Equal(t, exitFailure, serve.exitCode())
	assert.Contains(t, serve.err.String(), "listen on "+address)
	assert.NotContains(t, serve.err.String(), "msg=ready")

	require.NoError(t, taken.Close())
	chat := start(t, keys, "chat", "--server", "http://"+address, "--as", "Tom", "--with", "Jerry")
	assert.Equal(t, exitUnreachable, chat.exitCode())
	assert.Contains(t, chat.err.String(), "log in to http://"+address+" as Tom")

	_, url := startServer(t)
	chat = start(t, with("RTM_SERVER", url), "chat", "--as", "Tom", "--conversation", "5a5a5a5a5a5a5a5a5a5a5a5a")
	assert.Equal(t, exitRefused, chat.exitCode())
	assert.Contains(t, chat.err.String(), "find conversation 5a5a5a5a5a5a5a5a5a5a5a5a")
}

func TestAFlagWinsOverItsVariable(t *testing.T) {
	p := start(t, with("RTM_LISTEN", "256.0.0.1:0"), "serve", "--listen", "127.0.0.1:0", "--app-id", "from-the-flag")
	p.err.waitFor(t, `msg=ready url=http://127\.0\.0\.1:\d+ app_id=from-the-flag`)
}

func TestHelp(t *testing.T) {
	for args, says := range map[string][]string{
		"":             {"serve", "chat", "RTM_APP_ID", "Examples:"},
		"--help":       {"serve", "chat", "RTM_APP_ID", "Examples:"},
		"serve --help": {"Examples:", "--listen", "127.0.0.1:7788", "--master-key", "in memory"},
		"chat --help":  {"Examples:", "--with", "--history", "/quit", "/who"},
		"help chat":    {"Examples:", "--with"},
		"--version":    {"rtm version"},
	} {
		t.Run(args, func(t *testing.T) {
			p := start(t, nil, strings.Fields(args)...)
			assert.Equal(t, exitOK, p.exitCode())
			assert.Empty(t, p.err.String())
			for _, s := range says {
				assert.Contains(t, p.out.String(), s)
			}
		})
	}
}

// A grace period of nothing ends the server at once, which is no failure.
func TestNoGrace(t *testing.T) {
	server := start(t, keys, "serve", "--grace", "0s")
	url := server.err.waitFor(t, `msg=ready url=(\S+)`)[1]
	tom := startChat(t, url, "Tom", "--with", "Jerry")
	server.interrupt()
	assert.Equal(t, exitOK, server.exitCode())
	assert.Contains(t, server.err.String(), "cut off")
	tom.shows("· connection lost")
}

// Everything a flag can say, a variable can.
func TestEveryFlagHasAVariable(t *testing.T) {
	p := start(t, with("RTM_VERBOSE", "true", "RTM_GRACE", "3s"), "serve")
	p.err.waitFor(t, "msg=ready")
	p.interrupt()
	require.Equal(t, exitOK, p.exitCode())
	assert.Contains(t, p.err.String(), "grace=3s")

	_, url := startServer(t)
	chat := start(t, with("RTM_SERVER", url, "RTM_AS", "Tom", "RTM_WITH", "Jerry,Mary", "RTM_HISTORY", "5"), "chat")
	members := chat.shows(`^· conversation \w+: (.*)$`)[1]
	assert.ElementsMatch(t, []string{"Tom", "Jerry", "Mary"}, strings.Split(members, ", "))
}

// The command lines of the pages, and of the help itself, are understood.
func TestDocumentedCommandLines(t *testing.T) {
	texts := map[string]string{}
	for _, page := range []string{"../../README.md", "../../README.zh-CN.md", "../../docs/guide.zh-CN.md", "../../docs/performance.md", "main.go"} {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		texts[page] = string(text)
	}
	var gather func(cmd *cobra.Command)
	gather = func(cmd *cobra.Command) {
		texts[cmd.CommandPath()+" --help"] = cmd.Example
		for _, sub := range cmd.Commands() {
			gather(sub)
		}
	}
	gather(newRootCommand(environment{}))
	// Two blanks after the name of the command: that is a list of commands.
	lines := regexp.MustCompile(`(?m)^(?:\s|//\t)*(?:(?:RTM_|echo |tail ).*?)?(?:go run \./cmd/rtm|rtm) ([a-z]+(?: \S.*)?)$`)
	for name, text := range texts {
		found := lines.FindAllStringSubmatch(text, -1)
		require.NotEmpty(t, found, name)
		for _, line := range found {
			cmd, args, err := newRootCommand(environment{}).Find(words(line[1]))
			require.NoError(t, err, "%s: %s", name, line[0])
			require.True(t, cmd.HasParent(), "%s: %s", name, line[0])
			assert.NoError(t, cmd.ParseFlags(args), "%s: %s", name, line[0])
			if cmd.Args != nil {
				assert.Empty(t, cmd.Flags().Args(), "%s: %s", name, line[0])
			}
		}
	}
}

// words splits a command line as a shell does, up to a comment or a redirection.
func words(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		switch m[3] {
		case "#", "|", "<", ">", "&":
			return out
		}
		out = append(out, m[1]+m[2]+m[3])
	}
	return out
}
