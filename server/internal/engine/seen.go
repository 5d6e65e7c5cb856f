package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// recordSeen is the kind of the records that tell when a client was there.
const recordSeen store.RecordKind = "seen"

// seen is when a client logged in first and last, the latter to the day.
type seen struct {
	version int64
	First   int64 `json:"first"`
	Last    int64 `json:"last"`
	// Floor is the time of the newest broadcast to everybody that the client does
	// not get, because it was new and another one was newer.
	Floor int64 `json:"floor,omitempty"`
}

// seenOf reads when a client was there; the zero seen if it never was.
func (e *Engine) seenOf(ctx context.Context, a *app, client string) (seen, error) {
	found, err := e.store.FindRecords(ctx, recordSeen, a.ID, []string{client})
	if err != nil || found[0] == nil {
		return seen{}, err
	}
	s := seen{version: found[0].Version}
	if err := json.Unmarshal(found[0].Body, &s); err != nil {
		return seen{}, fmt.Errorf("record of a client: %w: %w", store.ErrCorrupt, err)
	}
	return s, nil
}

// meet notes that a client logs in, once a day.
func (e *Engine) meet(ctx context.Context, a *app, client string) (seen, error) {
	for range staleTries {
		s, err := e.seenOf(ctx, a, client)
		if err != nil {
			return s, e.broken(wire.CodeInternalError, "read client", err)
		}
		now := e.now()
		if s.version > 0 && day(s.Last) == day(now) {
			return s, nil
		}
		if s.version == 0 {
			s.First = now
			if valid := a.casts.valid(now); len(valid) > 1 {
				s.Floor = valid[len(valid)-2].TS // all but the latest were before its time
			}
		}
		s.Last = now
		body, err := json.Marshal(&s)
		if err != nil {
			return s, e.broken(wire.CodeInternalError, "encode client", err)
		}
		err = store.CommitOne(ctx, e.store, store.Batch{
			App:    a.ID,
			Guards: []store.Guard{&store.RecordVersion{Kind: recordSeen, Key: client, N: s.version}},
			Ops: []store.Op{&store.PutRecord{Record: &store.Record{
				Kind: recordSeen, Key: client, Version: s.version + 1, Body: body,
			}}},
		})
		if err == nil {
			return s, nil
		}
		if _, raced := store.AsGuard(err, store.GuardRecord); !raced {
			return s, e.broken(wire.CodeInternalError, "write client", err)
		}
	}
	return seen{}, refuse(wire.CodeInternalError, "the client keeps logging in")
}

func day(ms int64) int64 { return ms / (24 * time.Hour).Milliseconds() }

// Stats are figures about an app's clients.
type Stats struct {
	Online int // clients with an open session
	Today  int // clients that logged in today (UTC) or are online
}

const seenPage = 1000

// Stats counts clients. It looks at every client that there ever was.
func (e *Engine) Stats(ctx context.Context, by Cause) (Stats, error) {
	a, err := e.app(by.App)
	if err != nil {
		return Stats{}, err
	}
	s := Stats{Online: e.sessions.OnlineCount(a.ID)}
	today := day(e.now())
	for after := ""; ; {
		page, err := e.store.Records(ctx, recordSeen, a.ID, "", after, seenPage)
		if err != nil {
			return s, e.broken(wire.CodeInternalError, "count clients", err)
		}
		for _, r := range page {
			var c seen
			if json.Unmarshal(r.Body, &c) == nil && day(c.Last) == today {
				s.Today++
			}
			after = r.Key
		}
		if len(page) < seenPage {
			s.Today = max(s.Today, s.Online)
			return s, nil
		}
	}
}
