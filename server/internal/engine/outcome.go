package engine

import (
	"github.com/leanrtm/realtime/internal/wire"
)

// Outcome is what became of an operation on several clients.
type Outcome struct {
	Allowed []string // those that are now in the wanted state
	Failed  []Failure
	Updated int64 // the conversation's new time of change
}

// Failure is why an operation failed for some clients.
type Failure struct {
	Code    wire.Code
	Detail  string
	Clients []string
}

// fail notes that a client failed; failures with the same code are told
// together, in the order in which they were found.
func (o *Outcome) fail(client string, code wire.Code, detail string) {
	for i := range o.Failed {
		if o.Failed[i].Code == code {
			o.Failed[i].Clients = append(o.Failed[i].Clients, client)
			return
		}
	}
	o.Failed = append(o.Failed, Failure{Code: code, Detail: detail, Clients: []string{client}})
}

func (o *Outcome) failed() map[string]bool {
	if len(o.Failed) == 0 {
		return nil
	}
	m := make(map[string]bool)
	for _, f := range o.Failed {
		for _, client := range f.Clients {
			m[client] = true
		}
	}
	return m
}

// validClient tells whether a client id can exist.
func validClient(id string) bool {
	if id == "" {
		return false
	}
	if len(id) <= wire.MaxClientID {
		return true
	}
	n := 0
	for range id {
		n++
	}
	return n <= wire.MaxClientID
}

// distinct returns the ids without repetition, in their order. It may return the
// list itself.
func distinct(ids []string) []string {
	if len(ids) < 2 {
		return ids
	}
	seen := make(map[string]struct{}, len(ids))
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		if _, ok := seen[id]; !ok {
			seen[id] = struct{}{}
			out = append(out, id)
		}
	}
	return out
}
