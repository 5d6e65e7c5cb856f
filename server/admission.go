package server

import (
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/limit"
	"github.com/leanrtm/realtime/server/internal/transport"
)

// admission decides on upgrades before they cost anything: how many connections
// there may be, in all and from one address, and how many a second may begin.
type admission struct {
	limits limit.Limits

	mu      sync.Mutex
	open    int
	byIP    map[string]int // not kept unless it is limited
	refused uint64
	// The allowance of new connections: full after a second without any.
	left float64
	at   time.Time
}

func newAdmission(l limit.Limits) *admission {
	return &admission{limits: l, byIP: make(map[string]int), left: float64(l.ConnectRate), at: time.Now()}
}

// retryAfter is told to those who are refused: seconds, different ones, so that
// they do not come back together.
const retryAfter = 5

// enter admits a connection from an address, or says why not. leave must follow
// what was admitted.
func (a *admission) enter(ip string) (why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if limit.Exceeds(a.open+1, a.limits.Connections) {
		a.refused++
		return "too many connections"
	}
	if limit.Exceeds(a.byIP[ip]+1, a.limits.ConnectionsIP) {
		a.refused++
		return "too many connections from this address"
	}
	if rate := float64(a.limits.ConnectRate); rate >= 0 {
		now := time.Now()
		a.left = min(rate, a.left+rate*now.Sub(a.at).Seconds())
		a.at = now
		if a.left < 1 {
			a.refused++
			return "too many new connections"
		}
		a.left--
	}
	a.open++
	if a.limits.ConnectionsIP >= 0 {
		a.byIP[ip]++
	}
	return ""
}

func (a *admission) leave(ip string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	if a.limits.ConnectionsIP < 0 {
		return
	}
	if a.byIP[ip]--; a.byIP[ip] == 0 {
		delete(a.byIP, ip)
	}
}

func (a *admission) refusals() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused
}

// admit answers a request that is not admitted.
func (a *admission) admit(w http.ResponseWriter, ip string) bool {
	why := a.enter(ip)
	if why == "" {
		return true
	}
	w.Header().Set("Retry-After", strconv.Itoa(1+rand.IntN(retryAfter)))
	writeError(w, http.StatusServiceUnavailable, int(wire.CodeAppQuotaExceeded), why)
	return false
}

// admitted is a connection's receiver that gives the place back.
type admitted struct {
	transport.Receiver
	leave func()
}

// Closed implements transport.Receiver.
func (r *admitted) Closed(why transport.Why) {
	defer r.leave()
	r.Receiver.Closed(why)
}

func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
