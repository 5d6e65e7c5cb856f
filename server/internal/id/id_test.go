package id_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/id"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestForms(t *testing.T) {
	s := id.New()
	require.Regexp(t, `^[0-9a-f]{24}$`, s.Conv())
	require.Regexp(t, `^_tmp:[A-Za-z0-9_-]{22}$`, s.Temp())
	require.Regexp(t, `^[A-Za-z0-9_-]{22}$`, s.Message())
	require.Regexp(t, `^[A-Za-z0-9_-]{22}$`, s.Client())
}

func TestConvCarriesTheTimeAndSortsByIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := id.New()
		var ids []string
		for range 5 {
			c := s.Conv()
			seconds, err := strconv.ParseInt(c[:8], 16, 64)
			require.NoError(t, err)
			require.Equal(t, time.Now().Unix(), seconds)
			ids = append(ids, c)
			time.Sleep(time.Second)
		}
		require.True(t, slices.IsSorted(ids))
	})
}

func TestUnique(t *testing.T) {
	s, other := id.New(), id.New()
	require.NotEqual(t, s.Conv()[8:18], other.Conv()[8:18])
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				for _, v := range []string{s.Conv(), s.Temp(), s.Message(), s.Client()} {
					mu.Lock()
					if seen[v] {
						t.Errorf("%s was made twice", v)
					}
					seen[v] = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
}
