package rest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// outgoing is the body of a request that sends a message.
type outgoing struct {
	FromClient string          `json:"from_client"`
	Message    *string         `json:"message"`
	Bin        bool            `json:"bin"` // message is base64
	ToClients  []string        `json:"to_clients"`
	ConvID     string          `json:"conv_id"`
	Transient  bool            `json:"transient"`
	NoSync     bool            `json:"no_sync"`
	PushData   json.RawMessage `json:"push_data"`
	Push       json.RawMessage `json:"push"`
	Priority   string          `json:"priority"`
	MentionAll bool            `json:"mention_all"`
	Mention    []string        `json:"mention_client_ids"`
	ValidTill  int64           `json:"valid_till"` // ms
	Token      string          `json:"dt"`         // repeated sends with one token are one message
}

// maxMentions of a message that is sent by REST.
const maxMentions = 20

func readOutgoing(r *http.Request) (*outgoing, *engine.Outgoing, error) {
	var in outgoing
	if err := readJSON(r, &in); err != nil {
		return nil, nil, err
	}
	switch {
	case in.FromClient == "":
		return nil, nil, malformed("from_client is missing")
	case in.Message == nil:
		return nil, nil, malformed("message is missing")
	case len(in.Mention) > maxMentions:
		return nil, nil, malformed("mention_client_ids has more than 20 ids")
	}
	out := &engine.Outgoing{
		Body: *in.Message, Binary: in.Bin, Token: in.Token, Transient: in.Transient, NoSync: in.NoSync,
		Mentions: in.Mention, MentionAll: in.MentionAll,
	}
	if in.Bin {
		data, err := base64.StdEncoding.DecodeString(*in.Message)
		if err != nil {
			return nil, nil, malformed("message is not base64")
		}
		out.Body = string(data)
	}
	switch in.Priority {
	case "":
	case "high":
		out.Priority = wire.PriorityHigh
	case "normal":
		out.Priority = wire.PriorityNormal
	case "low":
		out.Priority = wire.PriorityLow
	default:
		return nil, nil, malformed("priority is none of high, normal and low")
	}
	for _, data := range []json.RawMessage{in.PushData, in.Push} {
		if len(data) > 0 && string(data) != "null" {
			out.PushData = string(data)
		}
	}
	return &in, out, nil
}

// sentMessage is the answer to a message that was sent.
func sentMessage(s engine.Sent) map[string]any {
	return map[string]any{"msg-id": s.Mid, "timestamp": s.TS}
}

// send answers POST {conversations,chatrooms}/{id}/messages.
func (a *api) send(r *http.Request, who caller, cid string) (any, error) {
	in, out, err := readOutgoing(r)
	if err != nil {
		return nil, err
	}
	sent, err := a.Engine.Send(r.Context(), who.cause(in.FromClient), cid, out)
	if err != nil {
		return nil, err
	}
	return sentMessage(sent), nil
}

// edit answers PUT of a message, and of its recall.
func (a *api) edit(recall bool) func(r *http.Request, who caller, cid string) (any, error) {
	return func(r *http.Request, who caller, cid string) (any, error) {
		var in struct {
			FromClient string   `json:"from_client"`
			Message    *string  `json:"message"`
			Bin        bool     `json:"bin"`
			Timestamp  int64    `json:"timestamp"`
			ToClients  []string `json:"to_clients"`
		}
		if err := readJSON(r, &in); err != nil {
			return nil, err
		}
		switch {
		case in.FromClient == "":
			return nil, malformed("from_client is missing")
		case in.Timestamp <= 0:
			return nil, malformed("timestamp is missing")
		case in.Message == nil && !recall:
			return nil, malformed("message is missing")
		}
		ed := &engine.Edit{
			Cid: cid, Mid: r.PathValue("mid"), TS: in.Timestamp, Recall: recall, From: in.FromClient, To: in.ToClients,
		}
		if !recall {
			ed.Body, ed.Binary = *in.Message, in.Bin
			if in.Bin {
				data, err := base64.StdEncoding.DecodeString(*in.Message)
				if err != nil {
					return nil, malformed("message is not base64")
				}
				ed.Body = string(data)
			}
		}
		_, err := a.Engine.Edit(r.Context(), who.cause(in.FromClient), ed)
		return nil, err
	}
}

// deleteMessage answers DELETE of a message.
func (a *api) deleteMessage(r *http.Request, who caller, cid string) (any, error) {
	query := r.URL.Query()
	ts, err := strconv.ParseInt(query.Get("timestamp"), 10, 64)
	if err != nil {
		return nil, malformed("timestamp is missing or not a number")
	}
	at := store.Pos{TS: ts, Mid: r.PathValue("mid")}
	return nil, a.Engine.DeleteMessage(r.Context(), who.cause(""), cid, r.PathValue("client"), query.Get("from_client"), at)
}

// historyPage is what a request for history asks.
type historyPage struct {
	at    store.Range
	limit int
}

func readHistory(r *http.Request) (historyPage, error) {
	query := r.URL.Query()
	var p historyPage
	limit, err := number(r, "limit", defaultPage)
	if err != nil {
		return p, err
	}
	p.limit = min(limit, maxPage)
	p.at.Newer = query.Get("reversed") == "true"
	for _, b := range []struct {
		bound           *store.Bound
		time, id, close string
	}{
		{&p.at.Start, "timestamp", "msgid", "include_start"},
		{&p.at.End, "till_timestamp", "till_msgid", "include_stop"},
	} {
		text := query.Get(b.time)
		if text == "" {
			if query.Get(b.id) != "" {
				return p, malformed(b.id + " needs " + b.time)
			}
			continue
		}
		ts, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return p, malformed(b.time + " is not a number")
		}
		*b.bound = store.Bound{Set: true, TS: ts, Mid: query.Get(b.id), Closed: query.Get(b.close) == "true"}
	}
	return p, nil
}

// storedMessage is a message as the history tells it.
type storedMessage struct {
	Timestamp      int64  `json:"timestamp"`
	ConvID         string `json:"conv-id"`
	Data           string `json:"data"`
	From           string `json:"from"`
	MsgID          string `json:"msg-id"`
	IsConv         bool   `json:"is-conv"`
	IsRoom         bool   `json:"is-room"`
	To             string `json:"to"`
	Bin            bool   `json:"bin"`
	FromIP         string `json:"from-ip"`
	AckAt          int64  `json:"ack-at,omitempty"`
	PatchTimestamp int64  `json:"patch-timestamp,omitempty"`
	Recalled       bool   `json:"recalled,omitempty"`
	MentionAll     bool   `json:"mention-all,omitempty"`
	// MentionPids and ValidTill are more than the cloud's API tells.
	MentionPids []string `json:"mention-pids,omitempty"`
	ValidTill   int64    `json:"valid-till,omitempty"`
	// So is whom a message of a service conversation is for, and what was edited
	// for some of them only.
	Audience  engine.Audience `json:"audience,omitempty"`
	ToClients []string        `json:"to-clients,omitempty"`
	Copies    []editedCopy    `json:"copies,omitempty"`
}

// editedCopy is a copy of a message that says something else than the message.
type editedCopy struct {
	ToClients      []string `json:"to-clients"`
	Data           string   `json:"data"`
	Bin            bool     `json:"bin"`
	PatchTimestamp int64    `json:"patch-timestamp,omitempty"`
	Recalled       bool     `json:"recalled,omitempty"`
	MentionAll     bool     `json:"mention-all,omitempty"`
	MentionPids    []string `json:"mention-pids,omitempty"`
}

// describeService adds what is particular to a message of a service.
func (s *storedMessage) describeService(a *engine.Addressed) {
	s.Audience, s.ToClients = a.Audience, a.Clients
	for i := range a.Copies {
		c := &a.Copies[i]
		m := describeMessage("", store.KindService, &c.Message)
		s.Copies = append(s.Copies, editedCopy{
			ToClients: c.Clients, Data: m.Data, Bin: m.Bin, PatchTimestamp: m.PatchTimestamp,
			Recalled: m.Recalled, MentionAll: m.MentionAll, MentionPids: m.MentionPids,
		})
	}
}

func describeMessage(cid string, kind store.ConvKind, m *store.Message) storedMessage {
	out := storedMessage{
		Timestamp: m.TS, ConvID: cid, Data: m.Body, From: m.From, MsgID: m.Mid,
		IsConv: true, IsRoom: kind == store.KindRoom, To: cid, FromIP: m.IP,
		Bin: m.Flags.Has(store.FlagBinary), PatchTimestamp: m.PatchTS, Recalled: m.Flags.Has(store.FlagRecalled),
		MentionAll: m.Flags.Has(store.FlagMentionAll), MentionPids: m.Mentions,
	}
	if out.Bin {
		out.Data = base64.StdEncoding.EncodeToString([]byte(m.Body))
	}
	return out
}

// describeItems is a page of history. It begins with the newest message,
// unless the request went from old to new.
func describeItems(items []engine.Item, p historyPage) []storedMessage {
	out := make([]storedMessage, len(items))
	for i := range items {
		out[i] = describeMessage(items[i].Log.Cid, items[i].Kind, &items[i].Message)
		out[i].AckAt = items[i].AckAt
		out[i].describeService(&items[i].Service)
	}
	if !p.at.Newer {
		slices.Reverse(out)
	}
	return out
}

// history answers GET {collection}/{id}/messages, and that of one subscriber of
// a service conversation.
func (a *api) history(r *http.Request, who caller, cid string) (any, error) {
	p, err := readHistory(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	q := engine.HistoryQuery{Range: p.at, Limit: p.limit, Client: r.PathValue("client"), Signed: true}
	by := who.cause("")
	if client := query.Get("client_id"); client != "" && who.app.VerifyHistory && query.Get("signature") != "" {
		ts, err := strconv.ParseInt(query.Get("signature_ts"), 10, 64)
		if err != nil {
			return nil, malformed("signature_ts is not a number")
		}
		q.Signature = sign.Signature{Timestamp: ts, Nonce: query.Get("nonce"), Value: query.Get("signature")}
		by.Client = client
	}
	items, err := a.Engine.History(r.Context(), by, cid, q)
	if err != nil {
		return nil, err
	}
	return describeItems(items, p), nil
}

// appHistory answers GET messages, and those that one client has sent.
func (a *api) appHistory(r *http.Request, who caller) (any, error) {
	p, err := readHistory(r)
	if err != nil {
		return nil, err
	}
	items, err := a.Engine.AppHistory(r.Context(), who.cause(""), r.PathValue("client"), p.at, p.limit)
	if err != nil {
		return nil, err
	}
	return describeItems(items, p), nil
}

// stats answers GET stats.
func (a *api) stats(r *http.Request, who caller) (any, error) {
	s, err := a.Engine.Stats(r.Context(), who.cause(""))
	if err != nil {
		return nil, err
	}
	return map[string]any{"result": map[string]int{"online_user_count": s.Online, "user_count_today": s.Today}}, nil
}

// refuseOver answers 400 if a list is too long.
func refuseOver[T any](list []T, most int, name string) error {
	if len(list) > most {
		return refuse(http.StatusBadRequest, codeMalformed, name+" has more than "+strconv.Itoa(most)+" ids")
	}
	return nil
}
