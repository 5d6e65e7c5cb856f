package engine

import (
	"context"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

// news is a notice and whom it goes to: the clients concerned, each of whom gets
// a note of it, or the members, for whom it is kept once with the conversation.
type news struct {
	notice
	to       []string
	personal bool
}

// initBy is the name under which the caller appears in notices: administrators
// have none.
func (by *Cause) initBy() string {
	if by.Admin {
		return ""
	}
	return by.Client
}

// personal is a notice for the clients concerned.
func personal(n notice, to []string) news { return news{notice: n, to: to, personal: true} }

// group is a notice for the members.
func group(n notice, to []string) news { return news{notice: n, to: to} }

// announce commits changes of a conversation together with what is to be kept of
// the news, then pushes the news in the given order. c is locked. If it fails
// nothing has happened, and the caller leaves the cached state as it is.
func (e *Engine) announce(ctx context.Context, c *conv, by Cause, b store.Batch, all []news) error {
	st := e.begin(c.hash)
	defer st.end()
	c.app.lane.mu.Lock()
	defer c.app.lane.mu.Unlock()

	times := make([]int64, len(all))
	for i := range all {
		n := &all[i]
		times[i] = c.app.lane.next(e.now())
		body := n.body()
		if !n.personal {
			b.Ops = append(b.Ops, &store.AddEvent{Cid: c.cid, Event: store.Event{TS: times[i], Op: n.name(), Body: body}})
			continue
		}
		for _, client := range n.to {
			b.Ops = append(b.Ops, &store.AddNote{Client: client, Note: store.Note{
				TS: times[i], Op: n.name(), Cid: c.cid, Permanent: n.permanent(), Body: body,
			}})
		}
	}
	if err := e.commit(ctx, c, b); err != nil {
		return err
	}
	for i := range all {
		if len(all[i].to) > 0 {
			e.push(c, by, all[i].to, fanout.ClassStored, all[i].frame(times[i]))
		}
	}
	return nil
}

// commit writes a batch that changes a locked conversation. A stale cache is
// retired and reported as errStale: the caller starts again.
func (e *Engine) commit(ctx context.Context, c *conv, b store.Batch) error {
	b.App = c.app.ID
	err := store.CommitOne(ctx, e.store, b)
	switch {
	case err == nil:
		return nil
	case stale(err):
		c.retire()
		return errStale
	}
	if _, ok := store.AsGuard(err, store.GuardKey); ok {
		return err
	}
	// Whether anything was written may be unknown: the cache must not claim that
	// nothing was.
	c.retire()
	return e.broken(wire.CodeConversationInternalError, "write conversation", err)
}

// retry runs an operation again as long as it finds its conversation stale.
func retry(op func() error) error {
	for range staleTries {
		if err := op(); err != errStale {
			return err
		}
	}
	return refuse(wire.CodeConversationInternalError, "the conversation keeps changing")
}

// version is the guard against another writer of the conversation.
func (c *conv) version() store.Guard { return &store.Version{Cid: c.cid, N: c.meta.Version} }
