package command

import "sync"

const (
	minute     = 60_000 // ms
	firstSweep = 4096
)

// rate limits how often each client does something. A client may do all it is
// allowed in a minute at once; its allowance comes back evenly.
type rate struct {
	perMinute int // negative: no limit

	mu      sync.Mutex
	clients map[rateKey]allowance
	sweep   int // number of clients at which idle ones are forgotten
}

type rateKey struct{ app, client string }

type allowance struct {
	spent int64 // in units of 1/perMinute of a request's cost, minute per request
	at    int64
}

func (r *rate) allow(app, client string, now int64) bool {
	if r.perMinute < 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients == nil {
		r.clients, r.sweep = make(map[rateKey]allowance), firstSweep
	}
	key := rateKey{app, client}
	a := r.clients[key]
	a.spent, a.at = a.left(now, r.perMinute), now
	if a.spent+minute > int64(r.perMinute)*minute {
		return false
	}
	a.spent += minute
	if len(r.clients) >= r.sweep {
		for k, old := range r.clients {
			if old.left(now, r.perMinute) == 0 {
				delete(r.clients, k)
			}
		}
		r.sweep = max(firstSweep, 2*len(r.clients))
	}
	r.clients[key] = a
	return true
}

// left is what of the spending is not given back yet.
func (a allowance) left(now int64, perMinute int) int64 {
	return max(0, a.spent-(now-a.at)*int64(perMinute))
}
