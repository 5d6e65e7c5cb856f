package realtimetest

import "sync"

// expiredToken stands in for a session token that the test has let expire: no
// server has ever issued it, so it is refused as an expired one is.
const expiredToken = "expired"

// logins is what the server's answers have told about clients, whether they
// are connected now or not.
type logins struct {
	mu     sync.Mutex
	tags   map[string]string   // by client, of its latest login with a tag; "" for clients without
	tokens map[string][]string // by client, all that are not expired
	over   map[string]bool     // tokens that are
}

func newLogins() *logins {
	return &logins{tags: map[string]string{}, tokens: map[string][]string{}, over: map[string]bool{}}
}

// opened notes a login or a new token.
func (l *logins) opened(id, tag, token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if tag != "" || l.tags[id] == "" {
		l.tags[id] = tag // an automatic login does not repeat the tag
	}
	if token != "" {
		l.tokens[id] = append(l.tokens[id], token)
		delete(l.over, token) // two tokens of one moment may be the same
	}
}

// tag is the tag of a client. known is false if it was never logged in.
func (l *logins) tag(id string) (tag string, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tag, known = l.tags[id]
	return tag, known
}

// expire lets all tokens of these clients expire, or of all clients if none is
// given.
func (l *logins) expire(ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(ids) == 0 {
		for id := range l.tokens {
			l.expireOf(id)
		}
	}
	for _, id := range ids {
		l.expireOf(id)
	}
}

func (l *logins) expireOf(id string) {
	for _, token := range l.tokens[id] {
		l.over[token] = true
	}
	delete(l.tokens, id)
}

// expired tells whether the test has let the token expire.
func (l *logins) expired(token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over[token]
}
