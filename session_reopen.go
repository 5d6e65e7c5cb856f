package realtime

import (
	"context"
	"errors"
	"time"

	"github.com/leanrtm/realtime/internal/conn"
	"github.com/leanrtm/realtime/internal/link"
)

// reopening is what a client needs to get its session back.
type reopening struct {
	away   bool        // the connection of the session is gone; of the processing goroutine
	behind bool        // the session is to be caught up with; of the processing goroutine
	timer  *time.Timer // of the next attempt; under IMClient.mu
}

// linkChanged tells the client, which has session s, what happened to the
// connection. Events of before its session, which it shares with other clients,
// are not its own.
func (c *IMClient) linkChanged(ctx context.Context, s *session, e link.Event) {
	switch e.Kind {
	case link.EventDisconnect:
		if e.Gen < s.gen {
			return
		}
		c.away = true
		c.mu.Lock()
		c.stopReopening()
		c.mu.Unlock()
	case link.EventReconnect:
		if e.Gen > s.gen {
			c.reopen(ctx, e.Gen, 0)
		}
		return // the client's own comes when its session is open
	case link.EventFailed:
		if e.Gen >= s.gen {
			c.closedByServer(fatalError(e.Err))
		}
		return
	}
	if c.away {
		if ev := connectionEvent(e); ev != nil {
			c.emit(ev)
		}
	}
}

// connectionEvent is a link's event as listeners get it; nil: they do not.
func connectionEvent(e link.Event) Event {
	switch e.Kind {
	case link.EventDisconnect:
		return &DisconnectEvent{Err: withReason(e.Err)}
	case link.EventSchedule:
		return &ScheduleEvent{Attempt: e.Attempt, Delay: e.Delay}
	case link.EventRetry:
		return &RetryEvent{Attempt: e.Attempt}
	case link.EventReconnect:
		return &ReconnectEvent{}
	case link.EventOffline:
		return &OfflineEvent{}
	case link.EventOnline:
		return &OnlineEvent{}
	}
	return nil
}

// fatalError is why the server refuses this program for good.
func fatalError(err error) *Error {
	var closed *conn.CloseError
	if !errors.As(err, &closed) {
		e := newError(ErrInternalError, "")
		if err != nil {
			e.Detail = err.Error()
		}
		return e
	}
	e := newError(ErrorCode(closed.Code), "")
	if closed.Reason != "" && closed.Reason != e.Reason {
		e.Detail = closed.Reason
	}
	return e
}

// reopen logs in again on a new connection. If that fails it is tried again
// with the backoff, unless the server's answer is final.
func (c *IMClient) reopen(ctx context.Context, gen uint64, attempt int) {
	s := c.session.Load()
	if s == nil || s.gen >= gen || s.link.Gen() != gen {
		return // ended, done already, or lost again: then another event follows
	}
	limited, cancel := context.WithTimeout(ctx, c.rt.opts.CommandTimeout)
	defer cancel()
	opened, err := c.openSession(limited, &session{s.link, gen}, true)
	if err == nil {
		c.away = false
		c.emit(&ReconnectEvent{})
		c.catchUp(ctx, opened)
		return
	}
	if ctx.Err() != nil {
		return // the client is ending
	}
	c.emit(&ReconnectErrorEvent{Err: err})
	if isFinal(err) {
		c.refused(err)
		return
	}
	if s.link.Gen() != gen {
		return // lost again
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseOpen {
		return
	}
	// It only enqueues; who ends the client stops it.
	c.timer = time.AfterFunc(c.rt.backoff(attempt), func() {
		c.enqueue(job{call: func(ctx context.Context) { c.reopen(ctx, gen, attempt+1) }})
	})
}

// refused ends the client after a final error.
func (c *IMClient) refused(err error) {
	var refusal *Error
	if errors.As(err, &refusal) {
		c.closedByServer(refusal)
		return
	}
	c.finish(err, &CloseEvent{Reason: err.Error()}, true)
}

// stopReopening cancels the next attempt, with mu held.
func (c *IMClient) stopReopening() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}
