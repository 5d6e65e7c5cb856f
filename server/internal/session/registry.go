package session

import (
	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/fanout"
)

// Registry knows every open session of the process and pushes events to them.
// It is safe for concurrent use, and none of its methods waits for a network:
// all may be called with a conversation's lock held.
type Registry struct{}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{} }

// Publish pushes an event to its receivers. Events that are published one after
// the other reach a session in that order.
func (r *Registry) Publish(ev *fanout.Event) {}

// Online returns those of the clients that have an open session, in the order
// given.
func (r *Registry) Online(app string, clients []string) []string { return nil }

// OnlineCount is the number of clients of an app that have an open session.
func (r *Registry) OnlineCount(app string) int { return 0 }

// RoomJoin puts a session into a chat room. A session is in one room at most:
// left is the one that it was in before. ok is false if the session has ended.
func (r *Registry) RoomJoin(ref fanout.SessionRef, cid string) (left string, ok bool) {
	return "", false
}

// RoomLeave takes a session out of a chat room and tells whether it was there.
func (r *Registry) RoomLeave(ref fanout.SessionRef, cid string) bool { return false }

// RoomOf is the chat room that a session is in; empty: none.
func (r *Registry) RoomOf(ref fanout.SessionRef) string { return "" }

// RoomCount is the number of clients in a chat room.
func (r *Registry) RoomCount(app, cid string) int { return 0 }

// RoomMembers returns up to n clients that are in a chat room.
func (r *Registry) RoomMembers(app, cid string, n int) []string { return nil }

// Subscribed says that a client subscribes a service conversation, or no longer.
// Only its open sessions matter: later ones bring their subscriptions along.
func (r *Registry) Subscribed(app, client, cid string, on bool) {}

// Kick closes all sessions of a client and tells them why. It returns how many
// there were. The connections stay open.
func (r *Registry) Kick(app, client string, code wire.Code, reason string) int { return 0 }

// SetWill sets what happens when the session's connection is lost. will is
// called once, from a goroutine of its own accord and without a lock held; it is
// dropped when the session is closed in any other way, or by the next will. It
// returns false, and will is never called, if the session has ended.
func (r *Registry) SetWill(ref fanout.SessionRef, will func()) bool { return false }
