package link

import (
	"sync/atomic"

	"github.com/leanrtm/realtime/internal/conn"
)

// Counters count what links do. One value may serve several of them.
type Counters struct {
	Dials       atomic.Uint64 // attempts, one for each endpoint that was tried
	DialsFailed atomic.Uint64
	Connected   atomic.Uint64 // connections that came to be used
	Lost        atomic.Uint64 // of those, the ones that ended other than by Close
	Conn        conn.Counters
}
