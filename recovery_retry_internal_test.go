package realtime

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What will not be different in a moment is not asked for again.
func TestPasses(t *testing.T) {
	get := func(err error) error {
		return fmt.Errorf("notifications: %w", &url.Error{Op: "Get", URL: "https://rtm.test", Err: err})
	}
	dial := func(err error) error { return get(&net.OpError{Op: "dial", Net: "tcp", Err: err}) }
	for _, err := range []error{
		ErrTimeout, dial(syscall.ECONNREFUSED), dial(syscall.ECONNRESET), get(io.EOF), get(io.ErrUnexpectedEOF),
		dial(&net.DNSError{IsTimeout: true}), &Error{Code: ErrConversationLogFailed}, &Error{HTTPStatus: 503}, &Error{HTTPStatus: 429},
	} {
		require.True(t, passes(err), "%v", err)
	}
	for _, err := range []error{
		dial(&net.DNSError{IsNotFound: true}), get(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
		get(errors.New("unsupported protocol scheme")), &Error{Code: ErrConversationLogRejected}, &Error{HTTPStatus: 404},
	} {
		require.False(t, passes(err), "%v", err)
	}
}
