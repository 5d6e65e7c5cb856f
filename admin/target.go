package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/leanrtm/realtime"
)

// The collections that paths name. Each has conversations of one kind.
const (
	normal   = "conversations"
	rooms    = "chatrooms"
	services = "service-conversations"
)

// target is a conversation and what all kinds have in common.
type target struct {
	client     *Client
	collection string
	id         string
}

// at is a path below the conversation.
func (t *target) at(segments ...string) string {
	return path(append([]string{t.collection, t.id}, segments...)...)
}

// check refuses a handle without an id.
func (t *target) check() error {
	if t.id == "" {
		return invalidArgument("the handle has no conversation id")
	}
	return nil
}

func (t *target) do(ctx context.Context, k call) error {
	if err := t.check(); err != nil {
		return err
	}
	return t.client.do(ctx, k)
}

func (t *target) name(typ string) string { return fmt.Sprintf("admin.%s(%q)", typ, t.id) }

func (t *target) fetch(ctx context.Context) (realtime.ConversationInfo, error) {
	if err := t.check(); err != nil {
		return realtime.ConversationInfo{}, err
	}
	found, err := t.client.conversations(ctx, t.collection, map[string]any{keyID: t.id}, 0, 1)
	if err != nil {
		return realtime.ConversationInfo{}, err
	}
	if len(found) == 0 {
		return realtime.ConversationInfo{}, newError(realtime.ErrConversationNotFound, strconv.Quote(t.id)+" in "+t.collection)
	}
	return found[0], nil
}

func (t *target) save(ctx context.Context, changes map[string]any) error {
	encoded, err := encodeAttributes(changes, false)
	if err != nil {
		return err
	}
	return t.do(ctx, call{method: "PUT", path: t.at(), body: encoded})
}

func (t *target) remove(ctx context.Context) error {
	return t.do(ctx, call{method: "DELETE", path: t.at(), effect: removal})
}

func (t *target) messages(ctx context.Context, q realtime.MessageQuery, segments ...string) iter.Seq2[StoredMessage, error] {
	if err := t.check(); err != nil {
		return func(yield func(StoredMessage, error) bool) { yield(StoredMessage{}, err) }
	}
	return t.client.messages(ctx, t.at(append(segments, "messages")...), q)
}

// checkIDs refuses ids that cannot be.
func checkIDs(ids []string) error {
	if slices.Contains(ids, "") {
		return invalidArgument("an id is empty")
	}
	return nil
}

// clientIDs is the body of requests about several clients.
type clientIDs struct {
	IDs []string `json:"client_ids"`
}

// each changes a list of clients of the conversation. With no ids there is
// nothing to do.
func (t *target) each(ctx context.Context, method, list string, ids []string) error {
	if err := checkIDs(ids); err != nil {
		return err
	}
	if len(ids) == 0 {
		return t.check()
	}
	return t.do(ctx, call{method: method, path: t.at(list), body: clientIDs{ids}})
}

// ids reads a list of clients as a whole.
func (t *target) ids(ctx context.Context, list string) ([]string, error) {
	var answer struct {
		Result []string `json:"result"`
	}
	err := t.do(ctx, call{method: "GET", path: t.at(list), answer: &answer})
	return answer.Result, err
}

// The lists of clients.
const (
	listMembers = "members"
	listMutes   = "mutes"
	listBlocked = "blacklists"
	listShutup  = "permanent-silenceds"
	listSilence = "temporary-silenceds"
)

// pageQuery is a realtime.PageQuery as the server wants it.
func pageQuery(q realtime.PageQuery) (url.Values, error) {
	if q.Limit < 0 {
		return nil, invalidArgument("Limit is negative")
	}
	v := url.Values{}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Next != "" {
		v.Set("next", q.Next)
	}
	return v, nil
}

// page reads a page of a list of clients.
func (t *target) page(ctx context.Context, list string, q realtime.PageQuery) (realtime.MemberPage, error) {
	query, err := pageQuery(q)
	if err != nil {
		return realtime.MemberPage{}, err
	}
	var answer struct {
		ClientIDs []string `json:"client_ids"`
		Next      string   `json:"next"`
	}
	err = t.do(ctx, call{method: "GET", path: t.at(list), query: query, answer: &answer})
	return realtime.MemberPage{Members: answer.ClientIDs, Next: answer.Next}, err
}

const longestSilence = 24 * time.Hour

func (t *target) silence(ctx context.Context, id string, d time.Duration) error {
	switch {
	case id == "":
		return invalidArgument("the client id is empty")
	case d < 0 || d > longestSilence:
		return invalidArgument("%v is not within 0 and 24 hours", d)
	case d == 0:
		return t.do(ctx, call{method: "DELETE", path: t.at(listSilence), query: url.Values{"client_id": {id}}})
	}
	return t.do(ctx, call{method: "POST", path: t.at(listSilence), body: map[string]any{
		"client_id": id, "ttl": int64((d + time.Second - 1) / time.Second),
	}})
}

// send sends a message to everybody in the conversation.
func (t *target) send(ctx context.Context, m Message) (*realtime.Message, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.collection == rooms { // they know neither
		m.NoSync, m.PushData = false, nil
	}
	out, e, err := t.client.outgoingMessage(ctx, &m)
	if err != nil {
		return nil, err
	}
	return t.client.send(ctx, quotaMessages, t.at("messages"), t.id, out, e)
}

// update replaces the content of a message, of these clients' copies if there
// are any.
func (t *target) update(ctx context.Context, m *realtime.Message, content realtime.Content, ids []string) error {
	if err := checkMessage(m); err != nil {
		return err
	}
	if err := checkIDs(ids); err != nil {
		return err
	}
	e, err := t.client.encode(ctx, content)
	if err != nil {
		return err
	}
	return t.do(ctx, call{method: "PUT", path: t.at("messages", m.ID), body: edit{
		From: m.From, Timestamp: m.Timestamp.UnixMilli(), Message: &e.text, Binary: e.binary, To: ids,
	}})
}

func (t *target) recall(ctx context.Context, m *realtime.Message, ids []string) error {
	if err := checkMessage(m); err != nil {
		return err
	}
	if err := checkIDs(ids); err != nil {
		return err
	}
	return t.do(ctx, call{method: "PUT", path: t.at("messages", m.ID, "recall"), body: edit{
		From: m.From, Timestamp: m.Timestamp.UnixMilli(), To: ids,
	}})
}

// deleteMessage removes a message from the history; segments lead to a client's
// own.
func (t *target) deleteMessage(ctx context.Context, m *realtime.Message, segments ...string) error {
	if err := checkMessage(m); err != nil {
		return err
	}
	return t.do(ctx, call{
		method: "DELETE", path: t.at(append(segments, "messages", m.ID)...), effect: removal,
		query: url.Values{"from_client": {m.From}, "timestamp": {strconv.FormatInt(m.Timestamp.UnixMilli(), 10)}},
	})
}

// created is the answer to a conversation that was created.
type created struct {
	ID string `json:"objectId"`
}

// create makes a conversation and returns its id.
func (c *Client) create(ctx context.Context, collection, name string, attributes map[string]any, more map[string]any, effect effect) (string, error) {
	body, err := encodeAttributes(attributes, true)
	if err != nil {
		return "", err
	}
	if name != "" {
		if body[keyName], err = marshalJSON(name); err != nil {
			return "", invalidArgument("Name: %w", err)
		}
	}
	for key, value := range more {
		if body[key], err = marshalJSON(value); err != nil {
			return "", invalidArgument("%s: %w", key, err)
		}
	}
	var answer created
	if err := c.do(ctx, call{method: "POST", path: collection, body: body, answer: &answer, effect: effect}); err != nil {
		return "", err
	}
	if answer.ID == "" {
		return "", fmt.Errorf("admin: create in %s: the server told no id", collection)
	}
	return answer.ID, nil
}

// count reads a number.
func (t *target) count(ctx context.Context, segments ...string) (int, error) {
	var answer map[string]json.RawMessage
	if err := t.do(ctx, call{method: "GET", path: t.at(segments...), answer: &answer}); err != nil {
		return 0, err
	}
	for _, key := range []string{"result", "count"} {
		if raw, ok := answer[key]; ok {
			var n int
			if err := json.Unmarshal(raw, &n); err != nil {
				return 0, fmt.Errorf("admin: decode count: %w", err)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("admin: %s: the answer has no count", t.at(segments...))
}
