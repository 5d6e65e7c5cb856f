package admin

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"net/url"
	"strconv"

	"github.com/leanrtm/realtime"
)

// Page sizes of the API.
const (
	defaultPage = 100
	maxPage     = 1000
	// fullPage is what a server that caps the page size still gives when there is
	// more.
	fullPage         = 100
	subscriptionPage = 50
)

// Query says which conversations are wanted. The zero Query asks for all.
type Query struct {
	// Where is a filter in the form of the storage API: {"name": "x", "attr.level":
	// map[string]any{"$gt": 3}}. A time.Time becomes a Date.
	Where map[string]any
	// Skip is how many to leave out at the beginning.
	Skip int
	// Limit is the page size, 1 to 1000; 0: 100. It is no limit of the total.
	Limit int
}

func (q *Query) check() error {
	switch {
	case q.Limit < 0 || q.Limit > maxPage:
		return invalidArgument("Limit %d is not within 1 and %d", q.Limit, maxPage)
	case q.Skip < 0:
		return invalidArgument("Skip is negative")
	}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	return nil
}

const keyID = "objectId"

// after is the filter for what comes after an id, in the order of ids.
func (q *Query) after(last string) map[string]any {
	if last == "" {
		return q.Where
	}
	later := map[string]any{keyID: map[string]any{"$gt": last}}
	if _, taken := q.Where[keyID]; taken {
		return map[string]any{"$and": []any{q.Where, later}}
	}
	filter := maps.Clone(q.Where)
	if filter == nil {
		return later
	}
	filter[keyID] = later[keyID]
	return filter
}

// conversations fetches one page.
func (c *Client) conversations(ctx context.Context, collection string, where map[string]any, skip, limit int) ([]realtime.ConversationInfo, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}, "order": {keyID}}
	if skip > 0 {
		query.Set("skip", strconv.Itoa(skip))
	}
	if len(where) > 0 {
		filter, err := encodeValue(where)
		if err != nil {
			return nil, invalidArgument("Where: %w", err)
		}
		query.Set("where", string(filter))
	}
	var answer struct {
		Results []map[string]json.RawMessage `json:"results"`
	}
	if err := c.do(ctx, call{method: "GET", path: collection, query: query, answer: &answer}); err != nil {
		return nil, err
	}
	out := make([]realtime.ConversationInfo, len(answer.Results))
	for i, members := range answer.Results {
		var err error
		if out[i], err = c.conversation(members); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// errOrder ends a sequence that would otherwise go round in circles.
var errOrder = errors.New("admin: the server changes the order of conversations from page to page")

// allConversations goes through the ids, which do not change: each page begins
// after the last id of the one before, so that what is created or deleted
// meanwhile moves nothing. A server that does not return its first page in the
// order of ids is asked by counting instead, and what comes twice is left out.
func (c *Client) allConversations(ctx context.Context, collection string, q Query) iter.Seq2[realtime.ConversationInfo, error] {
	return func(yield func(realtime.ConversationInfo, error) bool) {
		fail := func(err error) { yield(realtime.ConversationInfo{}, err) }
		if err := q.check(); err != nil {
			fail(err)
			return
		}
		q := q
		page, err := c.conversations(ctx, collection, q.Where, q.Skip, q.Limit)
		if err != nil {
			fail(err)
			return
		}
		sorted := inOrder(page, "")
		seen := make(map[string]struct{})
		for skip := q.Skip; ; {
			news := sorted
			for i := range page {
				if !sorted {
					if _, again := seen[page[i].ID]; again {
						continue
					}
					seen[page[i].ID], news = struct{}{}, true
				}
				if !yield(page[i], nil) {
					return
				}
			}
			if !news || len(page) < min(q.Limit, fullPage) {
				return // a server that only repeats itself has no more
			}
			if sorted {
				last := page[len(page)-1].ID
				page, err = c.conversations(ctx, collection, q.after(last), 0, q.Limit)
				if err == nil && !inOrder(page, last) {
					err = errOrder
				}
			} else {
				skip += len(page)
				page, err = c.conversations(ctx, collection, q.Where, skip, q.Limit)
			}
			if err != nil {
				fail(err)
				return
			}
		}
	}
}

// inOrder tells whether the ids rise, beginning above last.
func inOrder(page []realtime.ConversationInfo, last string) bool {
	for i := range page {
		if page[i].ID <= last {
			return false
		}
		last = page[i].ID
	}
	return true
}

// checkHistory reports mistakes, and settles the direction and the page size.
func checkHistory(q *realtime.MessageQuery) error {
	switch {
	case q.Limit < 0 || q.Limit > maxPage:
		return invalidArgument("Limit %d is not within 1 and %d", q.Limit, maxPage)
	case q.StartMessageID != "" && q.StartTime.IsZero():
		return invalidArgument("StartMessageID without StartTime")
	case q.EndMessageID != "" && q.EndTime.IsZero():
		return invalidArgument("EndMessageID without EndTime")
	case q.Direction < realtime.DirectionAuto || q.Direction > realtime.OldToNew:
		return invalidArgument("Direction %v", q.Direction)
	}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	if q.Direction == realtime.DirectionAuto {
		q.Direction = realtime.NewToOld
		if !q.StartTime.IsZero() && q.EndTime.After(q.StartTime) {
			q.Direction = realtime.OldToNew
		}
	}
	return nil
}

// history is the query as the server wants it.
func history(q *realtime.MessageQuery) url.Values {
	v := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	if q.Direction == realtime.OldToNew {
		v.Set("reversed", "true")
	}
	if !q.StartTime.IsZero() {
		v.Set("timestamp", strconv.FormatInt(q.StartTime.UnixMilli(), 10))
		v.Set("include_start", strconv.FormatBool(q.StartClosed))
	}
	if q.StartMessageID != "" {
		v.Set("msgid", q.StartMessageID)
	}
	if !q.EndTime.IsZero() {
		v.Set("till_timestamp", strconv.FormatInt(q.EndTime.UnixMilli(), 10))
		v.Set("include_stop", strconv.FormatBool(q.EndClosed))
	}
	if q.EndMessageID != "" {
		v.Set("till_msgid", q.EndMessageID)
	}
	return v
}

// messages goes through a history page after page.
func (c *Client) messages(ctx context.Context, at string, q realtime.MessageQuery) iter.Seq2[StoredMessage, error] {
	return func(yield func(StoredMessage, error) bool) {
		q := q
		if err := checkHistory(&q); err != nil {
			yield(StoredMessage{}, err)
			return
		}
		for {
			var page []storedItem
			if err := c.do(ctx, call{method: "GET", path: at, query: history(&q), answer: &page}); err != nil {
				yield(StoredMessage{}, err)
				return
			}
			for i := range page {
				m, err := c.stored(&page[i])
				if err != nil {
					yield(StoredMessage{}, err)
					return
				}
				if q.Type != 0 && m.Message.Type() != q.Type {
					continue
				}
				if !yield(m, nil) {
					return
				}
			}
			if len(page) < min(q.Limit, fullPage) {
				return
			}
			last := &page[len(page)-1]
			start := fromMillis(last.Timestamp)
			if start.Equal(q.StartTime) && last.ID == q.StartMessageID {
				return // a server that gives the same again has no more
			}
			q.StartTime, q.StartMessageID, q.StartClosed = start, last.ID, false
		}
	}
}

// subscriptionItem is a subscription as the server tells it.
type subscriptionItem struct {
	Timestamp      int64  `json:"timestamp"`
	Subscriber     string `json:"subscriber"`
	ConversationID string `json:"conv_id"`
}

// subscriptions goes through a list of subscriptions; next is the query for what
// comes after the last one of a page.
func (c *Client) subscriptions(ctx context.Context, at string, next func(last *subscriptionItem) url.Values) iter.Seq2[Subscription, error] {
	return func(yield func(Subscription, error) bool) {
		query, last := url.Values{}, subscriptionItem{}
		for {
			query.Set("limit", strconv.Itoa(subscriptionPage))
			var page []subscriptionItem
			if err := c.do(ctx, call{method: "GET", path: at, query: query, answer: &page}); err != nil {
				yield(Subscription{}, err)
				return
			}
			for _, it := range page {
				s := Subscription{ClientID: it.Subscriber, ConversationID: it.ConversationID, At: fromMillis(it.Timestamp)}
				if !yield(s, nil) {
					return
				}
			}
			if len(page) < subscriptionPage || page[len(page)-1] == last {
				return // a server that only repeats itself has no more
			}
			last = page[len(page)-1]
			query = next(&last)
		}
	}
}
