package realtime_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/realtimetest"
)

// Routers, socket and REST over TLS with a certificate that only TLSConfig
// knows, from a server that would rather speak HTTP/2.
func TestE2ETLS(t *testing.T) {
	s := realtimetest.NewServer(t)
	front := httptest.NewUnstartedServer(s.Handler())
	front.EnableHTTP2 = true
	front.StartTLS()
	t.Cleanup(front.Close)
	known := x509.NewCertPool()
	known.AddCert(front.Certificate())

	for _, text := range []bool{false, true} {
		t.Run(fmt.Sprint("base64 ", text), func(t *testing.T) {
			rt, err := realtime.New(realtime.Options{
				AppID: s.AppID, AppKey: s.AppKey, Server: front.URL, NoBinary: text,
				TLSConfig: &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12},
			})
			require.NoError(t, err)
			defer func() { require.NoError(t, rt.Close(context.Background())) }()
			tom, err := rt.CreateIMClient(t.Context(), "Tom")
			require.NoError(t, err)
			conv, err := tom.CreateConversation(t.Context(), realtime.ConversationOptions{Members: []string{"Jerry"}, NotUnique: true})
			require.NoError(t, err)
			m, err := conv.Send(t.Context(), realtime.NewTextMessage("in secret"))
			require.NoError(t, err)
			page, err := conv.QueryMessages(t.Context(), realtime.MessageQuery{})
			require.NoError(t, err)
			require.Equal(t, m.ID, page[0].ID)
			roles, err := conv.GetAllMemberInfo(t.Context()) // over REST
			require.NoError(t, err)
			require.Len(t, roles, 2)
		})
	}

	t.Run("a stranger", func(t *testing.T) {
		rt, err := realtime.New(realtime.Options{AppID: s.AppID, AppKey: s.AppKey, Server: front.URL})
		require.NoError(t, err)
		defer func() { require.NoError(t, rt.Close(context.Background())) }()
		_, err = rt.CreateIMClient(t.Context(), "Tom")
		var unknown x509.UnknownAuthorityError
		require.ErrorAs(t, err, &unknown)
		require.True(t, realtime.SafeToRetry(err))
	})
}
