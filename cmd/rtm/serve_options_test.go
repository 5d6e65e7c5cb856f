package main

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server"
)

// serveOptions are the flags of the fields of server.Options, and why some have
// none. Limits have the flags that their names say.
func serveOptions() (flags, without map[string]string) {
	return map[string]string{
			"Hooks": "hooks", "HookTimeout": "hook-timeout", "HookFailure": "hooks-must-answer",
			"Logger": "verbose", "Observer": "metrics", "FilesDir": "files", "MaxFileSize": "max-file-size",
			"SocketURL": "socket-url", "PublicURL": "public-url", "RouteTTL": "route-ttl", "Origins": "origins",
			"TokenKey": "token-key", "OldTokenKeys": "old-token-key", "TokenTTL": "token-ttl",
			"ReadTimeout": "read-timeout", "LoginTimeout": "login-timeout", "FrameTimeout": "frame-timeout",
			"RequestTimeout": "request-timeout", "RoomRejoin": "room-rejoin",
			"MaxFrame": "max-frame", "QueueBytes": "queue-bytes", "QueueFrames": "queue-frames",
			"App.ID": "app-id", "App.Key": "app-key", "App.MasterKey": "master-key",
			"App.VerifyLogin": "verify", "App.VerifyConversation": "verify", "App.VerifyBlacklist": "verify", "App.VerifyHistory": "verify",
			"App.DisableRoles": "without", "App.DisableBlacklist": "without", "App.DisableEdit": "without", "App.DisableRecall": "without",
		}, map[string]string{
			"Apps":   "the command serves one app, whose fields have flags",
			"Limits": "its fields have flags",
			"Store":  "there is none but the one in memory",
			"Users":  "a function of the program; the command has no user system to ask",
		}
}

// flagOfLimit is the flag of a field of Limits: RESTSendRate has
// limit-rest-send-rate.
func flagOfLimit(field string) string {
	words := regexp.MustCompile(`([a-z])([A-Z])|([A-Z])([A-Z][a-z])`).ReplaceAllString(field, "$1$3-$2$4")
	return limitPrefix + strings.ToLower(words)
}

func serveFlagSet() *pflag.FlagSet { return newServeCommand(environment{}).Flags() }

// Every option of the server can be set where the server is a command, or there is
// a reason why not; and a flag does not stand there for nothing.
func TestServeHasAFlagForEveryOption(t *testing.T) {
	flags, without := serveOptions()
	have := serveFlagSet()
	look := func(prefix string, of reflect.Type) {
		for i := range of.NumField() {
			name := prefix + of.Field(i).Name
			flag := flags[name]
			if flag == "" {
				assert.NotEmpty(t, without[name], "%s has no flag and no reason", name)
				continue
			}
			assert.NotNil(t, have.Lookup(flag), "%s: there is no --%s", name, flag)
			assert.Empty(t, without[name], name)
			delete(flags, name)
		}
	}
	look("", reflect.TypeFor[server.Options]())
	look("App.", reflect.TypeFor[server.App]())
	assert.Empty(t, flags, "there are no such options")
	limits := reflect.TypeFor[server.Limits]()
	known := make(map[string]bool)
	for i := range limits.NumField() {
		flag := flagOfLimit(limits.Field(i).Name)
		assert.NotNil(t, have.Lookup(flag), "there is no --%s", flag)
		known[flag] = true
	}
	have.VisitAll(func(f *pflag.Flag) {
		assert.True(t, !strings.HasPrefix(f.Name, limitPrefix) || known[f.Name], "--%s limits nothing", f.Name)
	})
}

// buildOptions are the options of a command line.
func buildOptions(t *testing.T, args ...string) server.Options {
	t.Helper()
	var f optionFlags
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.flags(flags)
	require.NoError(t, flags.Parse(args))
	o, err := f.build(server.App{ID: "app", MasterKey: "master"})
	require.NoError(t, err)
	return o
}

// Each flag reaches its own field and no other.
func TestServeFlagsReachTheirFields(t *testing.T) {
	limits := reflect.TypeFor[server.Limits]()
	for i := range limits.NumField() {
		name := limits.Field(i).Name
		o := buildOptions(t, "--"+flagOfLimit(name)+"=7")
		want := server.Limits{}.WithDefaults()
		reflect.ValueOf(&want).Elem().Field(i).SetInt(7)
		assert.Equal(t, want, o.Limits, name)
	}
	usual := buildOptions(t)
	for flag, set := range map[string]struct {
		value  string
		change func(o *server.Options)
	}{
		"route-ttl":       {"7s", func(o *server.Options) { o.RouteTTL = 7 * time.Second }},
		"token-ttl":       {"7s", func(o *server.Options) { o.TokenTTL = 7 * time.Second }},
		"read-timeout":    {"7s", func(o *server.Options) { o.ReadTimeout = 7 * time.Second }},
		"login-timeout":   {"7s", func(o *server.Options) { o.LoginTimeout = 7 * time.Second }},
		"frame-timeout":   {"-1s", func(o *server.Options) { o.FrameTimeout = -time.Second }},
		"request-timeout": {"7s", func(o *server.Options) { o.RequestTimeout = 7 * time.Second }},
		"room-rejoin":     {"7s", func(o *server.Options) { o.RoomRejoin = 7 * time.Second }},
		"max-frame":       {"99999", func(o *server.Options) { o.MaxFrame = 99999 }},
		"queue-bytes":     {"7", func(o *server.Options) { o.QueueBytes = 7 }},
		"queue-frames":    {"7", func(o *server.Options) { o.QueueFrames = 7 }},
		"max-file-size":   {"7", func(o *server.Options) { o.MaxFileSize = 7 }},
		"socket-url":      {"wss://x/", func(o *server.Options) { o.SocketURL = "wss://x/" }},
		"public-url":      {"https://x", func(o *server.Options) { o.PublicURL = "https://x" }},
		"origins":         {"https://x,*.y", func(o *server.Options) { o.Origins = []string{"https://x", "*.y"} }},
		"token-key":       {"0123456789abcdef", func(o *server.Options) { o.TokenKey = []byte("0123456789abcdef") }},
		"old-token-key":   {`a,"b`, func(o *server.Options) { o.OldTokenKeys = [][]byte{[]byte(`a,"b`)} }},
		"verify": {"login,conversation", func(o *server.Options) {
			o.Apps = []server.App{{ID: "app", MasterKey: "master", VerifyLogin: true, VerifyConversation: true}}
		}},
		"without": {"edit,roles", func(o *server.Options) {
			o.Apps = []server.App{{ID: "app", MasterKey: "master", DisableEdit: true, DisableRoles: true}}
		}},
	} {
		want := usual
		set.change(&want)
		assert.Equal(t, want, buildOptions(t, "--"+flag+"="+set.value), flag)
		assert.NotEqual(t, want, usual, flag)
	}
	all := buildOptions(t, "--verify=login,conversation,blacklist,history", "--without=roles,blacklist,edit,recall").Apps[0]
	assert.Equal(t, server.App{
		ID: "app", MasterKey: "master", VerifyLogin: true, VerifyConversation: true, VerifyBlacklist: true, VerifyHistory: true,
		DisableRoles: true, DisableBlacklist: true, DisableEdit: true, DisableRecall: true,
	}, all)
}

// What the help says is the default is what is documented, and the server has.
func TestServeDefaultsAreTheDocumentedOnes(t *testing.T) {
	flags, _ := serveOptions()
	text, err := os.ReadFile("../../docs/security.md")
	require.NoError(t, err)
	have := serveFlagSet()
	rows := regexp.MustCompile("(?m)^\\| `(Options|Limits)\\.(\\w+)` \\| (\\S+) \\|").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		name := flags[row[2]]
		if row[1] == "Limits" {
			name = flagOfLimit(row[2])
		}
		f := have.Lookup(name)
		require.NotNil(t, f, row[0])
		got := f.DefValue
		if d, err := time.ParseDuration(got); err == nil && f.Value.Type() == "duration" {
			got = strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
		}
		if got == fmt.Sprint(server.NoLimit) {
			got = "none"
		}
		assert.Equal(t, row[3], got, "--%s", name)
	}
}

// A limit that was given holds.
func TestServeLimits(t *testing.T) {
	variables := map[string]string{"RTM_LIMIT_MESSAGE_SIZE": "20"}
	for key, value := range keys {
		variables[key] = value
	}
	p := start(t, variables, "serve")
	url := p.err.waitFor(t, `msg=ready url=(\S+)`)[1]
	send := start(t, with("RTM_SERVER", url), "send", "--as", "Tom", "--with", "Jerry", "much too long for this server")
	assert.Equal(t, exitRefused, send.exitCode())
}
