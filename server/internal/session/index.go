package session

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// appIndex finds the sessions of one app.
type appIndex struct {
	seed  maphash.Seed
	count atomic.Int64 // clients with a session

	clients [shards]struct {
		sync.RWMutex
		sessions map[string][]*Session
	}
	rooms [shards]struct {
		sync.RWMutex
		rooms map[string]*room
	}
	services [shards]struct {
		sync.RWMutex
		subscribers map[string]*set
	}

	// opening guards behind, the sessions whose gate is shut. It is held for
	// writing while a session is indexed as a subscriber and its gate opens, and
	// for reading while an event goes to subscribers.
	opening sync.RWMutex
	behind  map[*Session]struct{}
}

func newAppIndex(seed maphash.Seed) *appIndex {
	a := &appIndex{seed: seed, behind: make(map[*Session]struct{})}
	for i := range shards {
		a.clients[i].sessions = make(map[string][]*Session)
		a.rooms[i].rooms = make(map[string]*room)
		a.services[i].subscribers = make(map[string]*set)
	}
	return a
}

func (a *appIndex) shard(key string) uint64 { return maphash.String(a.seed, key) % shards }

// add indexes a session by its client, with its gate shut.
func (a *appIndex) add(s *Session) {
	a.opening.Lock()
	a.behind[s] = struct{}{}
	a.opening.Unlock()
	shard := &a.clients[a.shard(s.client)]
	shard.Lock()
	list := shard.sessions[s.client]
	if len(list) == 0 {
		a.count.Add(1)
	}
	shard.sessions[s.client] = append(list, s)
	shard.Unlock()
}

func (a *appIndex) remove(s *Session) {
	shard := &a.clients[a.shard(s.client)]
	shard.Lock()
	defer shard.Unlock()
	list := shard.sessions[s.client]
	for i := range list {
		if list[i] != s {
			continue
		}
		if len(list) == 1 {
			delete(shard.sessions, s.client)
			a.count.Add(-1)
			return
		}
		copy(list[i:], list[i+1:])
		list[len(list)-1] = nil
		shard.sessions[s.client] = list[:len(list)-1]
		return
	}
}

// sessions returns a copy of a client's sessions.
func (a *appIndex) sessions(client string) []*Session {
	shard := &a.clients[a.shard(client)]
	shard.RLock()
	defer shard.RUnlock()
	return append([]*Session(nil), shard.sessions[client]...)
}

// online tells whether a client has a session on a connection that is not about
// to end.
func (a *appIndex) online(client string) bool {
	shard := &a.clients[a.shard(client)]
	shard.RLock()
	defer shard.RUnlock()
	for _, s := range shard.sessions[client] {
		if !s.conn.Ending() {
			return true
		}
	}
	return false
}

func (a *appIndex) toClient(client string, p *parcel) {
	shard := &a.clients[a.shard(client)]
	shard.RLock()
	defer shard.RUnlock()
	for _, s := range shard.sessions[client] {
		p.to(s)
	}
}

func (a *appIndex) toEveryone(p *parcel) {
	for i := range a.clients {
		shard := &a.clients[i]
		shard.RLock()
		for _, list := range shard.sessions {
			for _, s := range list {
				p.to(s)
			}
		}
		shard.RUnlock()
	}
}

// room is who is present in a chat room.
type room struct {
	sessions set
	clients  map[string]int // sessions of each client
}

func (a *appIndex) join(s *Session, cid string) {
	shard := &a.rooms[a.shard(cid)]
	shard.Lock()
	defer shard.Unlock()
	r := shard.rooms[cid]
	if r == nil {
		r = &room{clients: make(map[string]int)}
		shard.rooms[cid] = r
	}
	r.sessions.add(s)
	r.clients[s.client]++
}

func (a *appIndex) leave(s *Session, cid string) {
	shard := &a.rooms[a.shard(cid)]
	shard.Lock()
	defer shard.Unlock()
	r := shard.rooms[cid]
	if r == nil || !r.sessions.remove(s) {
		return
	}
	if r.clients[s.client]--; r.clients[s.client] == 0 {
		delete(r.clients, s.client)
	}
	if len(r.clients) == 0 {
		delete(shard.rooms, cid)
	}
}

func (a *appIndex) roomCount(cid string) int {
	shard := &a.rooms[a.shard(cid)]
	shard.RLock()
	defer shard.RUnlock()
	if r := shard.rooms[cid]; r != nil {
		return len(r.clients)
	}
	return 0
}

func (a *appIndex) roomMembers(cid string, n int) []string {
	shard := &a.rooms[a.shard(cid)]
	shard.RLock()
	defer shard.RUnlock()
	r := shard.rooms[cid]
	if r == nil {
		return nil
	}
	members := make([]string, 0, min(n, len(r.clients)))
	for client := range r.clients {
		if len(members) == n {
			break
		}
		members = append(members, client)
	}
	return members
}

func (a *appIndex) toRoom(cid string, p *parcel) {
	shard := &a.rooms[a.shard(cid)]
	shard.RLock()
	defer shard.RUnlock()
	if r := shard.rooms[cid]; r != nil {
		p.toSet(&r.sessions)
	}
}

func (a *appIndex) subscribe(s *Session, cid string) {
	shard := &a.services[a.shard(cid)]
	shard.Lock()
	defer shard.Unlock()
	subscribers := shard.subscribers[cid]
	if subscribers == nil {
		subscribers = new(set)
		shard.subscribers[cid] = subscribers
	}
	subscribers.add(s)
}

func (a *appIndex) unsubscribe(s *Session, cid string) {
	shard := &a.services[a.shard(cid)]
	shard.Lock()
	defer shard.Unlock()
	if subscribers := shard.subscribers[cid]; subscribers != nil {
		subscribers.remove(s)
		if len(subscribers.list) == 0 {
			delete(shard.subscribers, cid)
		}
	}
}

func (a *appIndex) toSubscribers(cid string, p *parcel) {
	a.opening.RLock()
	defer a.opening.RUnlock()
	for s := range a.behind {
		p.to(s) // its gate keeps the event: it cannot open now
	}
	shard := &a.services[a.shard(cid)]
	shard.RLock()
	defer shard.RUnlock()
	p.toSet(shard.subscribers[cid])
}

// set is a set of sessions that is fast to walk. Changing it needs the lock of
// its shard for writing, everything else for reading.
type set struct {
	list   []*Session
	at     map[*Session]int
	shares atomic.Pointer[[maxWorkers][]*Session] // the list by worker, as it is; nil: not made yet
}

// byWorker returns the sessions of each worker. Nobody changes what is returned.
func (st *set) byWorker() *[maxWorkers][]*Session {
	if made := st.shares.Load(); made != nil {
		return made
	}
	shares := new([maxWorkers][]*Session)
	for _, s := range st.list {
		shares[s.worker] = append(shares[s.worker], s)
	}
	st.shares.Store(shares)
	return shares
}

func (st *set) add(s *Session) {
	if _, ok := st.at[s]; ok {
		return
	}
	if st.at == nil {
		st.at = make(map[*Session]int)
	}
	st.at[s] = len(st.list)
	st.list = append(st.list, s)
	st.shares.Store(nil)
}

func (st *set) remove(s *Session) bool {
	i, ok := st.at[s]
	if !ok {
		return false
	}
	last := len(st.list) - 1
	st.list[i] = st.list[last]
	st.at[st.list[i]] = i
	st.list[last] = nil
	st.list = st.list[:last]
	delete(st.at, s)
	st.shares.Store(nil)
	return true
}
