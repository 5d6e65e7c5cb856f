package engine

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/store"
)

// Note is a notice that was kept for a client.
type Note struct {
	TS     int64
	Op     string          // "joined", "left"; droppable ones with dashes; "rcp" for receipts
	Fields json.RawMessage // the fields of the push, a JSON object
}

// Receipt tells whether the note is a receipt and not a notice of a conversation.
func (n *Note) Receipt() bool { return n.Op == noteRcp }

// Notes are what was kept for a client since it was last there.
type Notes struct {
	Permanent []Note // ascending by time
	HasMore   bool   // there are later permanent ones

	Droppable []Note // ascending by time
	// Invalid says that droppable notices were dropped: what the client knows of
	// its conversations is out of date.
	Invalid bool
}

// Bounds of one answer.
const (
	notePage      = 100
	droppablePage = 500
)

// Notes returns the notices for a client above a time. Without droppable only
// the permanent ones are looked at.
func (e *Engine) Notes(ctx context.Context, by Cause, client string, since int64, droppable bool) (Notes, error) {
	a, err := e.app(by.App)
	if err != nil {
		return Notes{}, err
	}
	var out Notes
	page, err := e.changes(ctx, store.ChangeQuery{Kind: store.Notes, Log: store.LogID{App: a.ID}, Client: client}, since, notePage)
	if err != nil {
		return out, err
	}
	out.Permanent, out.HasMore = notesOf(page.Items), page.More
	if !droppable {
		return out, nil
	}
	err = e.droppables(ctx, a, client, since, &out)
	return out, err
}

func (e *Engine) changes(ctx context.Context, q store.ChangeQuery, since int64, n int) (store.ChangePage, error) {
	page, err := e.store.Changes(ctx, q, since, n)
	if err != nil {
		return page, e.broken(wire.CodeInternalError, "read notices", err)
	}
	return page, nil
}

// droppables merges the client's own notices with the events of its
// conversations.
func (e *Engine) droppables(ctx context.Context, a *app, client string, since int64, out *Notes) error {
	take := func(q store.ChangeQuery) error {
		q.Newest = true
		page, err := e.changes(ctx, q, since, droppablePage)
		if err != nil {
			return err
		}
		out.Invalid = out.Invalid || page.More || page.Floor > since
		out.Droppable = append(out.Droppable, notesOf(page.Items)...)
		return nil
	}
	if err := take(store.ChangeQuery{Kind: store.Droppables, Log: store.LogID{App: a.ID}, Client: client}); err != nil {
		return err
	}
	for after := ""; ; {
		page, err := e.store.Memberships(ctx, a.ID, client, after, placePage)
		if err != nil {
			return e.broken(wire.CodeInternalError, "read memberships", err)
		}
		for _, m := range page {
			after = m.Cid
			if m.Head.EventTS <= since || m.Kind != store.KindNormal {
				continue
			}
			if err := take(store.ChangeQuery{Kind: store.Events, Log: store.LogID{App: a.ID, Cid: m.Cid}}); err != nil {
				return err
			}
		}
		if len(page) < placePage {
			break
		}
	}
	slices.SortStableFunc(out.Droppable, func(x, y Note) int {
		switch {
		case x.TS < y.TS:
			return -1
		case x.TS > y.TS:
			return 1
		}
		return 0
	})
	if n := len(out.Droppable); n > droppablePage {
		out.Droppable, out.Invalid = out.Droppable[n-droppablePage:], true
	}
	return nil
}

func notesOf(items []store.Change) []Note {
	notes := make([]Note, len(items))
	for i, it := range items {
		notes[i] = Note{TS: it.TS, Op: it.Op, Fields: it.Body}
	}
	return notes
}
