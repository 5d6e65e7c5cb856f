package realtime

import (
	"context"
	"errors"
	"iter"
)

// allPage is how many conversations All fetches at a time.
const allPage = 100

// All returns all conversations that meet the conditions, page after page,
// each once. Unless they are sorted they come in no particular order, and none
// is missed whatever happens meanwhile; sorted, what moves meanwhile may be. An
// error is the last pair. Each range asks again.
func (q *ConversationQuery) All(ctx context.Context) iter.Seq2[*Conversation, error] {
	return func(yield func(*Conversation, error) bool) {
		if err := q.err(); err != nil {
			yield(nil, err)
		} else if len(q.sort) == 0 && q.skip == 0 {
			q.allByID(ctx, yield)
		} else {
			q.allSorted(ctx, yield)
		}
	}
}

// pageSize is how many to ask for at a time, and full what a server that caps
// that still gives when there are more.
func (q *ConversationQuery) pageSize() (n, full int) {
	n = q.limit
	if n == 0 {
		n = allPage
	}
	return n, min(n, allPage)
}

// allByID goes through the ids, which do not change: each page begins after the
// last id of the one before.
func (q *ConversationQuery) allByID(ctx context.Context, yield func(*Conversation, error) bool) {
	const key = "objectId"
	size, full := q.pageSize()
	for last := ""; ; {
		filter := q.filter()
		if len(filter) == 0 {
			// What no condition means to the server, which ours would add to.
			filter["m"] = q.client.ID()
		}
		if after := map[string]any{"$gt": last}; last == "" {
		} else if _, taken := filter[key]; taken {
			filter = map[string]any{"$and": []any{filter, map[string]any{key: after}}}
		} else {
			filter[key] = after
		}
		page, err := q.find(ctx, filter, []string{key}, 0, size)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, conv := range page {
			if conv.id <= last {
				yield(nil, errOrder)
				return
			}
			last = conv.id
			if !yield(conv, nil) {
				return
			}
		}
		if len(page) < full {
			return
		}
	}
}

// errOrder ends a sequence that would otherwise go round in circles.
var errOrder = errors.New("realtime: the server does not return conversations in the order that was asked for")

// allSorted counts how many there were. What moves to a later page meanwhile
// comes twice, and is left out then.
func (q *ConversationQuery) allSorted(ctx context.Context, yield func(*Conversation, error) bool) {
	size, full := q.pageSize()
	seen := make(map[string]struct{})
	for skip := q.skip; ; {
		page, err := q.find(ctx, q.filter(), q.sort, skip, size)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, conv := range page {
			if _, again := seen[conv.id]; again {
				continue
			}
			seen[conv.id] = struct{}{}
			if !yield(conv, nil) {
				return
			}
		}
		if len(page) < full {
			return
		}
		skip += len(page)
	}
}
