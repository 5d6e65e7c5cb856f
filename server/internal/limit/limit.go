// Package limit has the settings that the parts of the server share: what one
// app is and which of its features are on, and the figures that bound what a
// client may ask for.
package limit

import (
	"errors"
	"fmt"

	"github.com/leanrtm/realtime/internal/wire"
)

// App is one application. Nothing is shared between apps.
type App struct {
	ID        string // required, unique among the server's apps
	Key       string // app key, for REST requests of clients
	MasterKey string // for administration, and to check signatures

	// What must carry a signature of the app's own back end. They need a
	// MasterKey. Off by default: then signatures are not looked at. A signature
	// is valid for six hours around its time and works once, also if what it is
	// for fails; the next attempt needs another one, with a new nonce. What was
	// used is remembered in the memory of the process.
	VerifyLogin        bool // session/open and refresh
	VerifyConversation bool // create, add, remove
	VerifyBlacklist    bool // block, unblock
	VerifyHistory      bool // history over REST

	// Features that are on unless they are switched off.
	DisableRoles     bool
	DisableBlacklist bool
	DisableEdit      bool
	DisableRecall    bool
}

// String tells the app by its id. It exists so that no log or error prints the
// keys.
func (a App) String() string { return "app " + a.ID }

// GoString is String, for %#v.
func (a App) GoString() string { return a.String() }

// Limits bounds what clients may do. In each figure 0 means the default, and a
// negative one means no limit.
type Limits struct {
	MessageSize  int // bytes of content and push data together; default 5 KiB
	Members      int // of a normal conversation; default 500
	TempMembers  int // of a temporary conversation; default 10
	HistoryPage  int // messages in one answer; default 1000
	QueryPage    int // conversations in one answer; default 1000
	UnreadCount  int // count of one conversation, a larger one is told as this; default 100
	UnreadConvs  int // conversations told at login; default 50
	OnlineQuery  int // ids of one online query, the rest is ignored; default 20
	BlockedList  int // entries of a blacklist; default 500, of chat rooms and service conversations 10,000
	ShutupList   int // entries of a conversation's list of muted members; default as BlockedList
	SessionsConn int // sessions open at once on one connection; default 1000

	// Requests per client and minute; the excess is refused. Default no limit.
	SendRate    int // messages
	HistoryRate int // history queries
	RequestRate int // all others

	// FrameRate is how many frames one connection may send in a minute, whatever
	// they are and for whichever of its clients, heartbeats and pings included; one
	// that sends more is closed. Default no limit. Pings and pongs alone may be 600
	// in any case.
	FrameRate int

	// WebSocket connections; the excess is refused with HTTP status 503 before it
	// costs anything. Default no limit. Behind a proxy all come from its address.
	Connections   int // at once
	ConnectionsIP int // at once from one address
	ConnectRate   int // new ones per second

	// What the back ends of an app send by REST, all together. The excess is
	// answered with 429, until the minute or the day is over. Default no limit.
	RESTSendRate               int // messages per minute to conversations, chat rooms and named clients
	SubscriberBroadcastRate    int // per minute
	SubscriberBroadcastsPerDay int
	BroadcastRate              int // to everybody, per minute
	BroadcastsPerDay           int // to everybody
}

// NoLimit is the figure that limits nothing.
const NoLimit = -1

const defaultSessionsConn = 1000

// WithDefaults returns the limits with every 0 replaced by its default, except
// those whose default depends on the kind of conversation.
func (l Limits) WithDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.MessageSize, wire.MaxMessageSize},
		{&l.Members, wire.MaxMembers},
		{&l.TempMembers, wire.MaxTempMembers},
		{&l.HistoryPage, wire.MaxHistoryPage},
		{&l.QueryPage, wire.MaxQuery},
		{&l.UnreadCount, wire.MaxUnread},
		{&l.UnreadConvs, wire.MaxUnreadConvs},
		{&l.OnlineQuery, wire.MaxOnlineQuery},
		{&l.SessionsConn, defaultSessionsConn},
		{&l.SendRate, NoLimit},
		{&l.HistoryRate, NoLimit},
		{&l.RequestRate, NoLimit},
		{&l.FrameRate, NoLimit},
		{&l.Connections, NoLimit},
		{&l.ConnectionsIP, NoLimit},
		{&l.ConnectRate, NoLimit},
		{&l.RESTSendRate, NoLimit},
		{&l.SubscriberBroadcastRate, NoLimit},
		{&l.SubscriberBroadcastsPerDay, NoLimit},
		{&l.BroadcastRate, NoLimit},
		{&l.BroadcastsPerDay, NoLimit},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// Exceeds tells whether n is over a limit.
func Exceeds(n, limit int) bool { return limit >= 0 && n > limit }

// Clamp returns n, or the limit where n is over it.
func Clamp(n, limit int) int {
	if Exceeds(n, limit) {
		return limit
	}
	return n
}

// Validate reports everything that is wrong with an app's settings. The error
// names no key.
func (a App) Validate() error {
	var errs []error
	if a.ID == "" {
		errs = append(errs, errors.New("an app has no ID"))
	}
	if a.MasterKey == "" && (a.VerifyLogin || a.VerifyConversation || a.VerifyBlacklist || a.VerifyHistory) {
		errs = append(errs, fmt.Errorf("app %q verifies signatures and has no MasterKey to check them with", a.ID))
	}
	return errors.Join(errs...)
}
