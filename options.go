package realtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options configure a Realtime. The zero value is the common case, but for
// AppID and AppKey. New copies them: later changes have no effect.
type Options struct {
	// AppID and AppKey are required.
	AppID, AppKey string
	// Server is the base URL of the REST API and the RTM router; without a
	// scheme: https. "": the app router is asked for both.
	Server string
	// RouterServer overrides Server for the RTM router only.
	RouterServer string
	// RTMServers are socket URLs (ws or wss). If there are any, no router is
	// asked for the socket.
	RTMServers []string
	// NoSSL asks the RTM router for socket URLs without TLS.
	NoSSL bool
	// NoBinary sends frames as base64 text.
	NoBinary bool
	// DeviceID tells devices apart when a tag is used on several; "": random
	// for each Realtime.
	DeviceID string
	// Plugins add message types and hooks; they are applied in order.
	Plugins []Plugin
	// RetryOpen makes Open try until its ctx ends, instead of returning the
	// first failure. A ctx without a deadline then never ends by itself.
	RetryOpen bool
	// Backoff is the delay before reconnect 0, 1, …; nil: 1 to 8 s, then 8 to
	// 16 s, doubled each time up to 300 to 600 s. These are random, so that clients
	// that lose their server together do not come back together; whoever shortens
	// them should keep that. A server that has too much to do can ask for a longer
	// delay, up to ten minutes (Retry-After). It must be safe for concurrent use.
	Backoff func(attempt int) time.Duration
	// CommandTimeout is for every call whose ctx has no deadline; 0: 20 s.
	CommandTimeout time.Duration
	// HeartbeatInterval is the time between heartbeats; 0: 180 s; negative:
	// none.
	HeartbeatInterval time.Duration
	// SilenceTimeout is how long nothing may come from the server before the
	// connection is given up; 0: 380 s; negative: for ever.
	SilenceTimeout time.Duration
	// SlowHandler is how long a handler may run before that is logged, once, at
	// most a tenth of it late; 0: 10 s; negative: for ever.
	SlowHandler time.Duration
	// EventQueue is how many events may wait, per client and per Events stream;
	// 0: 8192. See ErrEventOverflow for what happens then.
	EventQueue int
	// EventQueueBytes is how large the contents of the messages among them may be
	// together; 0: 64 MiB.
	EventQueueBytes int
	// Outbox is how many sends of one client may go on WithRetry after a first
	// attempt without an answer; 0: 1024. More fail with ErrOutboxFull.
	Outbox int
	// OutboxBytes is how large their contents may be together; 0: 16 MiB.
	OutboxBytes int
	// HTTPClient is for routers, REST and the upgrade of the socket; nil: one
	// is built from Dial and TLSConfig.
	HTTPClient *http.Client
	// Dial makes the network connections; nil: a net.Dialer does. Dial or
	// TLSConfig together with HTTPClient is an error.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLSConfig is for all TLS connections.
	TLSConfig *tls.Config
	// Header is added to every HTTP request and to the upgrade.
	Header http.Header
	// Logger takes what nobody else can be told; nil: nothing is logged. Level
	// Debug has every command, with secrets masked.
	Logger *slog.Logger
	// Observer is told how long things take; nil: nobody is. What can be counted
	// is in Realtime.Stats and IMClient.Stats.
	Observer *Observer
}

// Defaults of Options.
const (
	defaultCommandTimeout    = 20 * time.Second
	defaultHeartbeatInterval = 180 * time.Second
	defaultSilenceTimeout    = 380 * time.Second
	defaultSlowHandler       = 10 * time.Second
	defaultEventQueue        = 8192
	defaultEventQueueBytes   = 64 << 20
	defaultOutbox            = 1024
	defaultOutboxBytes       = 16 << 20
)

// String shows what the options are about, without the key.
func (o Options) String() string {
	return fmt.Sprintf("realtime.Options{AppID:%q AppKey:%q Server:%q}", o.AppID, mask(o.AppKey), redactURL(o.Server))
}

// GoString is the same as String: %#v does not show the key either.
func (o Options) GoString() string { return o.String() }

// LogValue shows the same as String.
func (o Options) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("app_id", o.AppID),
		slog.String("app_key", mask(o.AppKey)),
		slog.String("server", redactURL(o.Server)),
	)
}

// redactURL is a URL without the password and the query it may carry.
func redactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(not a URL)"
	}
	u.RawQuery, u.ForceQuery = "", false
	return u.Redacted()
}

// complete fills in every default and copies what the caller could change. It
// returns all the mistakes.
func (o *Options) complete() (mistakes []error) {
	mistake := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf(format, args...))
	}

	if o.AppID == "" {
		mistake("AppID is required")
	}
	if o.AppKey == "" {
		mistake("AppKey is required")
	}
	var err error
	if o.Server, err = baseURL(o.Server); err != nil {
		mistake("Server: %w", err)
	}
	if o.RouterServer, err = baseURL(o.RouterServer); err != nil {
		mistake("RouterServer: %w", err)
	}
	o.RTMServers = append([]string(nil), o.RTMServers...)
	for _, server := range o.RTMServers {
		if u, err := url.Parse(server); err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
			mistake("RTMServers: %q is not a ws or wss URL", redactURL(server))
		}
	}
	if o.CommandTimeout < 0 {
		mistake("CommandTimeout is negative")
	}
	if o.EventQueue < 0 {
		mistake("EventQueue is negative")
	}
	if o.EventQueueBytes < 0 {
		mistake("EventQueueBytes is negative")
	}
	if o.Outbox < 0 {
		mistake("Outbox is negative")
	}
	if o.OutboxBytes < 0 {
		mistake("OutboxBytes is negative")
	}
	if o.HTTPClient != nil && (o.Dial != nil || o.TLSConfig != nil) {
		mistake("HTTPClient brings its own connections: Dial and TLSConfig would have no effect")
	}

	if o.DeviceID == "" {
		o.DeviceID = newUUID()
	}
	if o.CommandTimeout == 0 {
		o.CommandTimeout = defaultCommandTimeout
	}
	if o.HeartbeatInterval == 0 {
		o.HeartbeatInterval = defaultHeartbeatInterval
	}
	if o.SilenceTimeout == 0 {
		o.SilenceTimeout = defaultSilenceTimeout
	}
	if o.SlowHandler == 0 {
		o.SlowHandler = defaultSlowHandler
	}
	o.EventQueue = cmp.Or(o.EventQueue, defaultEventQueue)
	o.EventQueueBytes = cmp.Or(o.EventQueueBytes, defaultEventQueueBytes)
	o.Outbox = cmp.Or(o.Outbox, defaultOutbox)
	o.OutboxBytes = cmp.Or(o.OutboxBytes, defaultOutboxBytes)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Plugins = copyPlugins(o.Plugins)
	o.Header = o.Header.Clone()
	if o.TLSConfig != nil {
		o.TLSConfig = o.TLSConfig.Clone()
	}
	return mistakes
}

// baseURL is a base URL with a scheme and without a slash at the end; "" stays.
func baseURL(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("scheme %q is neither http nor https", u.Scheme)
	case u.Host == "":
		return "", errors.New("no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("a query or fragment has no place in a base URL")
	}
	return strings.TrimRight(raw, "/"), nil
}

// newUUID is a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
