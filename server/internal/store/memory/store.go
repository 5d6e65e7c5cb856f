package memory

import (
	"context"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/leanrtm/realtime/server/internal/store"
)

// shardCount must fit the bits of shardSet.
const shardCount = 64

// shardSet is a set of shards, one bit each.
type shardSet uint64

const allShards = ^shardSet(0)

// Store is a store.Store in memory. Use New.
type Store struct {
	seed   maphash.Seed
	shards [shardCount]shard
	closed atomic.Bool

	indexMu sync.RWMutex
	indexes map[string]*index // by app
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	s := &Store{seed: maphash.MakeSeed(), indexes: make(map[string]*index)}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.convs = make(map[key]*conv)
		sh.clients = make(map[key]*client)
		sh.records = make(map[recordKey]*list[*store.Record])
		sh.sends = make(map[string]*sendLog)
		sh.fences = make(map[uint32]uint64)
	}
	return s
}

// Caps tells that commits are inline and that nothing survives the process.
func (s *Store) Caps() store.Caps {
	return store.Caps{Inline: true, MaxBatch: 256}
}

// Close makes later calls fail. It never waits and always returns nil.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// begin is the start of every call.
func (s *Store) begin(ctx context.Context) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	return ctx.Err()
}

// shardOf spreads things over shards. Conversations and clients of equal ids may meet
// in one shard: they are in different maps.
func (s *Store) shardOf(app, id string) int {
	h := maphash.String(s.seed, app)
	h = h*31 + maphash.String(s.seed, id)
	return int(h % shardCount)
}

func (s *Store) shard(app, id string) *shard { return &s.shards[s.shardOf(app, id)] }

func (s *Store) recordShardOf(app string, kind store.RecordKind) int {
	return s.shardOf(app, string(kind))
}

func fenceShardOf(part uint32) int { return int(part % shardCount) }

func (s *Store) lock(set shardSet) {
	for m := uint64(set); m != 0; m &= m - 1 {
		s.shards[bits.TrailingZeros64(m)].mu.Lock()
	}
}

func (s *Store) unlock(set shardSet) {
	for m := uint64(set); m != 0; m &= m - 1 {
		s.shards[bits.TrailingZeros64(m)].mu.Unlock()
	}
}

// index returns the index of an app and makes it if need be.
func (s *Store) index(app string) *index {
	s.indexMu.RLock()
	x := s.indexes[app]
	s.indexMu.RUnlock()
	if x != nil {
		return x
	}
	s.indexMu.Lock()
	defer s.indexMu.Unlock()
	if x = s.indexes[app]; x == nil {
		x = newIndex()
		s.indexes[app] = x
	}
	return x
}

// Commit applies batches one after the other in the calling goroutine.
func (s *Store) Commit(ctx context.Context, bs []store.Batch) []error {
	var errs []error
	err := s.begin(ctx)
	for i := range bs {
		e := err
		if e == nil {
			e = s.commit(&bs[i])
		}
		if e != nil {
			if errs == nil {
				errs = make([]error, len(bs))
			}
			errs[i] = e
		}
	}
	return errs
}

func (s *Store) commit(b *store.Batch) error {
	n, err := s.survey(b)
	if err != nil {
		return err
	}
	tx := tx{s: s, b: b}
	s.lock(n.shards)
	defer s.unlock(n.shards)
	if n.index {
		tx.index = s.index(b.App)
		tx.index.mu.Lock()
		defer tx.index.mu.Unlock()
	}
	if err := tx.check(); err != nil {
		return err
	}
	tx.apply()
	return nil
}
