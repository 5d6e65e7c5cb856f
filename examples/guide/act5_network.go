package main

import (
	"context"
	"strconv"

	"github.com/leanrtm/realtime"
)

const (
	tunnel = "Are you in a tunnel?"
	back   = "I am back."

	// session is what the diary calls Tom's client, to tell its events from
	// those of the connection: several clients can share one.
	session = "Tom's session"
)

// network is the fifth chapter: the connection is lost and found again, and
// Tom's phone shows it as it happens.
func (s *story) network(ctx context.Context) error {
	s.watchConnection(s.tom)

	s.tell("Tom's phone loses its network.")
	s.tom.phone.cut()
	if err := s.diary.wait(ctx,
		entry{"Tom", eventDisconnect, ""},
		entry{"Tom", eventRetry, "0"},
		entry{"Tom", eventSchedule, "1"}, // so the first retry has failed
	); err != nil {
		return err
	}
	if err := s.williamAsks(ctx); err != nil {
		return err
	}
	s.tell("The network is back.")
	s.tom.phone.restore()
	if err := s.diary.wait(ctx,
		entry{"Tom", eventReconnect, "1"},
		entry{session, eventReconnect, "1"},
		entry{"Tom", eventMessage, tunnel}, // fetched, because he missed it
	); err != nil {
		return err
	}
	s.tell("Tom answers.")
	if _, err := s.conv.Send(ctx, realtime.NewTextMessage(back)); err != nil {
		return err
	}
	if err := s.diary.wait(ctx, entry{"William", eventMessage, back}); err != nil {
		return err
	}

	s.tell("The phone goes to sleep: its program pauses the connection.")
	s.tom.rt.Pause()
	if err := s.diary.wait(ctx, entry{"Tom", eventOffline, ""}); err != nil {
		return err
	}
	s.tell("It wakes up, and the program resumes.")
	s.tom.rt.Resume()
	return s.diary.wait(ctx,
		entry{"Tom", eventOnline, ""},
		entry{"Tom", eventReconnect, "2"},
		entry{session, eventReconnect, "2"},
	)
}

// watchConnection prints the six events of a connection as they come.
func (s *story) watchConnection(p *person) {
	// Handlers of one connection, as those of one client, run one at a time, so
	// that counting needs no lock.
	connections, logins := 0, 0
	p.rt.OnDisconnect(func(_ context.Context, e *realtime.DisconnectEvent) {
		s.hear(p, eventDisconnect, "", "the server is out of reach")
	})
	p.rt.OnOffline(func(context.Context, *realtime.OfflineEvent) {
		s.hear(p, eventOffline, "", "no network wanted")
	})
	p.rt.OnOnline(func(context.Context, *realtime.OnlineEvent) {
		s.hear(p, eventOnline, "", "network wanted again")
	})
	p.rt.OnSchedule(func(_ context.Context, e *realtime.ScheduleEvent) {
		s.hear(p, eventSchedule, strconv.Itoa(e.Attempt), "attempt %d in %v", e.Attempt, e.Delay)
	})
	p.rt.OnRetry(func(_ context.Context, e *realtime.RetryEvent) {
		s.hear(p, eventRetry, strconv.Itoa(e.Attempt), "attempt %d", e.Attempt)
	})
	p.rt.OnReconnect(func(context.Context, *realtime.ReconnectEvent) {
		connections++
		s.hear(p, eventReconnect, strconv.Itoa(connections), "connected")
	})

	// A connection is not a session yet: the client says when it is logged in
	// again.
	p.client.OnReconnect(func(context.Context, *realtime.ReconnectEvent) {
		logins++
		s.tell("    %s is logged in again.", p.name)
		s.diary.write(entry{session, eventReconnect, strconv.Itoa(logins)})
	})
}

// williamAsks sends what Tom cannot hear now.
func (s *story) williamAsks(ctx context.Context) error {
	s.tell("William: %s", tunnel)
	conv, err := s.william.client.GetConversation(ctx, s.conv.ID())
	if err != nil {
		return err
	}
	_, err = conv.Send(ctx, realtime.NewTextMessage(tunnel))
	return err
}
