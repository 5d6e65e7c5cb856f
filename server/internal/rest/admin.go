package rest

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// prefix of the administration.
const prefix = "/1.2/rtm/"

// The collections that paths name. Each has conversations of one kind.
const (
	normal   = "conversations"
	rooms    = "chatrooms"
	services = "service-conversations"
)

func kindOf(collection string) store.ConvKind {
	switch collection {
	case rooms:
		return store.KindRoom
	case services:
		return store.KindService
	}
	return store.KindNormal
}

// master wraps a handler for whoever has the master key.
func (a *api) master(h handler) http.HandlerFunc {
	return a.appOnly(func(r *http.Request, who caller) (any, error) {
		if !who.master {
			return nil, refuse(http.StatusUnauthorized, http.StatusUnauthorized, "the master key is required")
		}
		return h(r, who)
	})
}

// route adds an administration endpoint.
func (a *api) route(mux *http.ServeMux, method, path string, h handler) {
	mux.HandleFunc(method+" "+prefix+path, a.master(h))
}

// of wraps a handler for one conversation of a collection: it answers as if
// there were none if the conversation is of another kind.
func (a *api) of(collection string, h func(r *http.Request, who caller, cid string) (any, error)) handler {
	return func(r *http.Request, who caller) (any, error) {
		cid := r.PathValue("id")
		_, kind, err := a.Engine.Conv(r.Context(), who.cause(""), cid)
		if err != nil {
			return nil, err
		}
		if kind != kindOf(collection) && (collection != normal || kind != store.KindTemporary) {
			return nil, wrongKind(collection)
		}
		return h(r, who, cid)
	}
}

func wrongKind(collection string) error {
	switch collection {
	case rooms:
		return &engine.Error{Code: wire.CodeTransientConversationRequired}
	case services:
		return &engine.Error{Code: wire.CodeSystemConversationRequired}
	}
	return &engine.Error{Code: wire.CodeNormalConversationRequired}
}

// mountAdmin adds the administration.
func (a *api) mountAdmin(mux *http.ServeMux) {
	for _, collection := range []string{normal, rooms, services} {
		a.route(mux, "POST", collection, a.create(collection))
		a.route(mux, "GET", collection, a.list(collection))
		a.route(mux, "PUT", collection+"/{id}", a.of(collection, a.update))
		a.route(mux, "DELETE", collection+"/{id}", a.of(collection, a.remove))
		a.route(mux, "GET", collection+"/{id}/messages", a.of(collection, a.history))
		a.mountList(mux, collection, "blacklists", a.blockMembers, store.ListBlocked)
	}
	a.route(mux, "GET", "all-conversations", a.list(""))
	for _, collection := range []string{normal, rooms} {
		a.route(mux, "POST", collection+"/{id}/messages", counted(a.quotas.messages, a.of(collection, a.send)))
		a.route(mux, "PUT", collection+"/{id}/messages/{mid}", a.of(collection, a.edit(false)))
		a.route(mux, "PUT", collection+"/{id}/messages/{mid}/recall", a.of(collection, a.edit(true)))
		a.route(mux, "DELETE", collection+"/{id}/messages/{mid}", a.of(collection, a.deleteMessage))
		a.route(mux, "POST", collection+"/{id}/temporary-silenceds", a.of(collection, a.silence))
		a.route(mux, "DELETE", collection+"/{id}/temporary-silenceds", a.of(collection, a.unsilence))
		a.mountList(mux, collection, "permanent-silenceds", a.shutup, store.ListShutup)
	}
	a.mountMembers(mux)
	a.mountServices(mux)
	a.mountClients(mux)
	a.route(mux, "GET", "messages", a.appHistory)
	a.route(mux, "GET", "stats", a.stats)
}

// isoTime is a time as the storage API writes it.
func isoTime(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// create answers POST {collection}.
func (a *api) create(collection string) handler {
	return func(r *http.Request, who caller) (any, error) {
		var attrs map[string]json.RawMessage
		if err := readJSON(r, &attrs); err != nil {
			return nil, err
		}
		n := engine.NewConv{Kind: kindOf(collection)}
		for key, to := range map[string]any{"m": &n.Members, "unique": &n.Unique, "c": &n.Creator} {
			raw, ok := attrs[key]
			if !ok {
				continue
			}
			if err := json.Unmarshal(raw, to); err != nil {
				return nil, malformed(key + " is of the wrong type")
			}
			delete(attrs, key)
		}
		if collection != normal && (len(n.Members) > 0 || n.Unique) {
			return nil, malformed("only ordinary conversations have m and unique")
		}
		for _, key := range []string{"tr", "sys"} { // the path says it
			delete(attrs, key)
		}
		text, err := json.Marshal(attrs)
		if err != nil {
			return nil, malformed("the attributes are malformed")
		}
		n.Attrs = text
		made, err := a.Engine.Create(r.Context(), who.cause(""), n)
		if err != nil {
			return nil, err
		}
		body := map[string]any{"objectId": made.Cid, "createdAt": isoTime(made.Created)}
		if n.Unique {
			body["unique"], body["uniqueId"] = true, made.UniqueID
		}
		return body, nil
	}
}

// Page sizes of the storage API.
const (
	defaultPage = 100
	maxPage     = 1000
)

// list answers GET {collection}; an empty collection is all of them.
func (a *api) list(collection string) handler {
	return func(r *http.Request, who caller) (any, error) {
		query := r.URL.Query()
		skip, err := number(r, "skip", 0)
		if err != nil {
			return nil, err
		}
		limit, err := number(r, "limit", defaultPage)
		if err != nil {
			return nil, err
		}
		q := engine.ConvQuery{
			Where: []byte(query.Get("where")), Sort: query.Get("order"), Skip: skip, Limit: min(limit, maxPage),
		}
		if q.Sort == "" {
			q.Sort = "createdAt,objectId" // so that pages do not move while they are read
		}
		if collection != "" {
			q.Kinds = []store.ConvKind{kindOf(collection)}
		}
		found, err := a.Engine.Query(r.Context(), who.cause(""), q)
		if err != nil {
			return nil, err
		}
		return map[string]any{"results": found}, nil
	}
}

// update answers PUT {collection}/{id}.
func (a *api) update(r *http.Request, who caller, cid string) (any, error) {
	var changes map[string]json.RawMessage
	if err := readJSON(r, &changes); err != nil {
		return nil, err
	}
	if _, ok := changes["m"]; ok {
		return nil, malformed("m is changed by the members endpoint")
	}
	text, err := json.Marshal(changes)
	if err != nil {
		return nil, malformed("the changes are malformed")
	}
	updated, err := a.Engine.Update(r.Context(), who.cause(""), cid, text)
	if err != nil {
		return nil, err
	}
	return map[string]any{"updatedAt": isoTime(updated.At), "objectId": cid}, nil
}

// remove answers DELETE {collection}/{id}.
func (a *api) remove(r *http.Request, who caller, cid string) (any, error) {
	return nil, a.Engine.Delete(r.Context(), who.cause(""), cid)
}

// clientIDs is the body of requests about several clients.
type clientIDs struct {
	ClientIDs []string `json:"client_ids"`
}

func readClientIDs(r *http.Request) ([]string, error) {
	var in clientIDs
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if len(in.ClientIDs) == 0 || slices.Contains(in.ClientIDs, "") {
		return nil, malformed("client_ids is missing or has an empty id")
	}
	return in.ClientIDs, nil
}

// whole turns an operation that failed for some clients into an error.
func whole(o engine.Outcome, err error) (engine.Outcome, error) {
	if err == nil && len(o.Failed) > 0 {
		f := o.Failed[0]
		text, marshalErr := json.Marshal(f.Clients)
		if marshalErr != nil {
			return o, marshalErr
		}
		detail := "clients " + string(text)
		if f.Detail != "" {
			detail = f.Detail + ": " + detail
		}
		err = &engine.Error{Code: f.Code, Detail: detail}
	}
	return o, err
}

// mountMembers adds the members of ordinary conversations and of chat rooms.
func (a *api) mountMembers(mux *http.ServeMux) {
	change := func(op func(r *http.Request, who caller, cid string, clients []string) (int64, error)) handler {
		return a.of(normal, func(r *http.Request, who caller, cid string) (any, error) {
			clients, err := readClientIDs(r)
			if err != nil {
				return nil, err
			}
			at, err := op(r, who, cid, clients)
			if err != nil {
				return nil, err
			}
			return map[string]any{"updatedAt": isoTime(at), "objectId": cid}, nil
		})
	}
	a.route(mux, "POST", normal+"/{id}/members", change(func(r *http.Request, who caller, cid string, clients []string) (int64, error) {
		o, err := whole(a.Engine.Add(r.Context(), who.cause(""), cid, clients, sign.Signature{}))
		return o.Updated, err
	}))
	a.route(mux, "DELETE", normal+"/{id}/members", change(func(r *http.Request, who caller, cid string, clients []string) (int64, error) {
		o, err := whole(a.Engine.Remove(r.Context(), who.cause(""), cid, clients, sign.Signature{}))
		return o.Updated, err
	}))
	for method, on := range map[string]bool{"POST": true, "DELETE": false} {
		a.route(mux, method, normal+"/{id}/mutes", change(func(r *http.Request, who caller, cid string, clients []string) (int64, error) {
			return a.Engine.Mute(r.Context(), who.cause(""), cid, clients, on)
		}))
	}
	a.route(mux, "GET", normal+"/{id}/members", a.of(normal, func(r *http.Request, who caller, cid string) (any, error) {
		ids, err := a.Engine.Members(r.Context(), who.cause(""), cid)
		return map[string]any{"result": nonNil(ids)}, err
	}))
	a.route(mux, "GET", normal+"/{id}/mutes", a.of(normal, func(r *http.Request, who caller, cid string) (any, error) {
		ids, err := a.Engine.Muted(r.Context(), who.cause(""), cid)
		return map[string]any{"result": nonNil(ids)}, err
	}))
	a.route(mux, "GET", rooms+"/{id}/members", a.of(rooms, func(r *http.Request, who caller, cid string) (any, error) {
		ids, err := a.Engine.Present(r.Context(), who.cause(""), cid, wire.MaxOnlineMembers)
		return map[string]any{"result": nonNil(ids)}, err
	}))
	a.route(mux, "GET", rooms+"/{id}/members/online-count", a.of(rooms, func(r *http.Request, who caller, cid string) (any, error) {
		n, err := a.Engine.Count(r.Context(), who.cause(""), cid)
		return map[string]any{"result": n}, err
	}))
	a.mountMemberInfos(mux)
}

// mountMemberInfos adds the roles of members.
func (a *api) mountMemberInfos(mux *http.ServeMux) {
	type memberInfo struct {
		ClientID string `json:"clientId"`
		ObjectID string `json:"objectId,omitempty"`
		Role     string `json:"role"`
	}
	path := normal + "/{id}/member-infos"
	list := func(r *http.Request, who caller, cid string) ([]memberInfo, error) {
		infos, err := a.Engine.MemberInfos(r.Context(), who.cause(""), cid)
		out := make([]memberInfo, len(infos))
		for i, info := range infos {
			out[i] = memberInfo{ClientID: info.Client, ObjectID: info.ID, Role: info.Role}
		}
		return out, err
	}
	// named is the client whose role the path names.
	named := func(r *http.Request, who caller, cid string) (string, error) {
		infos, err := list(r, who, cid)
		if err != nil {
			return "", err
		}
		for _, info := range infos {
			if info.ObjectID == r.PathValue("info") {
				return info.ClientID, nil
			}
		}
		return "", refuse(http.StatusNotFound, http.StatusNotFound, "no such member info")
	}
	a.route(mux, "GET", path, a.of(normal, func(r *http.Request, who caller, cid string) (any, error) {
		infos, err := list(r, who, cid)
		if err != nil {
			return nil, err
		}
		if role := r.URL.Query().Get("role"); role != "" {
			infos = slices.DeleteFunc(infos, func(info memberInfo) bool { return info.Role != role })
		}
		infos, err = page(r, infos, defaultPage)
		return map[string]any{"results": infos}, err
	}))
	a.route(mux, "POST", path, a.of(normal, func(r *http.Request, who caller, cid string) (any, error) {
		var in memberInfo
		if err := readJSON(r, &in); err != nil {
			return nil, err
		}
		if in.ClientID == "" {
			return nil, malformed("clientId is missing")
		}
		info, err := a.Engine.SetRole(r.Context(), who.cause(""), cid, in.ClientID, in.Role)
		return memberInfo{ClientID: info.Client, ObjectID: info.ID, Role: info.Role}, err
	}))
	a.route(mux, "PUT", path+"/{info}", a.of(normal, func(r *http.Request, who caller, cid string) (any, error) {
		var in memberInfo
		if err := readJSON(r, &in); err != nil {
			return nil, err
		}
		client, err := named(r, who, cid)
		if err != nil {
			return nil, err
		}
		info, err := a.Engine.SetRole(r.Context(), who.cause(""), cid, client, in.Role)
		return memberInfo{ClientID: info.Client, ObjectID: info.ID, Role: info.Role}, err
	}))
	a.route(mux, "DELETE", path+"/{info}", a.of(normal, func(r *http.Request, who caller, cid string) (any, error) {
		client, err := named(r, who, cid)
		if err != nil {
			return nil, err
		}
		return nil, a.Engine.ClearRole(r.Context(), who.cause(""), cid, client)
	}))
}

func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
