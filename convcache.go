package realtime

import (
	"hash/maphash"
	"sync"
	"time"
	"weak"
)

// convCache holds the conversations of one client: one object per id for as
// long as anybody holds it or listens on it, and the most recently used ones
// for some time more. The others it knows by weak pointers.
type convCache struct {
	client *IMClient

	mu      sync.Mutex
	entries map[string]*convEntry
	sweep   int // size of entries at which the dead ones are removed
	// Used since the last turn, and in the turn before: together what is kept
	// alive for nobody's sake.
	young, old map[string]*Conversation
}

type convEntry struct {
	ptr       weak.Pointer[Conversation]
	listeners int
	held      *Conversation // keeps it alive while somebody listens
}

// keepAlive is how many unused conversations a turn has.
const keepAlive = 256

// newConvCache makes the cache of a new client, and readies its clientSync.
func newConvCache(c *IMClient) *convCache {
	c.sync.init(c)
	// The maps are made when there is something to put into them: most clients of
	// a connection that has many are silent.
	return &convCache{client: c, sweep: 4 * keepAlive}
}

// init readies the state of a new client.
func (s *clientSync) init(c *IMClient) {
	s.client, s.seed = c, maphash.MakeSeed()
	s.acks.send, s.reads.send = s.flushAcks, s.flushReads
	// Until the server has told its time; as other SDKs do.
	s.lastPatch = time.Now().UnixMilli()
	if c.opts.hasPosition {
		s.resume(c.opts.position)
	}
}

// lookup returns a known conversation, or nil.
func (cc *convCache) lookup(id string) *Conversation {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	return cc.get(id)
}

// get is lookup with mu held.
func (cc *convCache) get(id string) *Conversation {
	if conv := cc.young[id]; conv != nil {
		return conv
	}
	e := cc.entries[id]
	if e == nil {
		return nil
	}
	conv := e.ptr.Value()
	if conv != nil {
		cc.keep(id, conv)
	}
	return conv
}

// keep keeps conv alive for some time, with mu held.
func (cc *convCache) keep(id string, conv *Conversation) {
	switch {
	case cc.young == nil:
		cc.young = make(map[string]*Conversation)
	case len(cc.young) >= keepAlive:
		cc.old, cc.young = cc.young, make(map[string]*Conversation, keepAlive)
	}
	cc.young[id] = conv
}

// getOrMake returns the conversation of an id, a new one without any state if
// none is known.
func (cc *convCache) getOrMake(id string) (conv *Conversation, made bool) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if conv := cc.get(id); conv != nil {
		return conv, false
	}
	conv = &Conversation{id: id, client: cc.client}
	conv.events.changed = conv.listenersChanged
	if len(cc.entries) >= cc.sweep {
		for id, e := range cc.entries {
			if e.listeners == 0 && e.ptr.Value() == nil {
				delete(cc.entries, id)
			}
		}
		cc.sweep = max(4*keepAlive, 2*len(cc.entries))
	}
	if cc.entries == nil {
		cc.entries = make(map[string]*convEntry)
	}
	cc.entries[id] = &convEntry{ptr: weak.Make(conv)}
	cc.keep(id, conv)
	return conv, true
}

// listenersChanged is told when a handler of the conversation comes or goes.
func (c *Conversation) listenersChanged(delta int) {
	c.client.listenersChanged(delta)
	cc := c.client.convs
	cc.mu.Lock()
	defer cc.mu.Unlock()
	e := cc.entries[c.id] // is there as long as anybody, such as the caller, holds c
	e.listeners += delta
	if e.held = nil; e.listeners > 0 {
		e.held = c
	}
}

// learn takes over what data says of a conversation and returns it.
func (cc *convCache) learn(data *convData) *Conversation {
	conv, made := cc.getOrMake(data.id)
	conv.mu.Lock()
	conv.state.merge(data)
	conv.mu.Unlock()
	cc.created(conv, made)
	return conv
}

// learnMissing is learn that does not touch what is known already.
func (cc *convCache) learnMissing(data *convData) *Conversation {
	conv, made := cc.getOrMake(data.id)
	conv.mu.Lock()
	if !conv.state.known {
		conv.state.merge(data)
	}
	conv.mu.Unlock()
	cc.created(conv, made)
	return conv
}

// bare returns a conversation of which perhaps nothing but the id is known.
func (cc *convCache) bare(id string, kind Kind) *Conversation {
	conv, made := cc.getOrMake(id)
	conv.mu.Lock()
	if s := &conv.state; !s.sure {
		switch {
		case kind != 0:
			s.kind, s.sure = kind, true
		case temporaryID(id):
			s.kind, s.sure = KindTemporary, true
		default:
			s.kind = KindNormal // by far the most likely one
		}
	}
	conv.mu.Unlock()
	cc.created(conv, made)
	return conv
}

// created tells the plugins of a new object.
func (cc *convCache) created(conv *Conversation, made bool) {
	if !made {
		return
	}
	for _, p := range cc.client.rt.plugins {
		if p.OnConversationCreate != nil {
			p.OnConversationCreate(conv)
		}
	}
}
