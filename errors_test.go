package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

func TestErrorCodeIsItsOwnSentinel(t *testing.T) {
	err := fmt.Errorf("look up: %w", &realtime.Error{
		Code: 4303, Reason: "CONVERSATION_NOT_FOUND", Detail: "no such row", AppCode: 7, AppMessage: "gone",
	})
	require.ErrorIs(t, err, realtime.ErrConversationNotFound)
	require.NotErrorIs(t, err, realtime.ErrConversationFull)
	require.Equal(t, "look up: realtime: CONVERSATION_NOT_FOUND (4303): no such row (app code 7: gone)", err.Error())

	var e *realtime.Error
	require.ErrorAs(t, err, &e)
	switch e.Code {
	case realtime.ErrConversationNotFound:
	default:
		t.Fatalf("code %d does not serve a switch", e.Code)
	}
}

func TestErrorCodeText(t *testing.T) {
	for _, tt := range []struct {
		code        realtime.ErrorCode
		name, error string
	}{
		{realtime.ErrSilenced, "SILIENCED", "realtime: SILIENCED (4563)"},
		{realtime.ErrOwnerPromotionNotAllowed, "OWNER_PROMOTION_NOT_ALLOWED", "realtime: OWNER_PROMOTION_NOT_ALLOWED (5130)"},
		{9999, "9999", "realtime: error 9999"},
	} {
		require.Equal(t, tt.name, tt.code.String())
		require.Equal(t, tt.error, tt.code.Error())
	}
}

func TestPartialErrorUnwrapsToEachFailure(t *testing.T) {
	err := error(&realtime.PartialError{
		Succeeded: []string{"a"},
		Failures: []realtime.MemberFailure{
			{ClientIDs: []string{"b", "c"}, Err: &realtime.Error{Code: realtime.ErrConversationFull, Reason: "CONVERSATION_FULL"}},
			{ClientIDs: []string{"d"}, Err: &realtime.Error{Code: realtime.ErrBlockedByConv, Reason: "BLOCKED_BY_CONV"}},
		},
	})
	require.ErrorIs(t, err, realtime.ErrConversationFull)
	require.ErrorIs(t, err, realtime.ErrBlockedByConv)
	require.NotErrorIs(t, err, realtime.ErrSilenced)
	require.Equal(t, `realtime: 3 of 4 failed: ["b" "c"]: CONVERSATION_FULL (4304); ["d"]: BLOCKED_BY_CONV (4548)`, err.Error())
}

func TestSafeToRetry(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"nil", nil, false},
		{"somebody else's", errors.New("no idea"), false},
		{"bare cancellation", context.Canceled, false},
		{"mistake", fmt.Errorf("x: %w", realtime.ErrInvalidArgument), true},
		{"not open", realtime.ErrNotOpen, true},
		{"not connected", realtime.ErrDisconnected, true},
		{"unknown outcome", errors.Join(realtime.ErrDisconnected, realtime.ErrOutcomeUnknown), false},
		{"refused", &realtime.Error{Code: realtime.ErrConversationFull}, true},
		{"refused, bare code", realtime.ErrConversationFull, true},
		{"gave up in the middle", &realtime.Error{Code: realtime.ErrInternalError}, false},
		{"gave up in the middle, bare code", realtime.ErrSendMessageTimeout, false},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, realtime.SafeToRetry(tt.err)) })
	}
}

func TestTimeoutMatchesDeadlineExceeded(t *testing.T) {
	require.ErrorIs(t, realtime.ErrTimeout, context.DeadlineExceeded)
	require.NotErrorIs(t, realtime.ErrTimeout, context.Canceled)
}
