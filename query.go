package realtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/leanrtm/realtime/internal/pb"
	"github.com/leanrtm/realtime/internal/wire"
)

// ConversationQuery finds conversations. It is a builder: its methods change
// and return it, and mistakes are reported by Find, First and All. It is not
// for concurrent use.
//
// Conditions add up: a conversation has to meet them all. Keys are attributes
// or paths such as "attr.type", "name", or the stored names of what is built
// in: objectId, c (creator), m (members), lm (time of the last message),
// createdAt, updatedAt. Without any condition the server returns the normal
// conversations of this client.
type ConversationQuery struct {
	client      *IMClient
	conditions  []condition
	sort        []string
	limit, skip int
	flag        int32
	mistakes    []error
}

// condition is what the value of a key must be. op "" is equality; key "" is
// for $and and $or.
type condition struct {
	key, op string
	value   any // encoded
}

// Query returns a query for conversations.
func (c *IMClient) Query() *ConversationQuery { return &ConversationQuery{client: c} }

// ChatRoomQuery returns a query for chat rooms.
func (c *IMClient) ChatRoomQuery() *ConversationQuery { return c.Query().EqualTo("tr", true) }

// ServiceConversationQuery returns a query for service conversations.
func (c *IMClient) ServiceConversationQuery() *ConversationQuery {
	return c.Query().EqualTo("sys", true)
}

func (q *ConversationQuery) mistake(format string, args ...any) *ConversationQuery {
	q.mistakes = append(q.mistakes, fmt.Errorf(format, args...))
	return q
}

// where adds a condition.
func (q *ConversationQuery) where(key, op string, value any) *ConversationQuery {
	switch {
	case key == "" || strings.HasPrefix(key, "$") || strings.Contains(key, ".$"):
		return q.mistake("key %q", key)
	case !utf8.ValidString(key):
		return q.mistake("key %q is not UTF-8", key)
	}
	encoded, err := encodeValue(value)
	if err != nil {
		return q.mistake("value of %q: %w", key, err)
	}
	if op == "" {
		if operator := operatorIn(decodeValue(encoded)); operator != "" {
			return q.mistake("value of %q: the server would take key %q for an operator", key, operator)
		}
	}
	q.conditions = append(q.conditions, condition{key, op, encoded})
	return q
}

// operatorIn returns a key of an object that looks like an operator, or "".
func operatorIn(value any) string {
	object, _ := value.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if strings.HasPrefix(key, "$") {
			return key
		}
	}
	return ""
}

// EqualTo wants the value of a key to be value, or the list there to contain
// it. It replaces earlier conditions on the key.
func (q *ConversationQuery) EqualTo(key string, value any) *ConversationQuery {
	q.conditions = slices.DeleteFunc(q.conditions, func(c condition) bool { return c.key == key && key != "" })
	return q.where(key, "", value)
}

// NotEqualTo wants the value of a key to be another one, or to be missing.
func (q *ConversationQuery) NotEqualTo(key string, value any) *ConversationQuery {
	return q.where(key, "$ne", value)
}

// LessThan wants the value of a key to be less.
func (q *ConversationQuery) LessThan(key string, value any) *ConversationQuery {
	return q.where(key, "$lt", value)
}

// LessThanOrEqualTo wants the value of a key to be less or equal.
func (q *ConversationQuery) LessThanOrEqualTo(key string, value any) *ConversationQuery {
	return q.where(key, "$lte", value)
}

// GreaterThan wants the value of a key to be greater.
func (q *ConversationQuery) GreaterThan(key string, value any) *ConversationQuery {
	return q.where(key, "$gt", value)
}

// GreaterThanOrEqualTo wants the value of a key to be greater or equal.
func (q *ConversationQuery) GreaterThanOrEqualTo(key string, value any) *ConversationQuery {
	return q.where(key, "$gte", value)
}

// Contains wants the text of a key to contain s, literally.
func (q *ConversationQuery) Contains(key, s string) *ConversationQuery {
	return q.matches(key, s, quoteRegexp(s))
}

// StartsWith wants the text of a key to begin with s, literally.
func (q *ConversationQuery) StartsWith(key, s string) *ConversationQuery {
	return q.matches(key, s, "^"+quoteRegexp(s))
}

// EndsWith wants the text of a key to end with s, literally.
func (q *ConversationQuery) EndsWith(key, s string) *ConversationQuery {
	return q.matches(key, s, quoteRegexp(s)+"$")
}

// Matches wants the text of a key to match a regular expression in the server's
// dialect, PCRE. Options go into the expression: "(?i)abc".
func (q *ConversationQuery) Matches(key, s string) *ConversationQuery {
	return q.matches(key, s, s)
}

func (q *ConversationQuery) matches(key, s, pattern string) *ConversationQuery {
	if !utf8.ValidString(s) {
		return q.mistake("text for %q is not UTF-8", key)
	}
	return q.where(key, "$regex", pattern)
}

// quoteRegexp is a regular expression for s itself. What would end the
// quotation is taken out of it.
func quoteRegexp(s string) string {
	return `\Q` + strings.ReplaceAll(s, `\E`, `\E\\E\Q`) + `\E`
}

// ContainedIn wants the value of a key to be one of values; a single slice is
// taken as the list.
func (q *ConversationQuery) ContainedIn(key string, values ...any) *ConversationQuery {
	return q.where(key, "$in", list(values))
}

// NotContainedIn wants the value of a key to be none of values, or missing; a
// single slice is taken as the list.
func (q *ConversationQuery) NotContainedIn(key string, values ...any) *ConversationQuery {
	return q.where(key, "$nin", list(values))
}

// ContainsAll wants the list of a key to contain all values; a single slice is
// taken as the list.
func (q *ConversationQuery) ContainsAll(key string, values ...any) *ConversationQuery {
	return q.where(key, "$all", list(values))
}

// list is the values of a variadic call, or the single slice that was given.
func list(values []any) any {
	if len(values) == 1 {
		v := reflect.ValueOf(values[0])
		kind := v.Kind()
		if (kind == reflect.Array || kind == reflect.Slice) && v.Type().Elem().Kind() != reflect.Uint8 {
			if v.Len() == 0 { // a nil slice would be null
				return []any{}
			}
			return values[0]
		}
	}
	if values == nil {
		return []any{}
	}
	return values
}

// ContainsMembers wants at least these members.
func (q *ConversationQuery) ContainsMembers(ids ...string) *ConversationQuery {
	if len(ids) == 0 {
		return q
	}
	return q.ContainsAll("m", ids)
}

// WithMembers wants exactly these members. The client itself is not added.
func (q *ConversationQuery) WithMembers(ids ...string) *ConversationQuery {
	ids = union(ids, nil)
	return q.SizeEqualTo("m", len(ids)).ContainsMembers(ids...)
}

// SizeEqualTo wants the list of a key to have n elements.
func (q *ConversationQuery) SizeEqualTo(key string, n int) *ConversationQuery {
	if n < 0 {
		return q.mistake("SizeEqualTo(%q, %d)", key, n)
	}
	return q.where(key, "$size", n)
}

// Exists wants a key to have a value.
func (q *ConversationQuery) Exists(key string) *ConversationQuery {
	return q.where(key, "$exists", true)
}

// DoesNotExist wants a key to have no value.
func (q *ConversationQuery) DoesNotExist(key string) *ConversationQuery {
	return q.where(key, "$exists", false)
}

// And adds the conditions of all of qs, as they are now; nothing else of them
// counts.
func (q *ConversationQuery) And(qs ...*ConversationQuery) *ConversationQuery {
	return q.combine("$and", qs)
}

// Or wants the conditions of at least one of qs to be met, as they are now;
// nothing else of them counts.
func (q *ConversationQuery) Or(qs ...*ConversationQuery) *ConversationQuery {
	return q.combine("$or", qs)
}

func (q *ConversationQuery) combine(op string, qs []*ConversationQuery) *ConversationQuery {
	if len(qs) == 0 {
		return q.mistake("%s of no query", op)
	}
	filters := make([]any, len(qs))
	for i, other := range qs {
		if other == nil {
			return q.mistake("%s of a nil query", op)
		}
		q.mistakes = append(q.mistakes, other.mistakes...)
		filters[i] = other.filter()
	}
	q.conditions = append(q.conditions, condition{"", op, filters})
	return q
}

// filter is the conditions as the server wants them. What has no room in one
// object, two conditions of one form on one key, goes into $and.
func (q *ConversationQuery) filter() map[string]any {
	out := make(map[string]any, len(q.conditions))
	var more []any
	for _, c := range q.conditions {
		switch {
		case c.op == "$and":
			more = append(more, c.value.([]any)...)
		case c.key == "":
			if _, taken := out[c.op]; taken {
				more = append(more, map[string]any{c.op: c.value})
			} else {
				out[c.op] = c.value
			}
		case c.op == "":
			out[c.key] = c.value // EqualTo has removed what there was
		default:
			operators, free := out[c.key].(map[string]any)
			if _, taken := out[c.key]; !taken {
				operators, free = make(map[string]any), true
				out[c.key] = operators
			}
			if _, taken := operators[c.op]; taken || !free {
				more = append(more, map[string]any{c.key: map[string]any{c.op: c.value}})
			} else {
				operators[c.op] = c.value
			}
		}
	}
	if more != nil {
		out["$and"] = more
	}
	return out
}

// Ascending sorts by a key, in the place of any other order.
func (q *ConversationQuery) Ascending(key string) *ConversationQuery {
	q.sort = nil
	return q.addSort(key, "")
}

// Descending sorts by a key, greatest first, in the place of any other order.
func (q *ConversationQuery) Descending(key string) *ConversationQuery {
	q.sort = nil
	return q.addSort(key, "-")
}

// AddAscending sorts by a key what earlier orders leave equal.
func (q *ConversationQuery) AddAscending(key string) *ConversationQuery { return q.addSort(key, "") }

// AddDescending sorts by a key, greatest first, what earlier orders leave
// equal.
func (q *ConversationQuery) AddDescending(key string) *ConversationQuery { return q.addSort(key, "-") }

func (q *ConversationQuery) addSort(key, prefix string) *ConversationQuery {
	if key == "" || strings.HasPrefix(key, "-") || strings.ContainsAny(key, ",$") {
		return q.mistake("sort by key %q", key)
	}
	q.sort = append(q.sort, prefix+key)
	return q
}

// Limit is how many conversations Find returns at most, up to 1000, and how
// many All fetches at a time; 0: 10, in All 100.
func (q *ConversationQuery) Limit(n int) *ConversationQuery {
	if n < 0 || n > wire.MaxQuery {
		return q.mistake("Limit(%d)", n)
	}
	q.limit = n
	return q
}

// Skip leaves out the first n conversations.
func (q *ConversationQuery) Skip(n int) *ConversationQuery {
	if n < 0 || n > 1<<31-1 {
		return q.mistake("Skip(%d)", n)
	}
	q.skip = n
	return q
}

// Compact does not fetch the members, which takes less time when there are
// many.
func (q *ConversationQuery) Compact() *ConversationQuery {
	q.flag |= wire.QueryCompact
	return q
}

// WithLastMessagesRefreshed fetches the last messages as well.
func (q *ConversationQuery) WithLastMessagesRefreshed() *ConversationQuery {
	q.flag |= wire.QueryWithLastMessage
	return q
}

// err reports all mistakes at once.
func (q *ConversationQuery) err() error {
	if len(q.mistakes) == 0 {
		return nil
	}
	return fmt.Errorf("%w: conversation query: %w", ErrInvalidArgument, errors.Join(q.mistakes...))
}

// Find returns the conversations that meet the conditions, up to the limit.
func (q *ConversationQuery) Find(ctx context.Context) ([]*Conversation, error) {
	return q.find(ctx, q.filter(), q.sort, q.skip, q.limit)
}

// First returns the first conversation that meets the conditions. The error
// matches ErrConversationNotFound if there is none.
func (q *ConversationQuery) First(ctx context.Context) (*Conversation, error) {
	convs, err := q.find(ctx, q.filter(), q.sort, q.skip, 1)
	if err != nil {
		return nil, err
	}
	if len(convs) == 0 {
		return nil, newError(ErrConversationNotFound, "no conversation meets the conditions")
	}
	return convs[0], nil
}

func (q *ConversationQuery) find(ctx context.Context, filter map[string]any, sort []string, skip, limit int) ([]*Conversation, error) {
	if err := q.err(); err != nil {
		return nil, err
	}
	where, err := marshalJSON(filter)
	if err != nil {
		return nil, invalidArgument("conversation query: %w", err)
	}
	m := &pb.ConvCommand{
		Where: &pb.JsonObjectMessage{Data: proto.String(string(where))},
		Flag:  proto.Int32(q.flag),
	}
	if limit != 0 {
		m.Limit = proto.Int32(int32(limit))
	}
	if skip != 0 {
		m.Skip = proto.Int32(int32(skip))
	}
	if len(sort) > 0 {
		m.Sort = proto.String(strings.Join(sort, ","))
	}
	return q.client.queryConversations(ctx, m, false)
}
