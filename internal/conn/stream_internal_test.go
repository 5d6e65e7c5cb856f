package conn

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// wrapping is a transport of somebody's own.
type wrapping struct{ http.RoundTripper }

func TestOnlyPlainTransportsAreBypassed(t *testing.T) {
	require.True(t, (&upgrader{}).plain())
	require.True(t, (&upgrader{base: &http.Transport{}}).plain())
	require.False(t, (&upgrader{base: wrapping{&http.Transport{}}}).plain())
	require.True(t, (&upgrader{base: saying(true)}).plain())
	require.False(t, (&upgrader{base: saying(false)}).plain())
	was := http.DefaultTransport
	defer func() { http.DefaultTransport = was }()
	http.DefaultTransport = wrapping{was}
	require.False(t, (&upgrader{}).plain())
}

// saying is a transport that tells itself whether it is plain.
type saying bool

func (s saying) Plain() bool { return bool(s) }

func (s saying) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrNotSupported }
