// Package otelrealtime reports what a realtime.Realtime does to OpenTelemetry.
//
//	provider := otel.GetMeterProvider()
//	observer, err := otelrealtime.Observer(provider) // how long things take
//	if err != nil { … }
//	rt, err := realtime.New(realtime.Options{AppID: "…", AppKey: "…", Observer: observer})
//	if err != nil { … }
//	registration, err := otelrealtime.Register(provider, rt) // what is counted
//	if err != nil { … }
//	defer registration.Unregister()
//
// It is a module of its own, so that who does not want OpenTelemetry does not
// get it. Package otelserver does the same for the server.
package otelrealtime

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/otelrealtime/internal/instrument"
)

// scope names the instruments' origin.
const scope = "github.com/leanrtm/realtime/otelrealtime"

// Attributes of the durations.
const (
	AttributeCommand = attribute.Key("realtime.command") // such as "conv/start"
	AttributeEvent   = attribute.Key("realtime.event")   // such as "MessageEvent"
	// AttributeErrorType is there for what failed: the code of the server, or
	// one of timeout, canceled, disconnected and other.
	AttributeErrorType = attribute.Key("error.type")
)

// Register reports the counters of rt, those of all its clients together
// included, whenever the provider collects, until the registration is
// unregistered. attrs are added to each value: to tell one Realtime from another,
// for instance.
func Register(provider metric.MeterProvider, rt *realtime.Realtime, attrs ...attribute.KeyValue) (metric.Registration, error) {
	return instrument.Register(provider.Meter(scope), fields(), rt.Stats, attrs)
}

// Observer returns what to put into realtime.Options.Observer: it reports how
// long commands and handlers take, in the histograms realtime.command.duration
// and realtime.handler.duration. attrs are added to each value.
func Observer(provider metric.MeterProvider, attrs ...attribute.KeyValue) (*realtime.Observer, error) {
	attrs = slices.Clone(attrs)
	m := provider.Meter(scope)
	commands, err := instrument.Seconds(m, "realtime.command.duration", "Time between a command and its answer.")
	if err != nil {
		return nil, err
	}
	handlers, err := instrument.Seconds(m, "realtime.handler.duration", "Time that the handlers of an event took together.")
	if err != nil {
		return nil, err
	}
	with := func(more ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributes(append(attrs[:len(attrs):len(attrs)], more...)...)
	}
	return &realtime.Observer{
		Command: func(ctx context.Context, c realtime.CommandObservation) {
			set := with(AttributeCommand.String(c.Name))
			if c.Err != nil {
				set = with(AttributeCommand.String(c.Name), AttributeErrorType.String(errorType(c.Err)))
			}
			commands.Record(ctx, c.Took.Seconds(), set)
		},
		Handler: func(ctx context.Context, h realtime.HandlerObservation) {
			handlers.Record(ctx, h.Took.Seconds(), with(AttributeEvent.String(h.Event)))
		},
	}, nil
}

// errorType sorts errors into a few kinds.
func errorType(err error) string {
	refusal := (*realtime.Error)(nil)
	switch {
	case errors.As(err, &refusal):
		return strconv.Itoa(int(refusal.Code))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, realtime.ErrTimeout):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, realtime.ErrDisconnected):
		return "disconnected"
	}
	return "other"
}

// fields are the counters and gauges, in the order of the structs.
func fields() []instrument.Field[realtime.Stats] {
	type st = realtime.Stats
	count := func(name, unit, help string, of func(s *st) uint64) instrument.Field[st] {
		return instrument.Field[st]{Name: name, Unit: unit, Help: help, Count: of}
	}
	level := func(name, unit, help string, of func(s *st) int64) instrument.Field[st] {
		return instrument.Field[st]{Name: name, Unit: unit, Help: help, Level: of}
	}
	return []instrument.Field[st]{
		level("realtime.connected", "{connection}", "1 while commands can be sent.", func(s *st) int64 {
			if s.State == realtime.StateConnected {
				return 1
			}
			return 0
		}),
		level("realtime.clients", "{client}", "Clients that are open, being opened, or waiting for a reconnect.", func(s *st) int64 { return s.Clients }),
		level("realtime.events.waiting", "{event}", "Events that wait for the handlers of the connection.", func(s *st) int64 { return s.EventsWaiting }),
		count("realtime.dials", "{attempt}", "Attempts to connect.", func(s *st) uint64 { return s.Dials }),
		count("realtime.dials.failed", "{attempt}", "Attempts to connect that failed.", func(s *st) uint64 { return s.DialsFailed }),
		count("realtime.connects", "{connection}", "Connections that came to be used.", func(s *st) uint64 { return s.Connects }),
		count("realtime.disconnects", "{connection}", "Connections that were lost.", func(s *st) uint64 { return s.Disconnects }),
		count("realtime.commands", "{command}", "Commands that have an answer.", func(s *st) uint64 { return s.Commands }),
		count("realtime.commands.refused", "{command}", "Commands that the server refused.", func(s *st) uint64 { return s.CommandsRefused }),
		count("realtime.commands.failed", "{command}", "Commands that got no answer.", func(s *st) uint64 { return s.CommandsFailed }),
		count("realtime.frames.received", "{frame}", "Frames received.", func(s *st) uint64 { return s.FramesIn }),
		count("realtime.bytes.received", "By", "Size of received frames.", func(s *st) uint64 { return s.BytesIn }),
		count("realtime.frames.sent", "{frame}", "Frames sent.", func(s *st) uint64 { return s.FramesOut }),
		count("realtime.bytes.sent", "By", "Size of sent frames.", func(s *st) uint64 { return s.BytesOut }),
		count("realtime.heartbeats", "{frame}", "Heartbeats sent.", func(s *st) uint64 { return s.Heartbeats }),
		count("realtime.pushes", "{frame}", "Frames that answer no command.", func(s *st) uint64 { return s.Pushes }),
		count("realtime.pushes.unknown", "{frame}", "Pushes for no client here.", func(s *st) uint64 { return s.PushesUnknown }),
		count("realtime.overflows", "{client}", "Clients that ended because their handlers fell behind.", func(s *st) uint64 { return s.Overflows }),

		count("realtime.client.opens", "{login}", "Logins that were granted.", func(s *st) uint64 { return s.Sum.Opens }),
		count("realtime.client.reopens", "{login}", "Logins after a lost connection.", func(s *st) uint64 { return s.Sum.Reopens }),
		count("realtime.client.sends.accepted", "{message}", "Messages that the server accepted.", func(s *st) uint64 { return s.Sum.Sent }),
		count("realtime.client.sends.refused", "{message}", "Messages that the server refused.", func(s *st) uint64 { return s.Sum.SendsRefused }),
		count("realtime.client.sends.unknown", "{message}", "Messages that may have been accepted.", func(s *st) uint64 { return s.Sum.SendsUnknown }),
		count("realtime.client.sends.failed", "{message}", "Messages that were not sent.", func(s *st) uint64 { return s.Sum.SendsFailed }),
		count("realtime.client.send.retries", "{attempt}", "Attempts to send after the first.", func(s *st) uint64 { return s.Sum.SendRetries }),
		level("realtime.client.sends.in_flight", "{message}", "Messages without an answer.", func(s *st) int64 { return s.Sum.SendsInFlight }),
		level("realtime.client.sends.waiting", "{message}", "Messages that wait for a connection.", func(s *st) int64 { return s.Sum.SendsWaiting }),
		count("realtime.client.received", "{message}", "Messages that were made events.", func(s *st) uint64 { return s.Sum.Received }),
		count("realtime.client.recovered", "{message}", "Messages that were missed and fetched.", func(s *st) uint64 { return s.Sum.Recovered }),
		count("realtime.client.duplicates", "{message}", "Pushed messages that were known already.", func(s *st) uint64 { return s.Sum.Duplicates }),
		count("realtime.client.events", "{event}", "Events made for listeners.", func(s *st) uint64 { return s.Sum.Events }),
		level("realtime.client.pushes.waiting", "{frame}", "Pushes that are not yet made events.", func(s *st) int64 { return s.Sum.PushesWaiting }),
		level("realtime.client.events.waiting", "{event}", "Events that wait for handlers.", func(s *st) int64 { return s.Sum.EventsWaiting }),
		level("realtime.client.conversations", "{conversation}", "Conversations in memory.", func(s *st) int64 { return s.Sum.Conversations }),
	}
}
