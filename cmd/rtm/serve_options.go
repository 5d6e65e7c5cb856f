package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/leanrtm/realtime/server"
)

// optionFlags are the flags of rtm serve that stand for one field of the server's
// options each. They are named after the field, those of Limits with limitPrefix.
// A test holds them to the fields there are, and their defaults to what is
// documented.
type optionFlags struct {
	options server.Options
	limits  server.Limits

	tokenKey     string
	oldTokenKeys []string
	verify       []string
	without      []string
}

// limitPrefix is how the flags of limits begin.
const limitPrefix = "limit-"

// Names of what --verify and --without take.
const (
	verifyLogin        = "login"
	verifyConversation = "conversation"
	verifyBlacklist    = "blacklist"
	verifyHistory      = "history"

	withoutRoles     = "roles"
	withoutBlacklist = "blacklist"
	withoutEdit      = "edit"
	withoutRecall    = "recall"
)

func (f *optionFlags) flags(flags *pflag.FlagSet) {
	o := &f.options
	for _, d := range []struct {
		field    *time.Duration
		name     string
		standard time.Duration
		usage    string
	}{
		{&o.RouteTTL, "route-ttl", time.Hour, "how long clients may remember the socket's address"},
		{&o.TokenTTL, "token-ttl", 48 * time.Hour, "life of a session token"},
		{&o.ReadTimeout, "read-timeout", 360 * time.Second, "silence after which a connection is closed (negative: never)"},
		{&o.LoginTimeout, "login-timeout", 60 * time.Second, "time for the first login on a connection (negative: any)"},
		{&o.FrameTimeout, "frame-timeout", 60 * time.Second, "time for one frame to arrive (negative: any)"},
		{&o.RequestTimeout, "request-timeout", 30 * time.Second, "time for the body of an HTTP request, and a second more for each KiB (negative: any)"},
		{&o.RoomRejoin, "room-rejoin", 30 * time.Minute, "how long a lost client keeps its place in a chat room"},
	} {
		flags.DurationVar(d.field, d.name, d.standard, d.usage)
	}
	for _, d := range []struct {
		field    *int
		name     string
		standard int
		usage    string
	}{
		{&o.MaxFrame, "max-frame", 64 << 10, "bytes of one command"},
		{&o.QueueBytes, "queue-bytes", 1 << 20, "bytes of pushes that may wait for one connection"},
		{&o.QueueFrames, "queue-frames", 4096, "pushes that may wait for one connection"},
	} {
		flags.IntVar(d.field, d.name, d.standard, d.usage)
	}
	flags.Int64Var(&o.MaxFileSize, "max-file-size", 1<<30, "bytes of one uploaded file (negative: no limit)")
	flags.StringVar(&o.SocketURL, "socket-url", "", "ws or wss URL that clients are told to connect to (default: made from the host that they ask)")
	flags.StringVar(&o.PublicURL, "public-url", "", "http or https URL of the server, for links that it makes (default: made from the host that clients ask)")
	flags.StringSliceVar(&o.Origins, "origins", nil, "web pages that may use the server, such as https://example.com or *.example.com (default: all)")
	flags.StringVar(&f.tokenKey, "token-key", "", "secret of at least 16 bytes that signs session tokens, so that they outlive the process (default: made up)")
	flags.StringArrayVar(&f.oldTokenKeys, "old-token-key", nil, "former value of --token-key, whose tokens are still good; may be repeated")
	flags.StringSliceVar(&f.verify, "verify", nil, "what must carry a signature of the app: login, conversation, blacklist, history (default: nothing)")
	flags.StringSliceVar(&f.without, "without", nil, "features to switch off: roles, blacklist, edit, recall (default: none)")
	f.limitFlags(flags)
}

// limitFlags makes a flag of each field of Limits, with its default.
func (f *optionFlags) limitFlags(flags *pflag.FlagSet) {
	f.limits = server.Limits{}.WithDefaults()
	l := &f.limits
	for _, d := range []struct {
		field *int
		name  string
		usage string
	}{
		{&l.MessageSize, "message-size", "bytes of a message's content and push data"},
		{&l.Members, "members", "members of a normal conversation"},
		{&l.TempMembers, "temp-members", "members of a temporary conversation"},
		{&l.HistoryPage, "history-page", "messages in one answer"},
		{&l.QueryPage, "query-page", "conversations in one answer"},
		{&l.UnreadCount, "unread-count", "unread messages of one conversation that are counted"},
		{&l.UnreadConvs, "unread-convs", "conversations with unread messages that are told at a login"},
		{&l.OnlineQuery, "online-query", "ids of one question about who is online"},
		{&l.BlockedList, "blocked-list", "entries of a blacklist (0: 500, in chat rooms and service conversations 10,000)"},
		{&l.ShutupList, "shutup-list", "entries of a list of muted members (0: as --limit-blocked-list)"},
		{&l.SessionsConn, "sessions-conn", "sessions open at once on one connection"},
		{&l.SendRate, "send-rate", "messages per client and minute"},
		{&l.HistoryRate, "history-rate", "history queries per client and minute"},
		{&l.RequestRate, "request-rate", "other requests per client and minute"},
		{&l.FrameRate, "frame-rate", "frames per connection and minute, heartbeats and pings included"},
		{&l.Connections, "connections", "connections at once"},
		{&l.ConnectionsIP, "connections-ip", "connections at once from one address; behind a proxy all have its address"},
		{&l.ConnectRate, "connect-rate", "new connections per second"},
		{&l.RESTSendRate, "rest-send-rate", "messages per minute that back ends send by REST"},
		{&l.SubscriberBroadcastRate, "subscriber-broadcast-rate", "broadcasts to subscribers per minute"},
		{&l.SubscriberBroadcastsPerDay, "subscriber-broadcasts-per-day", "broadcasts to subscribers per day"},
		{&l.BroadcastRate, "broadcast-rate", "broadcasts to everybody per minute"},
		{&l.BroadcastsPerDay, "broadcasts-per-day", "broadcasts to everybody per day"},
	} {
		flags.IntVar(d.field, limitPrefix+d.name, *d.field, d.usage+" (-1: no limit)")
	}
}

// build returns the options of a server that has one app.
func (f *optionFlags) build(app server.App) (server.Options, error) {
	o := f.options
	o.Limits = f.limits
	if f.tokenKey != "" {
		o.TokenKey = []byte(f.tokenKey)
	}
	for _, key := range f.oldTokenKeys {
		o.OldTokenKeys = append(o.OldTokenKeys, []byte(key))
	}
	for _, set := range []struct {
		flag   string
		names  []string
		fields map[string]*bool
	}{
		{"verify", f.verify, map[string]*bool{
			verifyLogin: &app.VerifyLogin, verifyConversation: &app.VerifyConversation,
			verifyBlacklist: &app.VerifyBlacklist, verifyHistory: &app.VerifyHistory,
		}},
		{"without", f.without, map[string]*bool{
			withoutRoles: &app.DisableRoles, withoutBlacklist: &app.DisableBlacklist,
			withoutEdit: &app.DisableEdit, withoutRecall: &app.DisableRecall,
		}},
	} {
		for _, name := range set.names {
			field := set.fields[strings.TrimSpace(name)]
			if field == nil {
				known := slices.Sorted(maps.Keys(set.fields))
				return server.Options{}, usagef("--%s takes %s, not %q", set.flag, strings.Join(known, ", "), name)
			}
			*field = true
		}
	}
	o.Apps = []server.App{app}
	return o, nil
}
