package event

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Registry is a list of handlers of one kind of event. The zero value is
// empty and ready. Safe for concurrent use; no handler runs under its lock.
type Registry[E any] struct {
	mu   sync.Mutex // serialises changes
	list atomic.Pointer[[]*entry[E]]
}

type entry[E any] struct {
	handle  func(ctx context.Context, e E)
	stopped atomic.Bool
}

// Add appends a handler and returns the function that takes it off again.
// Once stop has returned no call of h starts. stop may be called any number of
// times, from anywhere, also from h. A nil h panics.
func (r *Registry[E]) Add(h func(ctx context.Context, e E)) (stop func()) {
	if h == nil {
		panic("realtime: nil event handler")
	}
	added := &entry[E]{handle: h}
	r.change(func(list []*entry[E]) []*entry[E] { return append(list, added) })
	return func() {
		if added.stopped.Swap(true) {
			return
		}
		r.change(func(list []*entry[E]) []*entry[E] {
			return slices.DeleteFunc(list, func(e *entry[E]) bool { return e == added })
		})
	}
}

// change replaces the list by a changed copy, since Call may be walking over
// the present one.
func (r *Registry[E]) change(edit func(list []*entry[E]) []*entry[E]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*entry[E]
	if old := r.list.Load(); old != nil {
		list = append(make([]*entry[E], 0, len(*old)+1), *old...)
	}
	if list = edit(list); len(list) == 0 {
		r.list.Store(nil)
		return
	}
	r.list.Store(&list)
}

// Call runs the handlers one after the other, in the order they were added,
// on the calling goroutine. A handler that is added meanwhile is not among
// them, one that is stopped meanwhile is left out.
func (r *Registry[E]) Call(ctx context.Context, e E) {
	list := r.list.Load()
	if list == nil {
		return
	}
	for _, entry := range *list {
		if !entry.stopped.Load() {
			entry.handle(ctx, e)
		}
	}
}

// Len returns the number of handlers.
func (r *Registry[E]) Len() int {
	if list := r.list.Load(); list != nil {
		return len(*list)
	}
	return 0
}
