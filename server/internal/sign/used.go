package sign

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUsed is a signature that was accepted before.
var ErrUsed = errors.New("sign: signature was used before")

// ErrForgotten is a signature so old that whether it was used is not known any
// more, since too many newer ones were.
var ErrForgotten = errors.New("sign: signature is too old, many newer ones were used")

// Used is the memory of one app for the signatures that it has accepted, so
// that each allows one operation: who overhears one cannot use it again, be it
// for the same login, change of members or look into the history.
//
// What is remembered is the signature itself, which covers everything that was
// signed: the app, who does what to whom, the time and the nonce. So two
// signatures that happen to have one nonce do not get in each other's way. An
// operation that fails for another reason has used its signature up as well.
//
// Memory is bounded twice. A signature is forgotten when its time is over, for
// from then on it is refused by its age. If more than a limit are used before
// that, the oldest minute is forgotten and everything signed in it or before is
// refused: the time for which a signature is valid gets shorter, but none works
// twice. The memory is the process's own: another process, and the same after a
// restart, knows nothing of it.
//
// The zero value is not ready: use NewUsed. Safe for concurrent use.
type Used struct {
	perShard int
	swept    atomic.Int64 // the minute in which what is over was last dropped
	shards   [usedShards]usedShard
}

const (
	usedShards = 16
	// maxUsed is how many signatures one app remembers by default: 48 a second
	// over the whole life of a signature, in about 40 MB.
	maxUsed = 1 << 20
	minute  = int64(time.Minute / time.Millisecond)
)

// fingerprint is the beginning of a signature, long enough that nobody finds
// two with one.
type fingerprint [16]byte

type usedShard struct {
	mu      sync.Mutex
	minutes map[int64]map[fingerprint]struct{} // by the minute of the signature's time
	count   int
	floor   int64 // nothing of this minute and before is accepted any more
}

// NewUsed returns a memory for that many signatures; 0: a default that fits a
// large app.
func NewUsed(limit int) *Used {
	if limit <= 0 {
		limit = maxUsed
	}
	return &Used{perShard: max(1, limit/usedShards)}
}

// Accept checks a signature of the text as [Text.Verify] does, and uses it up: the
// next time the answer is ErrUsed. Of several calls at once one succeeds.
func (u *Used) Accept(t Text, masterKey string, s Signature, now time.Time) error {
	if err := t.Verify(masterKey, s, now); err != nil {
		return err
	}
	var fp fingerprint
	// Verify has found it to be 40 hex digits. Decoded, since their case is free.
	if _, err := hex.Decode(fp[:], []byte(s.Value[:2*len(fp)])); err != nil {
		return ErrWrong
	}
	u.sweep(now.UnixMilli())
	shard := &u.shards[binary.LittleEndian.Uint64(fp[:])%usedShards]
	return shard.add(fp, millis(s.Timestamp)/minute, u.perShard)
}

// sweep drops what is over, once a minute.
func (u *Used) sweep(now int64) {
	current := now / minute
	if last := u.swept.Load(); last >= current || !u.swept.CompareAndSwap(last, current) {
		return
	}
	oldest := (now - Lifetime.Milliseconds()) / minute // its later part may still be valid
	for i := range u.shards {
		u.shards[i].dropBefore(oldest)
	}
}

func (s *usedShard) dropBefore(oldest int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := range s.minutes {
		if m < oldest {
			s.drop(m)
		}
	}
}

// drop forgets a minute, with mu held.
func (s *usedShard) drop(m int64) {
	s.count -= len(s.minutes[m])
	delete(s.minutes, m)
}

func (s *usedShard) add(fp fingerprint, m int64, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.minutes[m][fp]; again {
		return ErrUsed
	}
	if s.count >= limit && m > s.floor {
		oldest := m
		for have := range s.minutes {
			oldest = min(oldest, have)
		}
		s.drop(oldest)
		s.floor = oldest
	}
	if m <= s.floor {
		return ErrForgotten
	}
	if s.minutes == nil {
		s.minutes = make(map[int64]map[fingerprint]struct{})
	}
	if s.minutes[m] == nil {
		s.minutes[m] = make(map[fingerprint]struct{})
	}
	s.minutes[m][fp] = struct{}{}
	s.count++
	return nil
}
