package rest

import (
	"net/http"
	"time"

	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// mountList adds a list of clients that a conversation keeps.
func (a *api) mountList(mux *http.ServeMux, collection, name string,
	change func(r *http.Request, who caller, cid string, clients []string, on bool) (engine.Outcome, error), kind store.ListKind,
) {
	path := collection + "/{id}/" + name
	for method, on := range map[string]bool{"POST": true, "DELETE": false} {
		a.route(mux, method, path, a.of(collection, func(r *http.Request, who caller, cid string) (any, error) {
			clients, err := readClientIDs(r)
			if err != nil {
				return nil, err
			}
			_, err = whole(change(r, who, cid, clients, on))
			return nil, err
		}))
	}
	a.route(mux, "GET", path, a.of(collection, func(r *http.Request, who caller, cid string) (any, error) {
		n, err := number(r, "limit", engine.DefaultListPage)
		if err != nil {
			return nil, err
		}
		ids, next, err := a.Engine.List(r.Context(), who.cause(""), kind, cid, r.URL.Query().Get("next"), n)
		return listPage("client_ids", ids, next), err
	}))
}

func listPage(key string, ids []string, next string) map[string]any {
	body := map[string]any{key: nonNil(ids)}
	if next != "" {
		body["next"] = next
	}
	return body
}

func (a *api) blockMembers(r *http.Request, who caller, cid string, clients []string, on bool) (engine.Outcome, error) {
	return a.Engine.Block(r.Context(), who.cause(""), cid, clients, on, sign.Signature{})
}

func (a *api) shutup(r *http.Request, who caller, cid string, clients []string, on bool) (engine.Outcome, error) {
	return a.Engine.Shutup(r.Context(), who.cause(""), cid, clients, on)
}

// silence takes from a client the right to speak for some seconds.
func (a *api) silence(r *http.Request, who caller, cid string) (any, error) {
	var in struct {
		ClientID string `json:"client_id"`
		TTL      int64  `json:"ttl"` // seconds
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.ClientID == "" {
		return nil, malformed("client_id is missing")
	}
	const day = 24 * 60 * 60
	if in.TTL <= 0 || in.TTL > day {
		return nil, malformed("ttl is not between 1 and 86400 seconds")
	}
	return nil, a.Engine.Silence(r.Context(), who.cause(""), cid, in.ClientID, time.Duration(in.TTL)*time.Second)
}

func (a *api) unsilence(r *http.Request, who caller, cid string) (any, error) {
	client := r.URL.Query().Get("client_id")
	if client == "" {
		return nil, malformed("client_id is missing")
	}
	return nil, a.Engine.Silence(r.Context(), who.cause(""), cid, client, 0)
}
