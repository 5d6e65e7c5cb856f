package session

// RoomEvict takes every session of a client out of a chat room. It returns how
// many there were.
func (r *Registry) RoomEvict(app, client, cid string) int {
	a := r.app(app)
	if a == nil {
		return 0
	}
	n := 0
	for _, s := range a.sessions(client) {
		if r.RoomLeave(s.ref, cid) {
			n++
		}
	}
	return n
}
