package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/leanrtm/realtime"
)

// Options configure a Client. AppID, MasterKey and Server are required. New
// copies them: later changes have no effect.
type Options struct {
	AppID, MasterKey string
	// Server is the base URL of the REST API; without a scheme: https.
	Server string
	// Plugins add message types, for reading messages, and hooks before a send:
	// uploads, for instance. Their other hooks are not called.
	Plugins []realtime.Plugin
	// HTTPClient makes the requests; nil: one with http.DefaultTransport.
	HTTPClient *http.Client
	// Logger is told of repeated requests; nil: nothing is logged.
	Logger *slog.Logger

	// SignRequests proves the master key by a signature (X-LC-Sign) instead of
	// sending the key itself.
	SignRequests bool
	// RetrySends repeats sends and broadcasts like other requests, with a token
	// that lets package server store and deliver them once all the same. A
	// server that does not know the token may send twice.
	RetrySends bool
	// Quota slows sends and broadcasts down to what the server accepts; nil:
	// unlimited.
	Quota *Quota
}

// String shows what the options are about, without the key.
func (o Options) String() string {
	return fmt.Sprintf("admin.Options{AppID:%q MasterKey:%q Server:%q}", o.AppID, mask(o.MasterKey), redactURL(o.Server))
}

// GoString is the same as String: %#v does not show the key either.
func (o Options) GoString() string { return o.String() }

// LogValue shows the same as String.
func (o Options) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("app_id", o.AppID),
		slog.String("master_key", mask(o.MasterKey)),
		slog.String("server", redactURL(o.Server)),
	)
}

// mask tells whether there is a secret, and no more.
func mask(secret string) string {
	if secret == "" {
		return ""
	}
	return "***"
}

// redactURL is a URL without the password and the query it may carry.
func redactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(not a URL)"
	}
	u.RawQuery, u.ForceQuery = "", false
	return u.Redacted()
}

// complete fills in defaults. It returns the base URL and all the mistakes.
func (o *Options) complete() (base *url.URL, mistakes []error) {
	mistake := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf(format, args...))
	}
	if o.AppID == "" {
		mistake("AppID is required")
	}
	switch {
	case o.MasterKey == "":
		mistake("MasterKey is required")
	case strings.ContainsFunc(o.MasterKey, func(r rune) bool { return r <= ' ' || r == ',' || r > '~' }):
		// As a header it would be refused, or cut where the marker begins.
		mistake("MasterKey has characters that no key has: pass it without quotes, blanks and suffix")
	}
	if strings.ContainsFunc(o.AppID, func(r rune) bool { return r <= ' ' || r > '~' }) {
		mistake("AppID has characters that no id has")
	}
	base, err := baseURL(o.Server)
	if err != nil {
		mistake("Server: %w", err)
	}
	if q := o.Quota; q != nil {
		copied := *q
		o.Quota = &copied
		if min(q.MessagesPerMinute, q.SubscriberBroadcastsPerMinute, q.SubscriberBroadcastsPerDay,
			q.BroadcastsPerMinute, q.BroadcastsPerDay) < 0 {
			mistake("Quota has a negative figure")
		}
	}
	o.Plugins = append([]realtime.Plugin(nil), o.Plugins...)
	if o.HTTPClient == nil {
		o.HTTPClient = new(http.Client)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return base, mistakes
}

func baseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("it is required")
	}
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q is neither http nor https", u.Scheme)
	case u.Host == "":
		return nil, errors.New("no host")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("a base URL has neither query nor fragment")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}
