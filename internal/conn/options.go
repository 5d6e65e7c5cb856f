package conn

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// Options of a connection; zero values are the usual case.
type Options struct {
	HTTPClient        *http.Client  // for the upgrade; nil: http.DefaultClient
	Header            http.Header   // added to the upgrade request
	Text              bool          // base64 text frames
	HeartbeatInterval time.Duration // between echo commands, ±10 %; 0: 180 s, negative: none
	SilenceTimeout    time.Duration // without anything received the connection dies; 0: 380 s, negative: none
	WriteTimeout      time.Duration // a frame that cannot be written for so long kills the connection; 0: 20 s, negative: never
	ReadLimit         int64         // bytes of one frame; a longer one ends the connection; 0: 4 MiB
	Logger            *slog.Logger  // nil: discard
	Counters          *Counters     // nil: its own

	// Serial numbers the heartbeats. The link sets it.
	Serial func() int32
	// Blocks is where the memory of received commands comes from. nil: its own.
	Blocks *wire.Blocks
	// OnCommand gets every frame received, on the reader's goroutine, so it
	// must not block. Who is done with cmd may put its block, nil if it lies in
	// none, back. The link sets it.
	OnCommand func(cmd *pb.GenericCommand, block *wire.Block)
	// OnDone is called once, right after Done is closed, on the goroutine that
	// leaves last. It may come before Dial returns, and must not block. The link
	// sets it.
	OnDone func()
}

// The defaults of the protocol, and of this package.
const (
	DefaultHeartbeatInterval = 180 * time.Second
	DefaultSilenceTimeout    = 380 * time.Second
	DefaultWriteTimeout      = 20 * time.Second
	DefaultReadLimit         = 4 << 20
)

// heartbeatSpread is the part of the interval by which heartbeats vary, so
// that clients that connected together do not beat together for ever.
const heartbeatSpread = 0.1

func (o Options) withDefaults() Options {
	if o.HTTPClient == nil {
		o.HTTPClient = http.DefaultClient
	}
	if o.HeartbeatInterval == 0 {
		o.HeartbeatInterval = DefaultHeartbeatInterval
	}
	if o.SilenceTimeout == 0 {
		o.SilenceTimeout = DefaultSilenceTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.ReadLimit == 0 {
		o.ReadLimit = DefaultReadLimit
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Counters == nil {
		o.Counters = new(Counters)
	}
	if o.Serial == nil {
		o.Serial = func() int32 { return 0 }
	}
	if o.Blocks == nil {
		o.Blocks = new(wire.Blocks)
	}
	if o.OnCommand == nil {
		o.OnCommand = func(*pb.GenericCommand, *wire.Block) {}
	}
	if o.OnDone == nil {
		o.OnDone = func() {}
	}
	return o
}

func (o Options) subprotocol() string {
	if o.Text {
		return wire.SubprotocolText
	}
	return wire.SubprotocolBinary
}
