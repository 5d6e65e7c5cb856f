package sign_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/server/internal/sign"
)

func TestSignatureWorksOnce(t *testing.T) {
	used := sign.NewUsed(0)
	text := sign.Members(app, "tom", "c1", []string{"bob"}, sign.Invite)
	good := text.Sign(key, at.UnixMilli(), "n")
	require.NoError(t, used.Accept(text, key, good, at))
	require.ErrorIs(t, used.Accept(text, key, good, at), sign.ErrUsed)

	upper := good
	upper.Value = strings.ToUpper(good.Value)
	require.ErrorIs(t, used.Accept(text, key, upper, at), sign.ErrUsed, "the same in other letters")
	require.ErrorIs(t, used.Accept(text, key, good, at.Add(sign.Lifetime)), sign.ErrUsed, "for all its life")
	require.ErrorIs(t, used.Accept(text, key, good, at.Add(sign.Lifetime+time.Millisecond)), sign.ErrExpired)

	for name, s := range map[string]sign.Signature{
		"another nonce": text.Sign(key, at.UnixMilli(), "m"),
		"another time":  text.Sign(key, at.UnixMilli()+1, "n"),
		"seconds":       text.Sign(key, at.Unix(), "n"),
	} {
		require.NoError(t, used.Accept(text, key, s, at), name)
		require.ErrorIs(t, used.Accept(text, key, s, at), sign.ErrUsed, name)
	}
	// Two clients whose back end makes poor nonces.
	other := sign.Members(app, "eve", "c1", []string{"bob"}, sign.Invite)
	require.NoError(t, used.Accept(other, key, other.Sign(key, at.UnixMilli(), "n"), at))
}

func TestWrongSignatureUsesNothingUp(t *testing.T) {
	used := sign.NewUsed(0)
	text := sign.Login(app, "tom")
	good := text.Sign(key, at.UnixMilli(), "n")
	wrong := good
	wrong.Nonce = "m"
	require.ErrorIs(t, used.Accept(text, key, wrong, at), sign.ErrWrong)
	require.ErrorIs(t, used.Accept(text, key, sign.Signature{Value: "a", Timestamp: at.UnixMilli()}, at), sign.ErrWrong)
	require.ErrorIs(t, used.Accept(text, "other", good, at), sign.ErrWrong)
	require.ErrorIs(t, used.Accept(text, key, good, at.Add(-sign.Lifetime-time.Second)), sign.ErrExpired)
	require.ErrorIs(t, used.Accept(text, key, sign.Signature{}, at), sign.ErrMissing)
	require.NoError(t, used.Accept(text, key, good, at))
}

// A nonce that is a time as well: with the two exchanged, a signature must not
// become another one.
func TestTimeAndNonceCannotBeExchanged(t *testing.T) {
	used := sign.NewUsed(0)
	text := sign.History(app, "tom", "c1")
	for _, later := range []int64{1, 3_600_000, 30 * 86_400_000} {
		first, second := at.UnixMilli(), at.UnixMilli()+later
		s := text.Sign(key, first, strconv.FormatInt(second, 10))
		require.NoError(t, used.Accept(text, key, s, at))
		exchanged := sign.Signature{Timestamp: second, Nonce: strconv.FormatInt(first, 10), Value: s.Value}
		require.ErrorIs(t, used.Accept(text, key, exchanged, time.UnixMilli(second)), sign.ErrWrong)
	}
}

func TestOneOfManyAtOnceIsAccepted(t *testing.T) {
	used := sign.NewUsed(0)
	text := sign.Login(app, "tom")
	const rounds, each = 100, 8
	var accepted [rounds]atomic.Int32
	var wg sync.WaitGroup
	for range each {
		wg.Go(func() {
			for i := range rounds {
				s := text.Sign(key, at.UnixMilli(), strconv.Itoa(i))
				if used.Accept(text, key, s, at) == nil {
					accepted[i].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for i := range accepted {
		require.EqualValues(t, 1, accepted[i].Load())
	}
}

// Whatever the memory forgets, nothing is accepted twice.
func TestFullMemoryShortensTheTime(t *testing.T) {
	used := sign.NewUsed(64)
	text := sign.Login(app, "tom")
	type entry struct {
		s        sign.Signature
		accepted bool
	}
	var all []entry
	for i := range 2000 {
		now := at.Add(time.Duration(i) * time.Second)
		s := text.Sign(key, now.UnixMilli(), strconv.Itoa(i))
		err := used.Accept(text, key, s, now)
		if err != nil {
			require.ErrorIs(t, err, sign.ErrForgotten)
		}
		all = append(all, entry{s, err == nil})
	}
	end := at.Add(2000 * time.Second)
	accepted, usedUp, forgotten := 0, 0, 0
	for _, e := range all {
		if e.accepted {
			accepted++
		}
		switch err := used.Accept(text, key, e.s, end); {
		case err == nil:
			require.False(t, e.accepted, "accepted twice")
		case !e.accepted:
		case errors.Is(err, sign.ErrUsed):
			usedUp++
		default:
			require.ErrorIs(t, err, sign.ErrForgotten)
			forgotten++
		}
	}
	require.Greater(t, accepted, 1000, "a fresh one is accepted most of the time")
	require.Positive(t, usedUp)
	require.LessOrEqual(t, usedUp, 64)
	require.Positive(t, forgotten)

	// A signature that was made a while ago finds no room among so many.
	late := text.Sign(key, at.UnixMilli(), "late")
	require.ErrorIs(t, used.Accept(text, key, late, end), sign.ErrForgotten)
}

// What is over is not kept: the room is there for others.
func TestMemoryIsGivenBack(t *testing.T) {
	used := sign.NewUsed(160)
	text := sign.Login(app, "tom")
	for hours := range 20 {
		now := at.Add(time.Duration(hours) * 13 * time.Hour)
		// As many as surely fit into each of the parts of the memory.
		for i := range 30 {
			s := text.Sign(key, now.UnixMilli(), strconv.Itoa(i))
			require.NoError(t, used.Accept(text, key, s, now))
		}
		oldest := text.Sign(key, now.Add(-sign.Lifetime).UnixMilli(), "old")
		require.NoError(t, used.Accept(text, key, oldest, now), "nothing was forgotten early")
	}
}

func BenchmarkAccept(b *testing.B) {
	used := sign.NewUsed(0)
	text := sign.Login(app, "tom")
	now := at
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		s := text.Sign(key, now.UnixMilli(), "n")
		if err := used.Accept(text, key, s, now); err != nil {
			b.Fatal(err)
		}
	}
}
