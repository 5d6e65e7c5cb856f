package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/hook"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
	"github.com/leanrtm/realtime/server/internal/where"
)

// How long temporary conversations last.
const (
	DefaultTTL = 24 * time.Hour
	MaxTTL     = 30 * 24 * time.Hour
)

// NewConv is a conversation to be created.
type NewConv struct {
	Kind      store.ConvKind
	Members   []string        // as the client named them; the creator is added
	Attrs     json.RawMessage // top-level keys and values
	Unique    bool            // reuse the conversation of exactly these members
	TTL       time.Duration   // temporary conversations; 0: DefaultTTL
	Signature sign.Signature
	// Creator is whom an administrator makes the conversation for, and so its
	// owner; empty: nobody's. Clients are the creators of what they create.
	Creator string
}

// CreatedConv is a conversation that was created, or found again.
type CreatedConv struct {
	Cid      string
	Created  int64
	Updated  int64
	UniqueID string        // of unique conversations
	TTL      time.Duration // of temporary conversations: what is left, in whole seconds
	Existing bool          // it was there before
}

// Create creates a conversation, or returns the one that a unique or temporary
// conversation of the same members already is.
func (e *Engine) Create(ctx context.Context, by Cause, n NewConv) (CreatedConv, error) {
	a, err := e.app(by.App)
	if err != nil {
		return CreatedConv{}, err
	}
	if n.Kind == store.KindService && !by.Admin {
		return CreatedConv{}, refuse(wire.CodeConversationNotAllowed, "service conversations are created by the app")
	}
	if err := e.verify(a, by, a.VerifyConversation, wire.CodeConversationSignatureFailed, n.Signature, func() sign.Text {
		return sign.Create(a.ID, by.Client, n.Members)
	}); err != nil {
		return CreatedConv{}, err
	}
	members, err := e.firstMembers(by, &n)
	if err != nil {
		return CreatedConv{}, err
	}
	attrs, err := e.attributes(where.Object{}, n.Attrs)
	if err != nil {
		return CreatedConv{}, err
	}
	key := n.key(members)
	if made, err := e.existing(ctx, a, key); err != nil || made.Existing {
		return made, err
	}
	if err := e.askStart(ctx, a, by, members, attrs.Text()); err != nil {
		return CreatedConv{}, err
	}
	var made CreatedConv
	err = retry(func() error {
		if made, err = e.existing(ctx, a, key); err != nil || made.Existing {
			return err
		}
		made, err = e.create(ctx, a, by, &n, members, attrs, key)
		if _, taken := store.AsGuard(err, store.GuardKey); taken {
			// Somebody was faster with the same members.
			return errStale
		}
		return err
	})
	if err != nil || made.Existing {
		return made, err
	}
	if n.Kind == store.KindRoom && by.Session != 0 {
		e.sessions.RoomJoin(by.Session, made.Cid)
	}
	if h := e.hooks.ConversationStarted; h != nil {
		ev := &hook.ConversationStarted{App: a.ID, ConvID: made.Cid}
		e.after.do(func(ctx context.Context) { h(ctx, ev) })
	}
	return made, nil
}

// firstMembers is the sorted list of those who are in from the beginning.
func (e *Engine) firstMembers(by Cause, n *NewConv) ([]string, error) {
	if !listed(n.Kind) {
		return nil, nil
	}
	members := n.Members
	if creator := by.initBy(); creator != "" {
		// First, so that a list that is too long does not lose its creator.
		members = append([]string{creator}, members...)
	}
	members = slices.Clone(distinct(members))
	for _, client := range members {
		if !validClient(client) {
			return nil, refuse(wire.CodeConversationAPIFailed, "invalid member id")
		}
	}
	if n.Kind == store.KindTemporary && limit.Exceeds(len(members), e.limits.TempMembers) {
		return nil, refuse(wire.CodeConversationFull, "")
	}
	if n.Kind == store.KindNormal {
		members = members[:limit.Clamp(len(members), e.limits.Members)]
	}
	slices.Sort(members)
	return members, nil
}

// key is the unique key of the new conversation; empty: it is a new one anyway.
func (n *NewConv) key(members []string) string {
	switch {
	case n.Kind == store.KindTemporary:
		return uniqueKey(keyTemporary, members)
	case n.Kind == store.KindNormal && n.Unique:
		return uniqueKey(keyNormal, members)
	}
	return ""
}

// existing returns the conversation that holds the key, with Existing false if
// none does.
func (e *Engine) existing(ctx context.Context, a *app, key string) (CreatedConv, error) {
	if key == "" {
		return CreatedConv{}, nil
	}
	found, err := e.holder(ctx, a, key)
	if err != nil {
		return CreatedConv{}, e.broken(wire.CodeConversationInternalError, "look for conversation", err)
	}
	if found == nil {
		return CreatedConv{}, nil
	}
	// The cache knows whether it ended, and ends it.
	c, err := e.lock(ctx, a, found.Cid)
	if err != nil {
		if is(err, wire.CodeConversationNotFound) {
			return CreatedConv{}, nil
		}
		return CreatedConv{}, err
	}
	defer c.mu.Unlock()
	return CreatedConv{
		Cid: c.cid, Created: c.meta.Created, Updated: c.meta.Updated, UniqueID: c.meta.UniqueID,
		TTL: left(c.meta, e.now()), Existing: true,
	}, nil
}

func (e *Engine) create(ctx context.Context, a *app, by Cause, n *NewConv, ids []string, attrs where.Object, key string) (CreatedConv, error) {
	now := e.now()
	meta := &store.Conv{
		Kind: n.Kind, Creator: n.creator(by), Created: now, Updated: now, Version: 1, MemberVersion: 1,
		UniqueKey: key,
	}
	switch n.Kind {
	case store.KindTemporary:
		meta.Cid = e.ids.Temp()
		ttl := n.TTL
		if ttl <= 0 {
			ttl = DefaultTTL
		}
		meta.TTLEnd = now + min(ttl, MaxTTL).Milliseconds()
	default:
		meta.Cid = e.ids.Conv()
	}
	if attrs.Len() > 0 {
		meta.Attrs = attrs.Text()
	}
	if key != "" && n.Kind == store.KindNormal {
		meta.Unique, meta.UniqueID = true, uniqueID(ids)
	}
	b := store.Batch{
		Guards: []store.Guard{&store.Version{Cid: meta.Cid, N: 0}},
		Ops:    []store.Op{&store.PutConv{Conv: meta}},
	}
	if key != "" {
		b.Guards = append(b.Guards, &store.FreeKey{Key: key})
	}
	members := make([]store.Member, len(ids))
	for i, client := range ids {
		members[i] = store.Member{Client: client, Joined: joinTime(now, store.Head{})}
		b.Ops = append(b.Ops, &store.PutMember{Cid: meta.Cid, Member: members[i]})
	}
	// Nobody else can have it yet, and the cache loads it when it is used.
	c := &conv{app: a, cid: meta.Cid, is: meta.Kind, meta: meta}
	c.setMembers(members)
	var all []news
	if len(ids) > 0 {
		about := notice{cid: c.cid, initBy: by.initBy(), updated: now}
		all = []news{
			personal(about.as(pb.OpType_joined, nil), ids),
			group(about.as(pb.OpType_members_joined, ids), ids),
		}
	}
	if err := e.announce(ctx, c, by, b, all); err != nil {
		return CreatedConv{}, err
	}
	if meta.TTLEnd != 0 {
		e.janitor.wake(meta.TTLEnd)
	}
	return CreatedConv{
		Cid: c.cid, Created: now, Updated: now, UniqueID: meta.UniqueID, TTL: left(meta, now),
	}, nil
}

// as is the notice as another op about these clients.
func (n notice) as(op pb.OpType, clients []string) notice {
	n.op, n.clients = op, clients
	return n
}

// left is how long a temporary conversation still lasts, rounded up to seconds.
func left(meta *store.Conv, now int64) time.Duration {
	if meta.TTLEnd == 0 {
		return 0
	}
	const second = int64(time.Second / time.Millisecond)
	return time.Duration((meta.TTLEnd-now+second-1)/second) * time.Second
}

func (e *Engine) askStart(ctx context.Context, a *app, by Cause, members []string, attrs json.RawMessage) error {
	h := e.hooks.ConversationStart
	if h == nil {
		return nil
	}
	ev := &hook.ConversationStart{App: a.ID, InitBy: by.initBy(), Members: members, Attr: attrs}
	v, ok := decide(ctx, e, "conversation start", func(ctx context.Context) (hook.Verdict, error) { return h(ctx, ev) })
	if ok && v.Reject {
		return rejected(v)
	}
	return ctx.Err()
}

// attributes applies changes of attributes, leaving alone the keys that are the
// server's.
func (e *Engine) attributes(old where.Object, changes json.RawMessage) (where.Object, error) {
	o, _, err := old.Apply(changes, e.where, reserved)
	if err != nil {
		var bad *where.Error
		if errors.As(err, &bad) {
			return old, refuse(wire.CodeConversationAPIFailed, bad.Error())
		}
		return old, err
	}
	return o, nil
}

func (n *NewConv) creator(by Cause) string {
	if by.Admin {
		return n.Creator
	}
	return by.initBy()
}
