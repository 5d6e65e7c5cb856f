// Package otelserver reports what a realtime messaging server does to
// OpenTelemetry.
//
//	observer, err := otelserver.Observer(provider) // how long things take
//	if err != nil { … }
//	srv, err := server.New(server.Options{Apps: apps, Observer: observer})
//	if err != nil { … }
//	registration, err := otelserver.Register(provider, srv) // what is counted
//	if err != nil { … }
//	defer registration.Unregister()
package otelserver

import (
	"context"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/leanrtm/realtime/otelrealtime/internal/instrument"
	"github.com/leanrtm/realtime/server"
)

// scope names the instruments' origin.
const scope = "github.com/leanrtm/realtime/otelrealtime/otelserver"

// Attributes.
const (
	AttributeCommand = attribute.Key("rtm.command") // such as "direct"; of durations also "conv/start"
	AttributeCode    = attribute.Key("rtm.code")    // of the protocol; 0: the peer ended the connection
	AttributeHook    = attribute.Key("rtm.hook")    // such as "_messageReceived"
	// AttributeErrorType is there for what failed: the code that the client was
	// told, or "error".
	AttributeErrorType = attribute.Key("error.type")
)

// Register reports the counters of s whenever the provider collects, until the
// registration is unregistered. attrs are added to each value.
func Register(provider metric.MeterProvider, s *server.Server, attrs ...attribute.KeyValue) (metric.Registration, error) {
	return instrument.Register(provider.Meter(scope), fields(), s.Stats, attrs)
}

// Observer returns what to put into server.Options.Observer: it reports how long
// commands, writes to the store and hooks take, in the histograms
// rtm.command.duration, rtm.commit.duration and rtm.hook.duration. attrs are
// added to each value.
func Observer(provider metric.MeterProvider, attrs ...attribute.KeyValue) (*server.Observer, error) {
	attrs = slices.Clone(attrs)
	m := provider.Meter(scope)
	commands, err := instrument.Seconds(m, "rtm.command.duration", "Time until a command was answered and nothing of it ran any more.")
	if err != nil {
		return nil, err
	}
	commits, err := instrument.Seconds(m, "rtm.commit.duration", "Time of a call that writes to the store.")
	if err != nil {
		return nil, err
	}
	hooks, err := instrument.Seconds(m, "rtm.hook.duration", "Time of a call of a hook.")
	if err != nil {
		return nil, err
	}
	record := func(h metric.Float64Histogram, seconds float64, failure string, more ...attribute.KeyValue) {
		set := append(attrs[:len(attrs):len(attrs)], more...)
		if failure != "" {
			set = append(set, AttributeErrorType.String(failure))
		}
		h.Record(context.Background(), seconds, metric.WithAttributes(set...))
	}
	const failed = "error"
	return &server.Observer{
		Command: func(c server.CommandObservation) {
			failure := ""
			if c.Code != 0 {
				failure = strconv.Itoa(c.Code)
			}
			record(commands, c.Took.Seconds(), failure, AttributeCommand.String(c.Name))
		},
		Commit: func(c server.CommitObservation) {
			failure := ""
			if c.Failed > 0 {
				failure = failed
			}
			record(commits, c.Took.Seconds(), failure)
		},
		Hook: func(h server.HookObservation) {
			failure := ""
			if h.Err != nil {
				failure = failed
			}
			record(hooks, h.Took.Seconds(), failure, AttributeHook.String(h.Name))
		},
	}, nil
}

// fields are the counters and gauges, in the order of server.Stats.
func fields() []instrument.Field[server.Stats] {
	type st = server.Stats
	count := func(name, unit, help string, of func(s *st) uint64) instrument.Field[st] {
		return instrument.Field[st]{Name: name, Unit: unit, Help: help, Count: of}
	}
	level := func(name, unit, help string, of func(s *st) int64) instrument.Field[st] {
		return instrument.Field[st]{Name: name, Unit: unit, Help: help, Level: of}
	}
	return []instrument.Field[st]{
		level("rtm.connections", "{connection}", "WebSocket connections open now.", func(s *st) int64 { return s.Connections }),
		count("rtm.connections.accepted", "{connection}", "WebSocket connections that were opened.", func(s *st) uint64 { return s.ConnectionsAccepted }),
		count("rtm.connections.refused", "{connection}", "WebSocket upgrades answered with an HTTP error.", func(s *st) uint64 { return s.ConnectionsRefused }),
		{
			Name: "rtm.disconnects", Unit: "{connection}", Help: "Ended connections by the close code of the server; 0: the peer ended it or was gone.",
			Key: string(AttributeCode), ByCode: func(s *st) map[int]uint64 { return s.Disconnects },
		},
		count("rtm.slow_consumers", "{connection}", "Connections closed because the peer did not take what waited for it.", func(s *st) uint64 { return s.SlowConsumers }),
		level("rtm.sessions", "{session}", "Sessions open now.", func(s *st) int64 { return s.Sessions }),
		count("rtm.logins", "{login}", "Logins that were granted.", func(s *st) uint64 { return s.Logins }),
		count("rtm.logins.resumed", "{login}", "Logins of clients that came back after a lost connection.", func(s *st) uint64 { return s.LoginsResumed }),
		count("rtm.logins.failed", "{login}", "Logins that were refused.", func(s *st) uint64 { return s.LoginsFailed }),
		{
			Name: "rtm.commands", Unit: "{command}", Help: "Commands received from clients.",
			Key: string(AttributeCommand), ByName: func(s *st) map[string]uint64 { return s.Commands },
		},
		{
			Name: "rtm.refusals", Unit: "{command}", Help: "Commands answered with an error, by its code.",
			Key: string(AttributeCode), ByCode: func(s *st) map[int]uint64 { return s.Refusals },
		},
		count("rtm.rate_limited", "{command}", "Commands refused because their client sent too many.", func(s *st) uint64 { return s.RateLimited }),
		count("rtm.panics", "{command}", "Commands that ended their connection by a mistake in the program.", func(s *st) uint64 { return s.Panics }),
		count("rtm.messages", "{message}", "Messages accepted, transient ones included.", func(s *st) uint64 { return s.Messages }),
		count("rtm.frames.received", "{frame}", "Frames received.", func(s *st) uint64 { return s.FramesIn }),
		count("rtm.bytes.received", "By", "Bytes in received frames.", func(s *st) uint64 { return s.BytesIn }),
		count("rtm.frames.sent", "{frame}", "Frames sent.", func(s *st) uint64 { return s.FramesOut }),
		count("rtm.bytes.sent", "By", "Bytes sent, with framing.", func(s *st) uint64 { return s.BytesOut }),
		count("rtm.writes", "{call}", "Calls to the network that sent the frames.", func(s *st) uint64 { return s.Writes }),
		level("rtm.queue.frames", "{frame}", "Frames that wait for slow receivers.", func(s *st) int64 { return s.QueueFrames }),
		level("rtm.queue.bytes", "By", "Bytes that wait for slow receivers.", func(s *st) int64 { return s.QueueBytes }),
		count("rtm.dropped.room_normal", "{message}", "Chat room messages of normal priority that slow receivers did not get.", func(s *st) uint64 { return s.DroppedRoomNormal }),
		count("rtm.dropped.low", "{message}", "Transient messages and those of low priority that slow receivers did not get.", func(s *st) uint64 { return s.DroppedLow }),
		count("rtm.commit.calls", "{call}", "Calls that wrote to the store.", func(s *st) uint64 { return s.CommitCalls }),
		count("rtm.commits", "{batch}", "Batches written to the store.", func(s *st) uint64 { return s.Commits }),
		count("rtm.commits.failed", "{batch}", "Batches that the store failed to write.", func(s *st) uint64 { return s.CommitFailures }),
		count("rtm.store.errors", "{operation}", "Operations that failed because the store did.", func(s *st) uint64 { return s.StoreErrors }),
		level("rtm.cache.conversations", "{conversation}", "Conversations in memory.", func(s *st) int64 { return s.CachedConversations }),
		count("rtm.cache.hits", "{conversation}", "Conversations found in memory.", func(s *st) uint64 { return s.CacheHits }),
		count("rtm.cache.misses", "{conversation}", "Conversations that had to be loaded.", func(s *st) uint64 { return s.CacheMisses }),
		count("rtm.hooks", "{call}", "Calls of hooks that have ended.", func(s *st) uint64 { return s.HookCalls }),
		count("rtm.hooks.failed", "{call}", "Calls of hooks that failed.", func(s *st) uint64 { return s.HookFailures }),
		level("rtm.hooks.waiting", "{call}", "Calls of listening hooks that wait.", func(s *st) int64 { return s.HooksWaiting }),
		count("rtm.hooks.dropped", "{call}", "Calls of listening hooks that were given up.", func(s *st) uint64 { return s.HooksDropped }),
		{
			Name: "rtm.watermark.lag", Unit: "s", Help: "How long the slowest operation in flight has been running.",
			Float: func(s *st) float64 { return s.WatermarkLag.Seconds() },
		},
	}
}
