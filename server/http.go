package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/rest"
	"github.com/leanrtm/realtime/server/internal/transport"
)

// Subprotocols that the server speaks, the preferred ones first.
func subprotocols() []string {
	return []string{
		wire.SubprotocolBinary, wire.SubprotocolText,
		wire.SubprotocolBinaryOffline, wire.SubprotocolTextOffline,
	}
}

// codeNotFound is the code of a REST answer that no more is known about than its
// status.
const codeNotFound = 1

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isUpgrade(r) {
		s.upgrade(w, r)
		return
	}
	if !s.requests.enter() {
		if isRoute(r) && !s.stopping.Load() {
			if !s.cors(w, r) {
				s.tellRoute(w, r, time.Second)
			}
			return
		}
		writeError(w, http.StatusServiceUnavailable, int(wire.CodeInternalError), "the server shuts down")
		return
	}
	defer s.requests.leave()
	peer := &deadlines{control: http.NewResponseController(w)}
	defer peer.release()
	ctx, stop := s.during(r.Context(), peer)
	defer stop()
	steady(peer, r, s.opts.RequestTimeout)
	if s.cors(w, r) {
		return
	}
	s.mux.ServeHTTP(w, r.WithContext(ctx))
}

func isUpgrade(r *http.Request) bool {
	for _, v := range r.Header.Values("Upgrade") {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), "websocket") {
				return true
			}
		}
	}
	return false
}

// upgrade makes a WebSocket of the request, on any path.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) {
	name, ok := subprotocol(r)
	if !ok {
		writeError(w, http.StatusBadRequest, codeNotFound, "none of the subprotocols is known")
		return
	}
	ip := addressOf(r)
	if !s.admission.admit(w, ip) {
		return
	}
	leave := sync.OnceFunc(func() { s.admission.leave(ip) })
	originOK := originAllowed(s.opts.Origins, r.Header.Get("Origin"))
	err := s.conns.Serve(w, r, subprotocols(), name, func(c *transport.Conn) transport.Receiver {
		return &admitted{Receiver: s.sessions.Accept(c, originOK), leave: leave}
	})
	if err != nil { // it was answered, and is the peer's affair
		leave()
	}
}

// subprotocol is what the peer asks for: in the header, or in the query where
// the platform cannot set the header. Without either it is the binary one. ok is
// false if it asks only for what the server does not speak.
func subprotocol(r *http.Request) (name string, ok bool) {
	offered := r.Header.Values("Sec-WebSocket-Protocol")
	if len(offered) == 0 {
		if name = r.URL.Query().Get("subprotocol"); name == "" {
			return wire.SubprotocolBinary, true
		}
		offered = []string{name}
	}
	for _, v := range offered {
		for t := range strings.SplitSeq(v, ",") {
			name = strings.TrimSpace(t)
			if _, ok := wire.CodecFor(name); ok {
				return name, true
			}
		}
	}
	return "", false
}

// routes are the paths that are not a WebSocket.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+routePath, s.route)
	rest.Mount(mux, rest.Config{
		Apps:     s.apps,
		Engine:   s.engine,
		Tokens:   s.tokens,
		TokenTTL: s.opts.TokenTTL,
		Files:    s.files,
		BaseURL:  s.baseURL,
		Users:    s.opts.Users,
		Logger:   s.opts.Logger,
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, codeNotFound, "no such endpoint")
	})
	return mux
}

// routeAnswer tells a client where the socket is.
type routeAnswer struct {
	Server    string `json:"server"`
	Secondary string `json:"secondary"`
	TTL       int64  `json:"ttl"` // seconds
	GroupID   string `json:"groupId"`
	GroupURL  string `json:"groupUrl"`
}

const groupID = "g0"

const routePath = "/v1/route"

// isRoute tells whether a request is for the router: a client that is told to go
// asks it where to, also while this server shuts down. The official SDK takes it
// ill if that fails.
func isRoute(r *http.Request) bool {
	return r.URL.Path == routePath && (r.Method == http.MethodGet || r.Method == http.MethodOptions)
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) { s.tellRoute(w, r, s.opts.RouteTTL) }

func (s *Server) tellRoute(w http.ResponseWriter, r *http.Request, ttl time.Duration) {
	socket := s.socketURL(r)
	writeJSON(w, http.StatusOK, routeAnswer{
		Server:    socket,
		Secondary: socket,
		TTL:       int64(ttl / time.Second),
		GroupID:   groupID,
		GroupURL:  socket,
	})
}

func (s *Server) socketURL(r *http.Request) string {
	if s.opts.SocketURL != "" {
		return s.opts.SocketURL
	}
	if overTLS(r) {
		return "wss://" + r.Host + "/"
	}
	return "ws://" + r.Host + "/"
}

// baseURL is the URL under which the client of r reaches the server.
func (s *Server) baseURL(r *http.Request) string {
	switch {
	case s.opts.PublicURL != "":
		return s.opts.PublicURL
	case overTLS(r):
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// overTLS tells whether the client came over TLS, to here or to a proxy.
func overTLS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	proto = strings.TrimSpace(proto)
	return strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
}

// Cross-origin requests of web pages.
const (
	corsMethods = "GET, POST, PUT, DELETE, OPTIONS"
	corsHeaders = "Content-Type, X-LC-Id, X-LC-Key, X-LC-Sign, X-LC-Session, X-LC-IM-Session-Token, X-LC-Prod, X-LC-UA"
	corsMaxAge  = "86400"
)

// cors lets web pages read the answer. It returns true if that was all that was
// asked.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) (done bool) {
	origin := r.Header.Get("Origin")
	h := w.Header()
	if origin != "" {
		h.Add("Vary", "Origin")
		if originAllowed(s.opts.Origins, origin) {
			h.Set("Access-Control-Allow-Origin", origin)
		}
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", corsMaxAge)
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

func writeError(w http.ResponseWriter, status, code int, text string) {
	writeJSON(w, status, struct {
		Code  int    `json:"code"`
		Error string `json:"error"`
	}{code, text})
}

// writeJSON answers with a JSON document. What goes wrong from here on is the
// peer's connection.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
