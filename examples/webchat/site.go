package main

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
)

// The app that the page and the bot use.
const (
	appID  = "webchat"
	appKey = "webchat-key"
)

//go:embed page
var page embed.FS

// scripts are the browser builds of the official SDK, by the name under which
// the page asks for them.
func scripts() map[string]string {
	return map[string]string{
		"storage.js":        "leancloud-storage/dist/av-min.js",
		"realtime.js":       "leancloud-realtime/dist/im-browser.min.js",
		"typed-messages.js": "leancloud-realtime-plugin-typed-messages/dist/typed-messages.min.js",
	}
}

// policy lets the page run the scripts that are served here and no other, show
// pictures from anywhere, and talk to any server.
const policy = "default-src 'self'; img-src 'self' blob: http: https:; connect-src 'self' http: https: ws: wss:; object-src 'none'; base-uri 'none'"

// site serves the page, the SDK, and, under all other paths, the messaging
// server.
type site struct {
	rtm http.Handler
	sdk string // directory that has node_modules

	mu   sync.RWMutex
	room *roomInfo // nil: not open yet
}

// roomInfo is what the page has to know.
type roomInfo struct {
	AppID        string `json:"appId"`
	AppKey       string `json:"appKey"`
	Conversation string `json:"conversation"`
	Name         string `json:"name"`
	Bot          string `json:"bot"`
}

// open makes a room known to the page.
func (s *site) open(room roomInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = &room
}

func (s *site) handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the name is written above
	}
	assets := http.NewServeMux()
	assets.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "index.html")
	})
	assets.Handle("GET /page/", http.StripPrefix("/page/", http.FileServerFS(files)))
	assets.HandleFunc("GET /page/room.json", s.serveRoom)
	for name, path := range scripts() {
		assets.HandleFunc("GET /page/sdk/"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, filepath.Join(s.sdk, "node_modules", filepath.FromSlash(path)))
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The socket's path is / as well.
		if r.Header.Get("Upgrade") != "" || r.URL.Path != "/" && !strings.HasPrefix(r.URL.Path, "/page/") {
			s.rtm.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache") // another run may have another page
		assets.ServeHTTP(w, r)
	})
}

func (s *site) serveRoom(w http.ResponseWriter, _ *http.Request) {
	s.mu.RLock()
	room := s.room
	s.mu.RUnlock()
	if room == nil {
		http.Error(w, "the room is not open yet", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(room) // a browser that went away needs no answer
}
