package sign

import (
	"errors"
	"sync"
	"time"
)

// ErrRevoked is a signature from before its client was kicked.
var ErrRevoked = errors.New("sign: signature was made before the client was kicked")

// Revoked is the memory of one app for the clients that were kicked: what was
// signed for their logins before is void, used or not. An entry is dropped when
// all that it is about is over by its age. Like that of [Used], the memory is
// the process's own.
//
// The zero value is ready. Safe for concurrent use.
type Revoked struct {
	mu    sync.Mutex
	at    map[string]int64 // by client, ms
	swept int64            // when what is over was last dropped, ms
}

// Revoke makes void what was signed for a client until now.
func (r *Revoked) Revoke(client string, now time.Time) {
	ms := now.UnixMilli()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = make(map[string]int64)
	}
	if ms-r.swept >= minute {
		r.swept = ms
		for id, at := range r.at {
			if at < ms-Lifetime.Milliseconds() {
				delete(r.at, id)
			}
		}
	}
	r.at[client] = max(r.at[client], ms)
}

// Check returns ErrRevoked for a signature with this time, if it is void. A
// time in seconds stands for the end of its second: what is signed right after
// a kick must work.
func (r *Revoked) Check(client string, timestamp int64) error {
	r.mu.Lock()
	at, kicked := r.at[client]
	r.mu.Unlock()
	if !kicked {
		return nil
	}
	made := millis(timestamp)
	if made != timestamp {
		made += time.Second.Milliseconds() - 1
	}
	if made <= at {
		return ErrRevoked
	}
	return nil
}
