package rest

import (
	"net/http"
	"strconv"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
	"github.com/leanrtm/realtime/server/internal/sign"
	"github.com/leanrtm/realtime/server/internal/store"
)

// mountServices adds what only service conversations have.
func (a *api) mountServices(mux *http.ServeMux) {
	one := services + "/{id}/"
	of := func(h func(r *http.Request, who caller, cid string) (any, error)) handler { return a.of(services, h) }
	a.route(mux, "POST", one+"subscribers", of(func(r *http.Request, who caller, cid string) (any, error) {
		var in struct {
			ClientID string `json:"client_id"`
		}
		if err := readJSON(r, &in); err != nil {
			return nil, err
		}
		if in.ClientID == "" {
			return nil, malformed("client_id is missing")
		}
		_, err := whole(a.Engine.Add(r.Context(), who.cause(""), cid, []string{in.ClientID}, sign.Signature{}))
		return nil, err
	}))
	a.route(mux, "DELETE", one+"subscribers/{client}", of(func(r *http.Request, who caller, cid string) (any, error) {
		_, err := whole(a.Engine.Remove(r.Context(), who.cause(""), cid, []string{r.PathValue("client")}, sign.Signature{}))
		return nil, err
	}))
	a.route(mux, "GET", one+"subscribers", of(func(r *http.Request, who caller, cid string) (any, error) {
		n, err := number(r, "limit", engine.MaxSubscriptions)
		if err != nil {
			return nil, err
		}
		list, err := a.Engine.Subscribers(r.Context(), who.cause(""), cid, r.URL.Query().Get("client_id"), n)
		return describeSubscriptions(list), err
	}))
	a.route(mux, "GET", one+"subscribers/count", of(func(r *http.Request, who caller, cid string) (any, error) {
		n, err := a.Engine.Count(r.Context(), who.cause(""), cid)
		return map[string]any{"count": n}, err
	}))
	a.route(mux, "GET", one+"subscribers/{client}/messages", of(a.history))
	a.route(mux, "DELETE", one+"subscribers/{client}/messages/{mid}", of(a.deleteMessage))
	a.route(mux, "POST", one+"broadcasts", counted(a.quotas.subscribers, of(a.broadcastToSubscribers)))
	a.route(mux, "POST", one+"messages", counted(a.quotas.messages, of(a.sendTo)))
	a.route(mux, "PUT", one+"messages/{mid}", of(a.edit(false)))
	a.route(mux, "PUT", one+"messages/{mid}/recall", of(a.edit(true)))
	a.route(mux, "POST", "broadcasts", counted(a.quotas.everybody, a.broadcastToAll))
	a.route(mux, "GET", "broadcasts", a.broadcasts)
	a.route(mux, "DELETE", "broadcasts/{mid}", func(r *http.Request, who caller) (any, error) {
		return nil, a.Engine.DeleteBroadcast(r.Context(), who.cause(""), r.PathValue("mid"))
	})
}

// describeSubscriptions is a page of who subscribes what since when.
func describeSubscriptions(list []engine.Subscription) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, s := range list {
		out[i] = map[string]any{"timestamp": s.At, "subscriber": s.Client, "conv_id": s.Cid}
	}
	return out
}

func (a *api) broadcastToSubscribers(r *http.Request, who caller, cid string) (any, error) {
	in, out, err := readOutgoing(r)
	if err != nil {
		return nil, err
	}
	sent, err := a.Engine.BroadcastToSubscribers(r.Context(), who.cause(in.FromClient), cid, out)
	if err != nil {
		return nil, err
	}
	return sentMessage(sent), nil
}

func (a *api) sendTo(r *http.Request, who caller, cid string) (any, error) {
	in, out, err := readOutgoing(r)
	if err != nil {
		return nil, err
	}
	if len(in.ToClients) == 0 {
		return nil, malformed("to_clients is missing")
	}
	if err := refuseOver(in.ToClients, engine.MaxAddressees, "to_clients"); err != nil {
		return nil, err
	}
	sent, err := a.Engine.SendTo(r.Context(), who.cause(in.FromClient), cid, in.ToClients, out)
	if err != nil {
		return nil, err
	}
	return sentMessage(sent), nil
}

// broadcastToAll answers POST broadcasts. Documentation shows the fields at the
// top of the answer, a client of the vendor reads them below result: they are
// in both places.
func (a *api) broadcastToAll(r *http.Request, who caller) (any, error) {
	in, out, err := readOutgoing(r)
	if err != nil {
		return nil, err
	}
	if in.ConvID == "" {
		return nil, malformed("conv_id is missing")
	}
	_, kind, err := a.Engine.Conv(r.Context(), who.cause(""), in.ConvID)
	if err != nil {
		return nil, err
	}
	if kind != store.KindService {
		return nil, &engine.Error{Code: wire.CodeSystemConversationRequired}
	}
	if now := a.Engine.Now(); in.ValidTill != 0 && (in.ValidTill <= now || in.ValidTill > now+engine.MaxCastTime.Milliseconds()) {
		return nil, malformed("valid_till is not within a month from now")
	}
	sent, err := a.Engine.BroadcastToAll(r.Context(), who.cause(in.FromClient), in.ConvID, out, in.ValidTill)
	if err != nil {
		return nil, err
	}
	body := sentMessage(sent)
	body["result"] = sentMessage(sent)
	return body, nil
}

func (a *api) broadcasts(r *http.Request, who caller) (any, error) {
	skip, err := number(r, "skip", 0)
	if err != nil {
		return nil, err
	}
	limit, err := number(r, "limit", defaultPage)
	if err != nil {
		return nil, err
	}
	list, err := a.Engine.Broadcasts(r.Context(), who.cause(""), r.URL.Query().Get("conv_id"), skip, min(limit, maxPage))
	if err != nil {
		return nil, err
	}
	out := make([]storedMessage, len(list))
	for i, b := range list {
		out[i] = describeMessage(b.Cid, store.KindService, b.Message)
		out[i].ValidTill = b.ValidTill
	}
	return out, nil
}

// mountClients adds what concerns one client.
func (a *api) mountClients(mux *http.ServeMux) {
	a.route(mux, "POST", "clients/check-online", func(r *http.Request, who caller) (any, error) {
		clients, err := readClientIDs(r)
		if err != nil {
			return nil, err
		}
		if err := refuseOver(clients, wire.MaxOnlineQuery, "client_ids"); err != nil {
			return nil, err
		}
		online, err := a.Engine.Online(who.cause(""), clients)
		return map[string]any{"results": nonNil(online)}, err
	})
	mux.HandleFunc("GET "+prefix+"clients/{client}/unread-count", a.appOnly(func(r *http.Request, who caller) (any, error) {
		n, err := a.Engine.Unread(r.Context(), who.cause(""), r.PathValue("client"), r.URL.Query().Get("conv_id"))
		return map[string]any{"count": n}, err
	}))
	a.route(mux, "POST", "clients/{client}/kick", func(r *http.Request, who caller) (any, error) {
		var in struct {
			Reason string `json:"reason"`
		}
		if r.ContentLength != 0 {
			if err := readJSON(r, &in); err != nil {
				return nil, err
			}
		}
		const longest = 20
		if len([]rune(in.Reason)) > longest {
			return nil, malformed("reason has more than 20 characters")
		}
		_, err := a.Engine.Kick(who.cause(""), r.PathValue("client"), in.Reason)
		return nil, err
	})
	a.route(mux, "GET", "clients/{client}/service-conversations", a.subscriptions)
	a.route(mux, "GET", "clients/{client}/messages", a.appHistory)
	for method, on := range map[string]bool{"POST": true, "DELETE": false} {
		a.route(mux, method, "clients/{client}/blacklists", func(r *http.Request, who caller) (any, error) {
			var in struct {
				ConvID  string   `json:"conv_id"`
				ConvIDs []string `json:"conv_ids"`
			}
			if err := readJSON(r, &in); err != nil {
				return nil, err
			}
			if in.ConvID != "" {
				in.ConvIDs = append(in.ConvIDs, in.ConvID)
			}
			if len(in.ConvIDs) == 0 {
				return nil, malformed("conv_id is missing")
			}
			_, err := whole(a.Engine.BlockConvs(r.Context(), who.cause(""), r.PathValue("client"), in.ConvIDs, on, sign.Signature{}))
			return nil, err
		})
	}
	a.route(mux, "GET", "clients/{client}/blacklists", func(r *http.Request, who caller) (any, error) {
		n, err := number(r, "limit", engine.DefaultListPage)
		if err != nil {
			return nil, err
		}
		ids, next, err := a.Engine.BlockedConvs(r.Context(), who.cause(""), r.PathValue("client"), r.URL.Query().Get("next"), n)
		return listPage("conv_ids", ids, next), err
	})
}

func (a *api) subscriptions(r *http.Request, who caller) (any, error) {
	query := r.URL.Query()
	q := engine.SubscriptionQuery{Cid: query.Get("conv_id"), Older: query.Get("direction") == "old"}
	if text := query.Get("timestamp"); text != "" {
		at, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, malformed("timestamp is not a number")
		}
		q.At = at
	}
	n, err := number(r, "limit", engine.MaxSubscriptions)
	if err != nil {
		return nil, err
	}
	q.Limit = n
	list, err := a.Engine.Subscriptions(r.Context(), who.cause(""), r.PathValue("client"), q)
	return describeSubscriptions(list), err
}
