package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// do runs a command line to its end and returns what it printed. Standard input
// is empty.
func do(t *testing.T, variables map[string]string, args ...string) (out string) {
	t.Helper()
	p := start(t, variables, args...)
	require.NoError(t, p.typing.Close())
	require.Equal(t, exitOK, p.exitCode(), "%q: %s", args, p.err)
	return p.out.String()
}

// pipe does the same with this standard input.
func pipe(t *testing.T, variables map[string]string, in string, args ...string) (out string) {
	t.Helper()
	p := start(t, variables, args...)
	_, err := p.typing.Write([]byte(in))
	require.NoError(t, err)
	require.NoError(t, p.typing.Close())
	require.Equal(t, exitOK, p.exitCode(), "%q: %s", args, p.err)
	return p.out.String()
}

// line is the only line that was printed.
func line(t *testing.T, out string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(out, "\n"), out)
	return strings.TrimSpace(out)
}

// decode reads the JSON lines that were printed.
func decode(t *testing.T, out string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for text := range strings.Lines(out) {
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &v), text)
		all = append(all, v)
	}
	return all
}

func TestSendAndTail(t *testing.T) {
	_, url := startServer(t)
	server := with("RTM_SERVER", url)
	id := line(t, do(t, server, "conv", "create", "--members", "Tom,Jerry", "--name", "Cat and mouse"))
	jerry := start(t, server, "tail", "--as", "Jerry")
	jerry.shows("^· listening$")
	lines := start(t, server, "tail", "--as", "Jerry", "--conversation", id, "--json", "--count", "4")
	lines.shows(`"event":"listening"`)

	sent := decode(t, do(t, server, "send", "--json", "--as", "Tom", "--with", "Jerry", "Jerry,", "get <up>!"))[0]
	assert.Equal(t, id, sent["conversation_id"], "the conversation of these people")
	assert.Equal(t, "Tom", sent["from"])
	assert.Equal(t, "Jerry, get <up>!", sent["text"])
	assert.EqualValues(t, -1, sent["type"])
	jerry.shows(`^\[` + id + `\] \[\d\d:\d\d:\d\d\] Tom: Jerry, get <up>!$`)
	jerry.shows(`^· \[` + id + `\] unread messages count update count=1`)

	pipe(t, server, `{"_lctype":7,"gold":100}`+"\n", "send", "--as", "Tom", "--conversation", id, "--raw")
	pipe(t, server, "\x00\xff\n", "send", "--as", "Tom", "--conversation", id, "--binary")
	jerry.shows(`Tom: \(3 bytes\)$`)
	rest := line(t, do(t, server, "send", "--rest", "--as", "GM", "--conversation", id, "--mention", "Jerry", "over \x1b[2J REST"))
	jerry.shows("GM: over \uFFFD\\[2J REST$")

	require.Equal(t, exitOK, lines.exitCode(), "it ends after four messages")
	var messages []map[string]any
	for _, e := range decode(t, lines.out.String()) {
		if e["event"] == "message" {
			assert.Equal(t, id, e["conversation_id"])
			assert.NotEmpty(t, e["heard_at"])
			messages = append(messages, e["message"].(map[string]any))
		}
	}
	require.Len(t, messages, 4)
	assert.Equal(t, sent["id"], messages[0]["id"])
	assert.Equal(t, map[string]any{"_lctype": 7., "gold": 100.}, messages[1]["content"])
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte("\x00\xff\n")), messages[2]["binary"])
	assert.Equal(t, rest, messages[3]["id"])
	assert.Equal(t, []any{"Jerry"}, messages[3]["mention"])

	// What was said before can be shown as well.
	again := do(t, server, "tail", "--as", "Tom", "--with", "Jerry", "--history", "10", "--count", "4")
	assert.Equal(t, 4, strings.Count(again, "\n"), again)
	assert.Regexp(t, `(?s)get <up>!.*gold.*\(3 bytes\).*REST`, again)

	jerry.interrupt()
	assert.Equal(t, exitOK, jerry.exitCode(), "an interrupt is how tail ends")
	assert.Empty(t, jerry.err.String())
}

func TestSendLines(t *testing.T) {
	_, url := startServer(t)
	server := with("RTM_SERVER", url)
	for _, how := range []string{"--lines", "--lines --rest --quota production"} {
		args := append([]string{"send", "--as", "Log", "--with", "Tom"}, strings.Fields(how)...)
		out := pipe(t, server, "one\n\ntwo\nthree\n", args...)
		assert.Equal(t, 3, strings.Count(out, "\n"), out)
	}
	said := do(t, server, "tail", "--as", "Tom", "--with", "Log", "--history", "10", "--count", "6")
	assert.Regexp(t, `(?s)one.*two.*three.*one.*two.*three`, said)
}

func TestTailSurvivesTheServer(t *testing.T) {
	server, url := startServer(t)
	variables := with("RTM_SERVER", url)
	tom := start(t, variables, "tail", "--as", "Tom", "--json")
	tom.shows(`"event":"listening"`)
	server.interrupt()
	require.Equal(t, exitOK, server.exitCode())
	tom.shows(`"event":"disconnect"`)
	tom.shows(`"delay":"[^"]+".*"event":"schedule"`)

	again := start(t, with("RTM_LISTEN", strings.TrimPrefix(url, "http://")), "serve")
	again.err.waitFor(t, "msg=ready")
	tom.shows(`"event":"reconnect"`)
	do(t, variables, "send", "--as", "Jerry", "--with", "Tom", "back again")
	tom.shows(`"event":"message".*"text":"back again"`)
}

func TestChatRoomsAndServices(t *testing.T) {
	_, url := startServer(t)
	server := with("RTM_SERVER", url)
	room := line(t, do(t, server, "conv", "create", "--kind", "room", "--name", "world", "--attributes", `{"map":"forest"}`))
	gm := decode(t, do(t, server, "conv", "create", "--kind", "service", "--name", "GM", "--json"))[0]["id"].(string)

	tom := start(t, server, "tail", "--as", "Tom", "--conversation", room, "--join")
	tom.shows("listening")
	do(t, server, "send", "--rest", "--as", "GM", "--conversation", room, "--priority", "high", "welcome")
	tom.shows("GM: welcome$")
	do(t, server, "send", "--as", "Jerry", "--conversation", room, "--join", "--priority", "low", "hi")
	tom.shows("Jerry: hi$")
	assert.Contains(t, do(t, server, "conv", "members", room), "Tom\n")

	all := start(t, server, "tail", "--as", "Mary")
	all.shows("listening")
	assert.Equal(t, "Jerry\n", do(t, server, "conv", "members", gm, "--add", "Jerry,Spike", "--remove", "Spike"))
	jerry := start(t, server, "tail", "--as", "Jerry")
	jerry.shows("listening")
	do(t, server, "send", "--rest", "--as", "GM", "--conversation", gm, "--to", "Jerry", "only you")
	jerry.shows("GM: only you$")
	do(t, server, "broadcast", "--service", gm, "--as", "GM", "for subscribers")
	jerry.shows("GM: for subscribers$")
	cast := decode(t, do(t, server, "broadcast", "--service", gm, "--as", "GM", "--all", "--valid-for", "1h", "--json", "for everybody"))[0]
	assert.Equal(t, gm, cast["conversation_id"])
	jerry.shows("GM: for everybody$")
	all.shows("GM: for everybody$")
	assert.NotContains(t, all.out.String(), "for subscribers")
	pipe(t, server, "\x01\x02", "broadcast", "--service", gm, "--as", "GM", "--all", "--transient", "--binary")
	all.shows(`GM: \(2 bytes\)$`)

	list := do(t, server, "conv", "list")
	assert.Regexp(t, `(?m)^`+room+`\troom\tworld\t-$`, list)
	assert.Regexp(t, `(?m)^`+gm+`\tservice\tGM\t-$`, list)
	assert.Equal(t, 1, strings.Count(do(t, server, "conv", "list", "--limit", "1"), "\n"))
	rooms := decode(t, do(t, server, "conv", "list", "--kind", "room", "--json", "--where", `{"map":"forest"}`))
	require.Len(t, rooms, 1)
	assert.Equal(t, room, rooms[0]["id"])
	assert.Equal(t, map[string]any{"map": "forest"}, rooms[0]["attributes"])
	shown := do(t, server, "conv", "show", room)
	assert.Regexp(t, `(?m)^kind +room$`, shown)
	assert.Regexp(t, `(?m)^attributes +\{"map":"forest"\}$`, shown)
	assert.Equal(t, rooms, decode(t, do(t, server, "conv", "show", "--json", room)))
}

func TestMembers(t *testing.T) {
	_, url := startServer(t)
	server := with("RTM_SERVER", url)
	id := line(t, do(t, server, "conv", "create", "--members", "Tom,Jerry"))
	assert.Equal(t, id, line(t, do(t, server, "conv", "create", "--members", "Jerry,Tom")), "the same people, the same conversation")
	assert.NotEqual(t, id, line(t, do(t, server, "conv", "create", "--members", "Jerry,Tom", "--not-unique")))
	out := decode(t, do(t, server, "conv", "members", id, "--json", "--add", "Mary", "--remove", "Tom"))
	assert.ElementsMatch(t, []map[string]any{{"client": "Jerry"}, {"client": "Mary"}}, out)
}

func TestOnlineAndKick(t *testing.T) {
	_, url := startServer(t)
	server := with("RTM_SERVER", url)
	spike := start(t, server, "tail", "--as", "Spike")
	spike.shows("listening")
	assert.Equal(t, "Spike\n", do(t, server, "online", "Tom", "Spike"))
	assert.Equal(t, []map[string]any{{"client": "Tom", "online": false}, {"client": "Spike", "online": true}},
		decode(t, do(t, server, "online", "--json", "Tom", "Spike")))
	assert.Equal(t, "1 online, 1 today\n", do(t, server, "online"))
	assert.Equal(t, []map[string]any{{"online": 1., "today": 1.}}, decode(t, do(t, server, "online", "--json")))

	assert.Equal(t, "kicked Spike\n", do(t, server, "kick", "--reason", "be nice", "Spike"))
	assert.Equal(t, exitRefused, spike.exitCode())
	assert.Contains(t, spike.err.String(), "the server has ended the session")
	assert.Regexp(t, "(?m)^· close .*be nice", spike.out.String())
	assert.Empty(t, do(t, server, "online", "Spike"))
}

func TestExportCommand(t *testing.T) {
	t.Parallel() // an export waits until the messages of now are settled
	_, url := startServer(t)
	server := with("RTM_SERVER", url, "RTM_DIR", filepath.Join(t.TempDir(), "backup"))
	pipe(t, server, strings.Repeat("hello\n", 30), "send", "--rest", "--lines", "--as", "Tom", "--with", "Jerry")
	p := start(t, server, "export", "--verbose")
	require.Equal(t, exitOK, p.exitCode(), p.err)
	assert.Regexp(t, `^1 conversations, 0 chat rooms, .* 30 messages, 0 broadcasts, as of \d{4}-`, p.out.String())
	assert.Regexp(t, `(?m)^messages: 30 `, p.err.String())
	assert.NotContains(t, p.err.String()+p.out.String(), keys["RTM_MASTER_KEY"])

	check := start(t, server, "export", "--verify")
	require.Equal(t, exitOK, check.exitCode(), check.err)
	assert.Contains(t, check.out.String(), "30 messages compared in full, 0 of them edited since; 0 differences")
	report := decode(t, do(t, server, "export", "--verify", "--json", "--sample", "7"))[0]
	assert.Equal(t, true, report["ok"])
	assert.EqualValues(t, 7, report["sampled"])

	// Something is wrong with it: that is a code of its own.
	name := filepath.Join(server["RTM_DIR"], "messages.jsonl")
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(name, text[strings.Index(string(text), "\n")+1:], 0o600))
	bad := start(t, server, "export", "--verify")
	assert.Equal(t, exitIncomplete, bad.exitCode())
	assert.Contains(t, bad.out.String(), "missing in the export")
	assert.Contains(t, bad.err.String(), "differs from its source")
}

func TestExportInterrupted(t *testing.T) {
	t.Parallel() // an export waits until the messages of now are settled
	_, url := startServer(t)
	target, err := neturl.Parse(url)
	require.NoError(t, err)
	// The messages are not answered while the gate is shut.
	asked, gate := make(chan struct{}, 1), make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(target)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/rtm/messages") {
			select {
			case asked <- struct{}{}:
			default:
			}
			select {
			case <-gate:
			case <-r.Context().Done():
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	defer web.Close()
	server := with("RTM_SERVER", web.URL, "RTM_DIR", t.TempDir())
	pipe(t, with("RTM_SERVER", url), strings.Repeat("hello\n", 3), "send", "--rest", "--lines", "--as", "Tom", "--with", "Jerry")
	p := start(t, server, "export")
	p.err.waitFor(t, "^conversations: 1")
	<-asked
	p.interrupt()
	assert.Equal(t, exitInterrupted, p.exitCode())
	assert.Contains(t, p.err.String(), "the same command goes on with it")
	close(gate)
	p = start(t, server, "export")
	require.Equal(t, exitOK, p.exitCode(), p.err)
	assert.NotContains(t, p.err.String(), "conversations: 1", "they are there already")
	assert.Contains(t, p.out.String(), "3 messages")
}

// What serve makes up is a configuration file of its own.
func TestServeJSON(t *testing.T) {
	server := start(t, nil, "serve", "--json", "--listen", "127.0.0.1:0")
	server.err.waitFor(t, `^\{.*"msg":"ready"`)
	made := decode(t, server.out.String())[0]
	require.Len(t, made, 4)
	name := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(name, []byte(server.out.String()), 0o600))
	assert.Equal(t, "0 online, 0 today\n", do(t, nil, "--config", name, "online"))
	line(t, do(t, nil, "--config", name, "send", "--as", "Tom", "--with", "Jerry", "it works"))
	assert.NotContains(t, server.err.String(), made["master-key"])
}

// Every way to fail has its exit code.
func TestExitCodes(t *testing.T) {
	t.Parallel() // some commands try for a while
	_, url := startServer(t)
	server := with("RTM_SERVER", url)
	nobody := with("RTM_SERVER", "http://127.0.0.1:1")
	wrong := with("RTM_SERVER", url, "RTM_MASTER_KEY", "wrong-key-of-mine", "RTM_APP_KEY", "wrong-key-of-mine")
	dir := t.TempDir()
	for _, test := range []struct {
		args      string
		variables map[string]string
		code      int
		says      string
	}{
		{"conv show 5a5a5a5a5a5a5a5a5a5a5a5a", server, exitRefused, "CONVERSATION_NOT_FOUND"},
		{"online", wrong, exitRefused, "401"},
		{"send --rest --as Tom --with Jerry hello", wrong, exitRefused, "401"},
		{"export --dir " + dir, wrong, exitRefused, "401"},
		{"kick Tom", nobody, exitUnreachable, "refused"},
		{"send --as Tom --with Jerry hello", nobody, exitUnreachable, "refused"},
		{"export --patience 1ms --dir " + dir, nobody, exitUnreachable, "refused"},
		{"tail --as Tom", nobody, exitUnreachable, "refused"},
		{"export --verify --dir " + dir, server, exitFailure, "manifest.json"},
		{"broadcast --service 5a --as GM hello", server, exitRefused, "broadcast: "},
	} {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			p := start(t, test.variables, strings.Fields(test.args)...)
			require.NoError(t, p.typing.Close())
			assert.Equal(t, test.code, p.exitCode(), p.err)
			assert.Contains(t, p.err.String(), test.says)
			assert.NotContains(t, p.err.String(), test.variables["RTM_MASTER_KEY"])
			assert.Empty(t, p.out.String())
		})
	}

	t.Run("interrupted", func(t *testing.T) {
		p := start(t, server, "send", "--as", "Tom", "--with", "Jerry") // waits for its input
		p.interrupt()
		assert.Equal(t, exitInterrupted, p.exitCode())
	})
}

func TestUsageErrorsOfCommands(t *testing.T) {
	for args, says := range map[string]string{
		"send --as Tom hello":                                         "say where to",
		"send --as Tom --with Jerry --conversation x hello":           "exclude each other",
		"send --with Jerry hello":                                     "--as (or RTM_AS) is required",
		"send --as Tom --with Jerry":                                  "nothing to send",
		"send --as Tom --with Jerry --raw --binary":                   "exclude each other",
		"send --as Tom --with Jerry --binary hello":                   "takes no text",
		"send --as Tom --with Jerry --push-data {":                    "--push-data",
		"send --as Tom --with Jerry --priority urgent hello":          "--priority",
		"send --as Tom --with Jerry --lines hello":                    "--lines",
		"send --as Tom --with Jerry --to Jerry hello":                 "--to needs --rest",
		"send --rest --as Tom --with Jerry --receipt hello":           "--receipt",
		"send --rest --quota big --as Tom --with Jerry hello":         "--quota",
		"send --as Tom --with Jerry, hello":                           "empty name",
		"tail":                                                        "--as (or RTM_AS) is required",
		"tail --as Tom --with Jerry --conversation x":                 "exclude each other",
		"tail --as Tom --history 5":                                   "need --conversation",
		"tail --as Tom --with Jerry --history 1001":                   "--history 1001",
		"tail --as Tom --count -1":                                    "--count -1",
		"tail Tom":                                                    "takes no arguments",
		"broadcast --as GM hello":                                     "--service (or RTM_SERVICE) is required",
		"broadcast --as GM --service x --valid-for 1h hello":          "needs --all",
		"broadcast --as GM --service x --all --valid-for 1000h hello": "--valid-for",
		"conv dance":                            `there is no command "dance"`,
		"conv show":                             "id of one",
		"conv members a b":                      "id of one",
		"conv list --where {":                   "--where",
		"conv list --kind big":                  "--kind",
		"conv list --limit -1":                  "--limit",
		"conv create --kind big":                "--kind",
		"conv create --kind room --members Tom": "--members",
		"conv create --attributes []":           "--attributes",
		"kick":                                  "whom",
		"kick Tom --reason far-too-long-a-reason-to-say": "--reason",
		"export":                                               "--dir (or RTM_DIR) is required",
		"export --dir x --parallel 0":                          "--parallel 0",
		"export --dir x --since yesterday":                     "--since",
		"export --dir x --quota big":                           "--quota",
		"export --dir x --rate -1":                             "--rate",
		"export --dir x --sample -1":                           "--sample",
		"export --dir x --patience 0s":                         "--patience",
		"export --dir x --since 2025-02-01 --until 2025-01-01": "before it begins",
	} {
		t.Run(args, func(t *testing.T) {
			p := start(t, keys, strings.Fields(args)...)
			require.NoError(t, p.typing.Close())
			assert.Equal(t, exitUsage, p.exitCode())
			assert.Contains(t, p.err.String(), says)
			assert.Empty(t, p.out.String())
		})
	}
	for _, args := range []string{"online", "kick Tom", "conv list", "export --dir x", "send --as Tom --with Jerry x", "broadcast --as x --service x x"} {
		p := start(t, map[string]string{"RTM_APP_ID": "x"}, strings.Fields(args)...)
		require.NoError(t, p.typing.Close())
		assert.Equal(t, exitUsage, p.exitCode())
		assert.Regexp(t, `--(app|master)-key \(or RTM_(APP|MASTER)_KEY\) is required`, p.err.String())
	}
	for _, args := range []string{"--config /does/not/exist online", "--config " + t.TempDir() + " online"} {
		p := start(t, keys, strings.Fields(args)...)
		assert.Equal(t, exitUsage, p.exitCode(), fmt.Sprint(p.err))
	}
}
