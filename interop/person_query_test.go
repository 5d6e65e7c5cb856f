package interop_test

import (
	"context"
	"fmt"

	"github.com/leanrtm/realtime"
)

// query finds conversations by conditions [operator, argument...].
func (p *person) query(ctx context.Context, args *list) ([]*realtime.Conversation, error) {
	q := struct {
		Kind       string
		Conditions [][]any
		Any, All   [][][]any
	}{}
	args.next(&q)
	start := func() *realtime.ConversationQuery {
		switch q.Kind {
		case "room":
			return p.client.ChatRoomQuery()
		case "service":
			return p.client.ServiceConversationQuery()
		}
		return p.client.Query()
	}
	query := start()
	for _, conditions := range q.Conditions {
		if err := restrict(query, conditions); err != nil {
			return nil, err
		}
	}
	for _, combination := range []struct {
		parts [][][]any
		add   func(...*realtime.ConversationQuery) *realtime.ConversationQuery
	}{{q.Any, query.Or}, {q.All, query.And}} {
		var parts []*realtime.ConversationQuery
		for _, conditions := range combination.parts {
			part := start()
			for _, c := range conditions {
				if err := restrict(part, c); err != nil {
					return nil, err
				}
			}
			parts = append(parts, part)
		}
		if len(parts) > 0 {
			combination.add(parts...)
		}
	}
	return query.Find(ctx)
}

// restrict applies one condition, by its name in the official SDK.
func restrict(q *realtime.ConversationQuery, c []any) error {
	operator, _ := c[0].(string)
	text := func(i int) string {
		if i >= len(c) {
			return ""
		}
		s, _ := c[i].(string)
		return s
	}
	number := func(i int) int {
		n, _ := c[i].(float64)
		return int(n)
	}
	texts := func(i int) (s []string) {
		values, _ := c[i].([]any)
		for _, v := range values {
			id, _ := v.(string)
			s = append(s, id)
		}
		return s
	}
	key := text(1)
	var value any
	if len(c) > 2 {
		value = dates(c[2])
	}
	switch operator {
	case "equalTo":
		q.EqualTo(key, value)
	case "notEqualTo":
		q.NotEqualTo(key, value)
	case "lessThan":
		q.LessThan(key, value)
	case "lessThanOrEqualTo":
		q.LessThanOrEqualTo(key, value)
	case "greaterThan":
		q.GreaterThan(key, value)
	case "greaterThanOrEqualTo":
		q.GreaterThanOrEqualTo(key, value)
	case "contains":
		q.Contains(key, text(2))
	case "startsWith":
		q.StartsWith(key, text(2))
	case "endsWith":
		q.EndsWith(key, text(2))
	case "matches":
		pattern := text(2)
		if flags := text(3); flags != "" {
			pattern = "(?" + flags + ")" + pattern
		}
		q.Matches(key, pattern)
	case "containedIn":
		q.ContainedIn(key, value)
	case "notContainedIn":
		q.NotContainedIn(key, value)
	case "containsAll":
		q.ContainsAll(key, value)
	case "exists":
		q.Exists(key)
	case "doesNotExist":
		q.DoesNotExist(key)
	case "sizeEqualTo":
		q.SizeEqualTo(key, number(2))
	case "containsMembers":
		q.ContainsMembers(texts(1)...)
	case "withMembers":
		q.WithMembers(texts(1)...)
	case "ascending":
		q.Ascending(key)
	case "descending":
		q.Descending(key)
	case "addAscending":
		q.AddAscending(key)
	case "addDescending":
		q.AddDescending(key)
	case "limit":
		q.Limit(number(1))
	case "skip":
		q.Skip(number(1))
	case "compact":
		q.Compact()
	case "withLastMessagesRefreshed":
		q.WithLastMessagesRefreshed()
	default:
		return fmt.Errorf("the Go side has no query operator %q", operator)
	}
	return nil
}
