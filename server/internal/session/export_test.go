package session

// SetFanOut changes how many workers there are, up to how many receivers are
// served by the publisher, and how many pushes may wait for a worker. It is for
// before the first connection.
func (r *Registry) SetFanOut(workers, inline, backlog int) {
	r.spread.init(workers)
	r.spread.inline, r.spread.backlog = inline, backlog
}

// HoldWorkers keeps the workers from pushing until release is called.
func (r *Registry) HoldWorkers() (release func()) {
	for i := range r.spread.workers {
		r.spread.workers[i].passing.Lock()
	}
	return func() {
		for i := range r.spread.workers {
			r.spread.workers[i].passing.Unlock()
		}
	}
}

// Over tells whether the only session of a client is about to end.
func (r *Registry) Over(app, client string) bool {
	sessions := r.app(app).sessions(client)
	return len(sessions) == 1 && sessions[0].over.Load()
}

// Granted tells whether the login of the only session of a client was granted.
func (r *Registry) Granted(app, client string) bool {
	a := r.app(app)
	if a == nil {
		return false
	}
	sessions := a.sessions(client)
	if len(sessions) != 1 {
		return false
	}
	sessions[0].mu.Lock()
	defer sessions[0].mu.Unlock()
	return sessions[0].open
}
