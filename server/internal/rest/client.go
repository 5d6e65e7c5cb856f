package rest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/sign"
)

// mountClient adds what the client SDKs ask.
func (a *api) mountClient(mux *http.ServeMux) {
	mux.HandleFunc("POST /1.1/rtm/sign", a.appOnly(a.signByBody))
	mux.HandleFunc("GET /1.2/rtm/clients/sign", a.appOnly(a.signByQuery))
	mux.HandleFunc("GET /1.1/rtm/notifications", a.clientSession(a.notifications))
	mux.HandleFunc("GET /1.1/classes/_ConversationMemberInfo", a.clientSession(a.memberInfos))
}

// loginSignature is the answer that lets a user of the app log in as a client.
// The timestamp is a number: clients put it into the command as it is.
type loginSignature struct {
	ClientID  string `json:"client_id,omitempty"`
	Signature string `json:"signature"`
	Timestamp int64  `json:"timestamp"`
	Nonce     string `json:"nonce"`
}

func (a *api) signByBody(r *http.Request, who caller) (any, error) {
	var in struct {
		SessionToken string `json:"session_token"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	signature, err := a.signLogin(r, who, in.SessionToken)
	signature.ClientID = "" // the older form: the client knows its user
	return signature, err
}

func (a *api) signByQuery(r *http.Request, who caller) (any, error) {
	return a.signLogin(r, who, r.URL.Query().Get("session_token"))
}

// codeNoSession is what the storage API calls a session token that is not valid.
const codeNoSession = 211

func (a *api) signLogin(r *http.Request, who caller, sessionToken string) (loginSignature, error) {
	if sessionToken == "" {
		return loginSignature{}, malformed("session_token is missing")
	}
	if a.Users == nil || who.app.MasterKey == "" {
		return loginSignature{}, refuse(http.StatusNotFound, codeNoSession, "the app has no user system here")
	}
	client, err := a.Users(r.Context(), who.app.ID, sessionToken)
	if err != nil || client == "" {
		// Why is between the app and its users; the client cannot mend it.
		return loginSignature{}, refuse(http.StatusUnauthorized, codeNoSession, "the session token is not valid")
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // does not fail
	s := sign.Login(who.app.ID, client).Sign(who.app.MasterKey, time.Now().UnixMilli(), hex.EncodeToString(random[:]))
	return loginSignature{ClientID: client, Signature: s.Value, Timestamp: s.Timestamp, Nonce: s.Nonce}, nil
}

// notifications tells what happened to a client while it was away.
func (a *api) notifications(r *http.Request, who caller, client string) (any, error) {
	query := r.URL.Query()
	since := int64(0)
	if text := query.Get("start_ts"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, malformed("start_ts is not a number")
		}
		since = n
	}
	permanentOnly := false
	switch kind := query.Get("notification_type"); kind {
	case "":
	case "permanent":
		permanentOnly = true
	default:
		return nil, malformed("notification_type is unknown")
	}
	notes, err := a.Engine.Notes(r.Context(), who.cause(client), client, since, !permanentOnly)
	if err != nil {
		return nil, err
	}
	list, err := noteList(notes.Permanent, wire.NotificationPermanent)
	if err != nil {
		return nil, err
	}
	permanent := map[string]any{"hasMore": notes.HasMore, "notifications": list}
	if permanentOnly {
		return permanent, nil
	}
	if list, err = noteList(notes.Droppable, wire.NotificationDroppable); err != nil {
		return nil, err
	}
	return map[string]any{
		"permanent": permanent,
		"droppable": map[string]any{"invalidLocalConvCache": notes.Invalid, "notifications": list},
	}, nil
}

// noteList is the flat form in which clients dispatch notices like pushes.
func noteList(notes []engine.Note, kind int) ([]map[string]any, error) {
	list := make([]map[string]any, 0, len(notes))
	for i := range notes {
		n := &notes[i]
		fields := make(map[string]json.RawMessage)
		if len(n.Fields) > 0 {
			if err := json.Unmarshal(n.Fields, &fields); err != nil {
				return nil, fmt.Errorf("decode stored notice: %w", err)
			}
		}
		item := make(map[string]any, len(fields)+4)
		for key, value := range maps.All(fields) {
			item[key] = value
		}
		item["cmd"] = "conv"
		item["op"] = n.Op
		if n.Receipt() {
			item["cmd"] = "rcp"
			delete(item, "op")
		}
		item["serverTs"] = n.TS
		item["notificationType"] = kind
		list = append(list, item)
	}
	return list, nil
}

// memberInfos lists the members of a conversation who have a role of their own.
func (a *api) memberInfos(r *http.Request, who caller, client string) (any, error) {
	query := r.URL.Query()
	cid := query.Get("cid")
	if text := query.Get("where"); cid == "" && text != "" {
		var where struct {
			Cid string `json:"cid"`
		}
		if err := json.Unmarshal([]byte(text), &where); err != nil {
			return nil, malformed("where is not the expected JSON")
		}
		cid = where.Cid
	}
	if cid == "" {
		return nil, malformed("the conversation is missing: where={\"cid\":…} or cid=…")
	}
	infos, err := a.Engine.MemberInfos(r.Context(), who.cause(client), cid)
	if err != nil {
		return nil, err
	}
	infos, err = page(r, infos, len(infos))
	if err != nil {
		return nil, err
	}
	rows := make([]map[string]any, len(infos))
	for i, info := range infos {
		rows[i] = map[string]any{"objectId": info.ID, "clientId": info.Client, "cid": cid, "role": info.Role}
	}
	return map[string]any{"results": rows}, nil
}

// page cuts a list to the skip and limit of a request.
func page[T any](r *http.Request, list []T, defaultLimit int) ([]T, error) {
	skip, err := number(r, "skip", 0)
	if err != nil {
		return nil, err
	}
	limit, err := number(r, "limit", defaultLimit)
	if err != nil {
		return nil, err
	}
	list = list[min(skip, len(list)):]
	return list[:min(limit, len(list))], nil
}

// number is a parameter of the request that must not be negative.
func number(r *http.Request, name string, missing int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, malformed(name + " is not a number, or negative")
	}
	return n, nil
}
