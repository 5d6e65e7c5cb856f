package realtime

import (
	"net/http"
	"sync"
	"time"
)

// transport is what everything over HTTP goes through, unless the user brings
// something else. Requests that leave no connection behind, as the question to a
// router and the upgrade of a socket do, get a transport that is thrown away with
// them: one that lives on keeps what it has noted of every such connection, and
// most clients never use it for anything else.
type transport struct {
	make func() *http.Transport

	mu   sync.Mutex
	kept *http.Transport // whose connections may be used again; nil before there can be one
}

func newTransport(o *Options) *transport {
	return &transport{make: func() *http.Transport {
		t := &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           o.Dial,
			TLSClientConfig:       o.TLSConfig.Clone(), // a transport writes to it
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          16,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
		}
		if o.Dial != nil {
			t.Proxy = nil // where connections go is the caller's business
		}
		return t
	}}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Close || req.Header.Get("Upgrade") != "" {
		once := t.make()
		once.DisableKeepAlives = true // a refused upgrade could leave a connection
		resp, err := once.RoundTrip(req)
		if err != nil {
			once.CloseIdleConnections() // ends a dial as well that was given up
		}
		return resp, err
	}
	t.mu.Lock()
	if t.kept == nil {
		t.kept = t.make()
	}
	kept := t.kept
	t.mu.Unlock()
	return kept.RoundTrip(req)
}

// Plain says that the body of an upgrade is the connection itself; see package
// conn.
func (t *transport) Plain() bool { return true }

// CloseIdleConnections is as that of http.Transport.
func (t *transport) CloseIdleConnections() {
	t.mu.Lock()
	kept := t.kept
	t.mu.Unlock()
	if kept != nil {
		kept.CloseIdleConnections()
	}
}
