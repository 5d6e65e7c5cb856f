package realtime_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

func TestMessageParserReadsWhatMarshalWrote(t *testing.T) {
	p, err := realtime.NewMessageParser()
	require.NoError(t, err)
	for name, data := range map[string]string{
		"text":   `{"data":"{\"_lctype\":-1,\"_lctext\":\"hi\",\"unknown\":12345678901234567890}","id":"m1","cid":"c1","from":"tom","timestamp":1700000000001,"deliveredAt":1700000000002,"updatedAt":1700000000003,"mentionList":["jerry"],"mentionedAll":true}`,
		"plain":  `{"data":"not JSON","id":"m1","cid":"c1","from":"tom","timestamp":1700000000001,"mentionList":[],"mentionedAll":false}`,
		"binary": `{"data":"AAEC","bin":true,"id":"m1","cid":"c1","from":"tom","timestamp":1700000000001,"mentionList":[],"mentionedAll":false,"transient":true}`,
	} {
		t.Run(name, func(t *testing.T) {
			m, err := p.ParseMessage([]byte(data))
			require.NoError(t, err)
			require.NoError(t, m.ContentErr())
			require.Equal(t, "m1", m.ID)
			require.Equal(t, time.UnixMilli(1700000000001).UTC(), m.Timestamp)
			require.False(t, m.Mentioned, "by nobody in particular")
			require.Equal(t, realtime.StatusNone, m.Status)
			out, err := json.Marshal(m)
			require.NoError(t, err)
			again, err := p.ParseMessage(out)
			require.NoError(t, err)
			require.Equal(t, m, again)
			require.Equal(t, string(m.Payload()), string(again.Payload()))
		})
	}
	m, err := p.ParseMessage([]byte(`{"data":"{\"_lctype\":-1,\"unknown\":12345678901234567890}"}`))
	require.NoError(t, err)
	require.Equal(t, `{"_lctype":-1,"unknown":12345678901234567890}`, string(m.Payload()), "as it came over the wire")
	for _, in := range []string{"", "{}", "[]", `{"data":"!","bin":true}`} {
		_, err := p.ParseMessage([]byte(in))
		require.Error(t, err, in)
	}
}

// ownError knows by itself whether its call may be repeated.
type ownError struct{ safe bool }

func (e ownError) Error() string     { return "own" }
func (e ownError) Unwrap() error     { return realtime.ErrOutcomeUnknown }
func (e ownError) SafeToRetry() bool { return e.safe }

func TestSafeToRetryAsksTheError(t *testing.T) {
	require.True(t, realtime.SafeToRetry(fmt.Errorf("call: %w", ownError{true})))
	require.False(t, realtime.SafeToRetry(errors.Join(ownError{false}, realtime.ErrDisconnected)))
}
