package realtime

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// inFlight is a send of a text that has no answer yet.
func inFlight(s *clientSync, text string) *sending {
	out := &sending{conv: &Conversation{id: "a"}, payload: payload{text: text}}
	s.begin(out)
	return out
}

func shownUp(s *clientSync, id, text string) *Message {
	return &Message{ID: id, ConversationID: "a", From: s.client.ID(), payload: payload{text: text}}
}

func TestClaims(t *testing.T) {
	s := newSync(t)
	unknown := fmt.Errorf("lost: %w", ErrOutcomeUnknown)

	first := inFlight(s, "x")
	_, claimed := s.claim(shownUp(s, "m1", "x"), false)
	require.False(t, claimed, "a push to the session that sends is of another device")
	_, claimed = s.claim(&Message{ID: "m1", ConversationID: "a", From: "somebody", payload: payload{text: "x"}}, true)
	require.False(t, claimed)
	_, claimed = s.claim(shownUp(s, "m1", "y"), true)
	require.False(t, claimed)
	of, claimed := s.claim(shownUp(s, "m1", "x"), true)
	require.True(t, claimed)
	require.Nil(t, of, "the send sees to it")
	_, claimed = s.claim(shownUp(s, "m2", "x"), true)
	require.False(t, claimed, "one send, one message")
	found, of := s.settle(first, nil, unknown)
	require.Equal(t, "m1", found.ID)
	require.Same(t, first, of)

	// Two of one content, taken for each other: the answers put it right.
	first, second := inFlight(s, "x"), inFlight(s, "x")
	m1, m2 := shownUp(s, "m1", "x"), shownUp(s, "m2", "x")
	first.found, second.found = m2, m1
	found, _ = s.settle(first, m1, nil)
	require.Nil(t, found)
	found, _ = s.settle(second, m2, nil)
	require.Nil(t, found)

	// Taken for the one that was refused, of the one that is in flight still.
	first, second = inFlight(s, "x"), inFlight(s, "x")
	first.found, first.foundAway = m1, true
	found, _ = s.settle(first, nil, ErrSilenced)
	require.Nil(t, found)
	found, _ = s.settle(second, m1, nil)
	require.Nil(t, found)

	// Of nobody after all.
	first = inFlight(s, "x")
	first.found = m1
	found, of = s.settle(first, m2, nil)
	require.Same(t, m1, found)
	require.Nil(t, of)

	// Of one that ended in doubt before.
	first, second = inFlight(s, "x"), inFlight(s, "x")
	s.settle(first, nil, unknown)
	second.found = m1
	found, of = s.settle(second, m2, nil)
	require.Same(t, m1, found)
	require.Same(t, first, of)
	require.Empty(t, s.sending)
	require.Empty(t, s.doubts)

	// A repetition with the same token has the answer of both.
	first, second = inFlight(s, "x"), inFlight(s, "x")
	first.opts.token, first.opts.hasToken = "t", true
	second.opts.token, second.opts.hasToken = "t", true
	s.settle(first, nil, unknown)
	require.Len(t, s.doubts, 1)
	s.settle(second, m1, nil)
	require.Empty(t, s.doubts)
}

func TestDoubtsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSync(t)
		for i := range maxDoubts + 10 {
			s.settle(inFlight(s, fmt.Sprint(i)), nil, ErrOutcomeUnknown)
		}
		require.Len(t, s.doubts, maxDoubts)
		of, claimed := s.claim(shownUp(s, "m9", "9"), true)
		require.False(t, claimed)
		require.Nil(t, of)
		time.Sleep(time.Hour) // away
		of, _ = s.claim(shownUp(s, "m10", "10"), true)
		require.NotNil(t, of)
		s.recoveredUpTo(1)
		time.Sleep(lateDoubt)
		of, _ = s.claim(shownUp(s, "m11", "11"), false)
		require.NotNil(t, of)
		time.Sleep(time.Second)
		of, _ = s.claim(shownUp(s, "m12", "12"), false)
		require.Nil(t, of)
		require.Empty(t, s.doubts)
	})
}
