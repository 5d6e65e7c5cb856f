package rest

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/leanrtm/realtime/server/internal/limit"
)

// The headers of the API.
const (
	headerID        = "X-LC-Id"
	headerKey       = "X-LC-Key"
	headerSign      = "X-LC-Sign"
	headerIMSession = "X-LC-IM-Session-Token"
)

// masterSuffix marks a key or signature as that of the master.
const masterSuffix = "master"

// authenticate finds the app of a request and checks its key.
func (a *api) authenticate(r *http.Request) (caller, error) {
	unauthorized := refuse(http.StatusUnauthorized, http.StatusUnauthorized, "Unauthorized.")
	app := a.Apps[r.Header.Get(headerID)]
	if app == nil {
		return caller{}, unauthorized
	}
	who := caller{app: app, ip: remoteIP(r)}
	ok := false
	if key := r.Header.Get(headerKey); key != "" {
		key, suffix, _ := strings.Cut(key, ",")
		who.master = suffix == masterSuffix
		ok = sameKey(key, who.secret())
	} else if signature := r.Header.Get(headerSign); signature != "" {
		sum, rest, _ := strings.Cut(signature, ",")
		timestamp, suffix, _ := strings.Cut(rest, ",")
		who.master = suffix == masterSuffix
		ok = timestamp != "" && who.secret() != "" && sameKey(strings.ToLower(sum), signKey(timestamp, who.secret()))
	}
	if !ok {
		return caller{}, unauthorized
	}
	return who, nil
}

// secret is the key that the caller claims to have.
func (c caller) secret() string {
	if c.master {
		return c.app.MasterKey
	}
	return c.app.Key
}

// sameKey compares in constant time. No key is never the right one.
func sameKey(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// signKey is the signature that stands for a key. The protocol wants MD5; the
// time in it is not checked, since clients' clocks are wrong, and so the
// signature is as good as the key.
func signKey(timestamp, key string) string {
	sum := md5.Sum([]byte(timestamp + key))
	return hex.EncodeToString(sum[:])
}

func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// clientSession wraps a handler for a client that shows its IM session token,
// or for the master. The client is the one the request names.
func (a *api) clientSession(h func(r *http.Request, who caller, client string) (any, error)) http.HandlerFunc {
	return a.appOnly(func(r *http.Request, who caller) (any, error) {
		client := r.URL.Query().Get("client_id")
		if client == "" {
			return nil, malformed("client_id is missing")
		}
		if !who.master && !a.holdsToken(r, who.app, client) {
			return nil, refuse(http.StatusUnauthorized, http.StatusUnauthorized, "the IM session token is missing, expired or of another client")
		}
		return h(r, who, client)
	})
}

func (a *api) holdsToken(r *http.Request, app *limit.App, client string) bool {
	claims, err := a.Tokens.Parse(r.Header.Get(headerIMSession))
	return err == nil && claims.App == app.ID && claims.Client == client && !claims.Expired(time.Now(), a.TokenTTL)
}
