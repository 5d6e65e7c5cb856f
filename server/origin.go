package server

import (
	"net/url"
	"strings"
)

// anySubdomain begins a pattern for all subdomains of a host.
const anySubdomain = "*."

// validOrigin tells whether pattern is one that originAllowed understands.
func validOrigin(pattern string) bool {
	scheme, host, hasScheme := strings.Cut(pattern, "://")
	if !hasScheme {
		host = scheme
	} else if scheme == "" {
		return false
	}
	host = strings.TrimPrefix(host, anySubdomain)
	return host != "" && !strings.ContainsAny(host, "/*?# ")
}

// originAllowed tells whether a web page may use the server. An empty origin is
// that of a program that is no web page.
func originAllowed(patterns []string, origin string) bool {
	if origin == "" || len(patterns) == 0 {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	for _, pattern := range patterns {
		scheme, host, hasScheme := strings.Cut(pattern, "://")
		if !hasScheme {
			host = scheme
		} else if !strings.EqualFold(scheme, u.Scheme) {
			continue
		}
		if domain, sub := strings.CutPrefix(host, anySubdomain); sub {
			if n := len(u.Host) - len(domain); n > 1 && u.Host[n-1] == '.' && strings.EqualFold(u.Host[n:], domain) {
				return true
			}
		} else if strings.EqualFold(host, u.Host) {
			return true
		}
	}
	return false
}
