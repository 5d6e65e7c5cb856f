package realtime

import "context"

// OnDisconnect adds a handler of [DisconnectEvent], which is delivered when the
// connection was lost or given up.
func (rt *Realtime) OnDisconnect(h func(ctx context.Context, e *DisconnectEvent)) (stop func()) {
	return on(&rt.events, h)
}

// OnOffline adds a handler of [OfflineEvent], which is delivered when Pause has
// taken effect.
func (rt *Realtime) OnOffline(h func(ctx context.Context, e *OfflineEvent)) (stop func()) {
	return on(&rt.events, h)
}

// OnOnline adds a handler of [OnlineEvent], which is delivered when Resume
// begins to connect again.
func (rt *Realtime) OnOnline(h func(ctx context.Context, e *OnlineEvent)) (stop func()) {
	return on(&rt.events, h)
}

// OnReconnect adds a handler of [ReconnectEvent], which is delivered when the
// connection is back.
func (rt *Realtime) OnReconnect(h func(ctx context.Context, e *ReconnectEvent)) (stop func()) {
	return on(&rt.events, h)
}

// OnSchedule adds a handler of [ScheduleEvent], which is delivered when the
// next attempt to connect is planned.
func (rt *Realtime) OnSchedule(h func(ctx context.Context, e *ScheduleEvent)) (stop func()) {
	return on(&rt.events, h)
}

// OnRetry adds a handler of [RetryEvent], which is delivered when an attempt to
// connect begins.
func (rt *Realtime) OnRetry(h func(ctx context.Context, e *RetryEvent)) (stop func()) {
	return on(&rt.events, h)
}
