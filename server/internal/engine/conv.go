package engine

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
	"github.com/leanrtm/realtime/server/internal/store"
)

// conv is the cached state of one conversation. What its fields point to is
// immutable and replaced as a whole, so it may be used after the lock was given
// back.
type conv struct {
	app  *app
	cid  string
	hash uint32
	is   store.ConvKind // set when loaded

	used    atomic.Bool             // since the cache last looked for somebody to evict
	loading atomic.Pointer[loading] // nil once loaded

	mu     sync.Mutex
	loaded bool
	gone   bool // not current any more: look the conversation up again

	ttlEnd  int64          // that of meta, which a send does not look at otherwise
	meta    *store.Conv    // the fields that reads fill are not used
	head    store.Head     // of ViewMain
	last    *store.Message // at head; nil if there is none, or it was deleted
	service *serviceHeads  // of service conversations
	members []store.Member // by client; empty for rooms and service conversations
	ids     []string       // of members
	lists   lists

	// gen counts what changes unread counts, or who is told of them: messages,
	// marks, patches, members. Who counted without the lock compares it before
	// telling the result.
	gen     uint64
	patched uint64 // counts edits and deletions of messages
	// marks of members, as far as they were needed; nil entries are not known.
	// They are newer than the store's, which gets them later.
	marks map[string]*mark
	dirty int // how many of the marks are not written yet
}

// loading is a conversation on its way from the store. Most conversations that
// are kept are loaded, so it is not part of them.
type loading struct {
	done chan struct{} // closed when loaded or failed
	err  error         // why it failed; read after done
}

// serviceHeads are the heads that only a service conversation has.
type serviceHeads struct {
	inbound store.Head // of ViewInbound
	all     store.Head // of ViewAll
}

// mark is a client's mark and whether the store has it.
type mark struct {
	store.Mark
	dirty bool
}

// lists are who may not do what in a conversation.
type lists struct {
	blocked  map[string]struct{}
	shutup   map[string]struct{}
	silenced map[string]int64 // until when
}

func (c *conv) log(view string) store.LogID {
	return store.LogID{App: c.app.ID, Cid: c.cid, View: view}
}

func (c *conv) kind() store.ConvKind { return c.is }

// listed tells whether the conversation has a member list in memory.
func listed(k store.ConvKind) bool {
	return k == store.KindNormal || k == store.KindTemporary
}

// ended tells whether a temporary conversation's time is over.
func (c *conv) ended(now int64) bool { return c.ttlEnd != 0 && now >= c.ttlEnd }

// setMembers takes over a list that is sorted by client.
func (c *conv) setMembers(members []store.Member) {
	c.members, c.ids = members, clientsOf(members)
	c.gen++
}

func (c *conv) member(client string) *store.Member {
	i, ok := slices.BinarySearch(c.ids, client)
	if !ok {
		return nil
	}
	return &c.members[i]
}

func (c *conv) has(client string) bool {
	_, ok := slices.BinarySearch(c.ids, client)
	return ok
}

// other returns the other one of two members.
func (c *conv) other(client string) (string, bool) {
	if len(c.ids) != 2 {
		return "", false
	}
	switch client {
	case c.ids[0]:
		return c.ids[1], true
	case c.ids[1]:
		return c.ids[0], true
	}
	return "", false
}

// withMembers returns the list with some replaced or added and some removed.
func withMembers(old []store.Member, put []store.Member, drop []string) []store.Member {
	list := make([]store.Member, 0, len(old)+len(put))
	for _, m := range old {
		if !slices.Contains(drop, m.Client) &&
			!slices.ContainsFunc(put, func(p store.Member) bool { return p.Client == m.Client }) {
			list = append(list, m)
		}
	}
	list = append(list, put...)
	slices.SortFunc(list, func(a, b store.Member) int { return strings.Compare(a.Client, b.Client) })
	return list
}

// role is what a member may do here; the creator owns the conversation whatever
// is stored, and members without a role are ordinary ones.
func (c *conv) role(client string) store.Role {
	if client != "" && client == c.meta.Creator {
		return store.RoleOwner
	}
	if m := c.member(client); m != nil && m.Role == store.RoleManager {
		return store.RoleManager
	}
	return store.RoleMember
}

// rank is the role of whoever asks; administrators stand above owners.
func (c *conv) rank(by Cause) store.Role {
	if by.Admin {
		return store.RoleOwner + 1
	}
	return c.role(by.Client)
}

// needCaps are the feature bits without which a session gets no push of the
// conversation.
func (c *conv) needCaps() int64 {
	if c.kind() == store.KindTemporary {
		return wire.BitTemporary
	}
	return 0
}

// next is the time of a message appended now to logs with these heads.
func (e *Engine) nextTS(heads ...store.Head) int64 {
	ts := e.now()
	for _, h := range heads {
		ts = max(ts, h.TS+1)
	}
	return ts
}

// changed returns a copy of the conversation's record to be changed and stored.
func (c *conv) changed(now int64) *store.Conv {
	meta := *c.meta
	meta.Version++
	meta.Updated = max(now, meta.Updated)
	meta.Members, meta.Last = nil, nil // those of the time of loading
	return &meta
}

// mayRead tells whether the caller may look at the members, roles and lists of
// the conversation.
func (c *conv) mayRead(by Cause) bool {
	return by.Admin || !listed(c.kind()) || c.has(by.Client)
}

// readLists loads the lists of a conversation. Their lengths are known without
// looking at them, so the common case, three empty lists, costs next to nothing.
func (e *Engine) readLists(ctx context.Context, app, cid string, l *lists) error {
	for _, kind := range []store.ListKind{store.ListBlocked, store.ListShutup, store.ListSilenced} {
		id := store.ListID{App: app, Kind: kind, Owner: cid}
		n, err := e.store.CountEntries(ctx, id)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		entries, err := e.allEntries(ctx, id)
		if err != nil {
			return err
		}
		switch kind {
		case store.ListBlocked:
			l.blocked = idSet(entries)
		case store.ListShutup:
			l.shutup = idSet(entries)
		case store.ListSilenced:
			l.silenced = make(map[string]int64, len(entries))
			for _, en := range entries {
				l.silenced[en.ID] = en.End
			}
		}
	}
	return nil
}

const entryPage = 1000

func (e *Engine) allEntries(ctx context.Context, id store.ListID) ([]store.Entry, error) {
	var all []store.Entry
	for after := ""; ; {
		page, err := e.store.Entries(ctx, id, after, entryPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < entryPage {
			return all, nil
		}
		after = page[len(page)-1].ID
	}
}

func idSet(entries []store.Entry) map[string]struct{} {
	m := make(map[string]struct{}, len(entries))
	for _, en := range entries {
		m[en.ID] = struct{}{}
	}
	return m
}

func (l *lists) isBlocked(client string) bool {
	_, ok := l.blocked[client]
	return ok
}

func (l *lists) isShutup(client string) bool {
	_, ok := l.shutup[client]
	return ok
}

func (l *lists) isSilenced(client string, now int64) bool {
	end, ok := l.silenced[client]
	return ok && (end == 0 || now < end)
}

// push publishes a frame of the conversation to clients.
func (e *Engine) push(c *conv, by Cause, clients []string, class fanout.Class, body []byte) {
	if len(clients) == 0 {
		return
	}
	e.sessions.Publish(&fanout.Event{
		App: c.app.ID, Kind: fanout.TargetClients, Clients: clients,
		Class: class, Body: body, NeedCaps: c.needCaps(), Hold: by.Hold,
	})
}
