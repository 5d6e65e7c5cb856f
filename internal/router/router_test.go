package router_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime/internal/router"
)

const (
	northApp  = "NorthAppId1234567890-gzGzoHsz"
	eastApp   = "EastApplication-9Nh9j0Va"
	globalApp = "GlobalApplication-MdYXbMMI"
)

// web answers requests and writes them down.
type web struct {
	mu     sync.Mutex
	asked  []string // host and path
	last   *http.Request
	answer func(r *http.Request) (status int, body string, err error)
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.asked = append(w.asked, r.URL.Scheme+"://"+r.URL.Host+r.URL.Path)
	w.last = r
	w.mu.Unlock()
	status, body, err := w.answer(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}, nil
}

func (w *web) client() *http.Client { return &http.Client{Transport: w} }

func (w *web) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// usual is a cloud in which everything works.
func usual(r *http.Request) (int, string, error) {
	switch r.URL.Path {
	case "/2/route":
		return 200, `{"rtm_router_server":"router.test","api_server":"api.test","push_server":"x","ttl":3600}`, nil
	case "/v1/route":
		return 200, `{"groupId":"g","server":"wss://one.test/","secondary":"wss://two.test/","ttl":1800}`, nil
	}
	return 404, `{}`, nil
}

func TestServerServesBoth(t *testing.T) {
	for given, base := range map[string]string{
		"http://rtm.test":          "http://rtm.test",
		"https://rtm.test/":        "https://rtm.test",
		"rtm.test":                 "https://rtm.test",
		"rtm.test:8080/base/path/": "https://rtm.test:8080/base/path",
	} {
		w := &web{answer: func(*http.Request) (int, string, error) { return 200, `{"server":"ws://a/","ttl":1}`, nil }}
		r := router.New(router.Options{AppID: "app&id", Server: given, HTTPClient: w.client(), Header: http.Header{"X-Extra": {"1"}}})
		endpoints, err := r.Endpoints(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, []string{"ws://a/"}, endpoints)
		require.Equal(t, []string{base + "/v1/route"}, w.take())
		query := w.last.URL.Query()
		require.Equal(t, "app&id", query.Get("appId"))
		require.Equal(t, "true", query.Get("secure"))
		require.NotEmpty(t, query.Get("_t"))
		require.Equal(t, "1", w.last.Header.Get("X-Extra"))
		api, err := r.API(t.Context())
		require.NoError(t, err)
		require.Equal(t, base, api)
		require.Empty(t, w.take(), "nothing needed asking")
	}
}

func TestRouterServerOverridesServer(t *testing.T) {
	w := &web{answer: usual}
	r := router.New(router.Options{AppID: northApp, Server: "api.own", RouterServer: "http://router.own/", NoSSL: true, HTTPClient: w.client()})
	_, err := r.Endpoints(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, []string{"http://router.own/v1/route"}, w.take())
	require.Equal(t, "false", w.last.URL.Query().Get("secure"))
	api, err := r.API(t.Context())
	require.NoError(t, err)
	require.Equal(t, "https://api.own", api)
}

func TestRouterServerAloneLeavesTheAPIToTheAppRouter(t *testing.T) {
	w := &web{answer: usual}
	r := router.New(router.Options{AppID: northApp, RouterServer: "router.own", HTTPClient: w.client()})
	_, err := r.Endpoints(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, []string{"https://router.own/v1/route"}, w.take())
	api, err := r.API(t.Context())
	require.NoError(t, err)
	require.Equal(t, "https://api.test", api)
	require.Equal(t, []string{"https://app-router.leancloud.cn/2/route"}, w.take())
}

func TestFixedServersAreShuffledOnceAndAskNobody(t *testing.T) {
	w := &web{answer: usual}
	given := []string{"ws://1/", "ws://2/", "ws://3/", "ws://4/", "ws://5/", "ws://6/"}
	orders := map[string]bool{}
	for range 50 {
		r := router.New(router.Options{AppID: northApp, RTMServers: given, HTTPClient: w.client()})
		first, err := r.Endpoints(t.Context(), false)
		require.NoError(t, err)
		require.ElementsMatch(t, given, first)
		again, err := r.Endpoints(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, first, again)
		again[0] = "changed by the caller"
		third, _ := r.Endpoints(t.Context(), false)
		require.Equal(t, first, third)
		orders[strings.Join(first, " ")] = true
	}
	require.Greater(t, len(orders), 10)
	require.True(t, slices.IsSorted(given), "the caller's list is left alone")
	require.Empty(t, w.take())
}

func TestAppRouterAndCaching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			appRouter = "https://app-router.leancloud.cn/2/route"
			rtmRouter = "https://router.test/v1/route"
		)
		w := &web{answer: usual}
		r := router.New(router.Options{AppID: northApp, HTTPClient: w.client()})
		ask := func(fresh bool) []string {
			endpoints, err := r.Endpoints(t.Context(), fresh)
			require.NoError(t, err)
			require.Equal(t, []string{"wss://one.test/", "wss://two.test/"}, endpoints)
			return w.take()
		}
		require.Equal(t, []string{appRouter, rtmRouter}, ask(false))
		require.Empty(t, ask(false))
		api, err := r.API(t.Context())
		require.NoError(t, err)
		require.Equal(t, "https://api.test", api)
		require.Empty(t, w.take())
		time.Sleep(1800*time.Second - 1)
		require.Empty(t, ask(false))
		time.Sleep(time.Nanosecond)
		require.Equal(t, []string{rtmRouter}, ask(false), "its ttl is over, that of the app router is not")
		require.Equal(t, []string{rtmRouter}, ask(true), "sent away by the server")
		require.Empty(t, ask(false))
		time.Sleep(1800 * time.Second)
		require.Equal(t, []string{appRouter, rtmRouter}, ask(false))
	})
}

func TestRegions(t *testing.T) {
	for id, want := range map[string][3]string{
		northApp:  {"app-router.leancloud.cn", "https://northapp.rtm.lncld.net", "https://northapp.api.lncld.net"},
		eastApp:   {"app-router.leancloud.cn", "https://eastappl.rtm.lncldapi.com", "https://eastappl.api.lncldapi.com"},
		globalApp: {"app-router.com", "https://globalap.rtm.lncldglobal.com", "https://globalap.api.lncldglobal.com"},
		"short":   {"app-router.leancloud.cn", "https://short.rtm.lncld.net", "https://short.api.lncld.net"},
	} {
		for name, failure := range map[string]string{"refused": "", "no router": `{"api_server":"x"}`, "garbage": "<html>"} {
			t.Run(id+" "+name, func(t *testing.T) {
				w := &web{answer: func(r *http.Request) (int, string, error) {
					if r.URL.Path == "/2/route" {
						if failure == "" {
							return 0, "", errors.New("no route to host")
						}
						return 200, failure, nil
					}
					return usual(r)
				}}
				r := router.New(router.Options{AppID: id, HTTPClient: w.client()})
				_, err := r.Endpoints(t.Context(), false)
				require.NoError(t, err)
				require.Equal(t, []string{"https://" + want[0] + "/2/route", want[1] + "/v1/route"}, w.take())
				require.Equal(t, id, func() string { _, _ = r.API(t.Context()); return w.last.URL.Query().Get("appId") }())
				api, err := r.API(t.Context())
				require.NoError(t, err)
				require.Equal(t, want[2], api)
				require.Len(t, w.take(), 2, "the names that were guessed are not kept")
			})
		}
	}
}

func TestRouterFailures(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		body   string
		check  func(t *testing.T, err error)
	}{
		{"refused", 403, `{"code":4100,"error":"App not exists."}`, func(t *testing.T, err error) {
			var refusal *router.Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, router.Error{Status: 403, Code: 4100, Message: "App not exists."}, *refusal)
			require.ErrorContains(t, err, "HTTP 403, code 4100: App not exists.")
		}},
		{"refused without a word", 502, `<html>`, func(t *testing.T, err error) {
			var refusal *router.Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, router.Error{Status: 502}, *refusal)
		}},
		{"not JSON", 200, `<html>`, func(t *testing.T, err error) { require.ErrorContains(t, err, "malformed") }},
		{"empty", 200, `{}`, func(t *testing.T, err error) { require.ErrorContains(t, err, "no socket URL") }},
		{"not a socket URL", 200, `{"server":"https://x/","ttl":1}`, func(t *testing.T, err error) { require.ErrorContains(t, err, "no socket URL") }},
		{"no host", 200, `{"server":"ws:///x","ttl":1}`, func(t *testing.T, err error) { require.ErrorContains(t, err, "no socket URL") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &web{answer: func(r *http.Request) (int, string, error) { return test.status, test.body, nil }}
			r := router.New(router.Options{AppID: northApp, Server: "http://rtm.test", HTTPClient: w.client()})
			for range 2 {
				_, err := r.Endpoints(t.Context(), false)
				test.check(t, err)
				require.Len(t, w.take(), 1, "a failure is not kept")
			}
		})
	}
}

func TestAFailingRTMRouterMakesTheAppRouterSuspect(t *testing.T) {
	broken := true
	w := &web{answer: func(r *http.Request) (int, string, error) {
		if broken && r.URL.Path == "/v1/route" {
			return 500, "", nil
		}
		return usual(r)
	}}
	r := router.New(router.Options{AppID: globalApp, HTTPClient: w.client()})
	_, err := r.Endpoints(t.Context(), false)
	require.Error(t, err)
	broken = false
	w.take()
	_, err = r.Endpoints(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, []string{"https://app-router.com/2/route", "https://router.test/v1/route"}, w.take())
}

func TestDuplicatesAndMissingTTL(t *testing.T) {
	w := &web{answer: func(*http.Request) (int, string, error) {
		return 200, `{"server":"ws://a/","secondary":"ws://a/"}`, nil
	}}
	r := router.New(router.Options{AppID: northApp, Server: "http://rtm.test", HTTPClient: w.client()})
	for range 2 {
		endpoints, err := r.Endpoints(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, []string{"ws://a/"}, endpoints)
		require.Len(t, w.take(), 1, "without a ttl it is good for once")
	}
}

func TestTTLsOutOfRange(t *testing.T) {
	for _, ttl := range []string{"-5", "1e300", "0"} {
		synctest.Test(t, func(t *testing.T) {
			w := &web{answer: func(*http.Request) (int, string, error) {
				return 200, fmt.Sprintf(`{"server":"ws://a/","ttl":%s}`, ttl), nil
			}}
			r := router.New(router.Options{AppID: northApp, Server: "http://rtm.test", HTTPClient: w.client()})
			for range 2 {
				_, err := r.Endpoints(t.Context(), false)
				require.NoError(t, err)
				time.Sleep(30 * 24 * time.Hour)
			}
			require.Len(t, w.take(), 2)
		})
	}
}

func TestARequestThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &web{answer: func(r *http.Request) (int, string, error) {
			<-r.Context().Done()
			return 0, "", r.Context().Err()
		}}
		r := router.New(router.Options{AppID: northApp, Server: "http://rtm.test", HTTPClient: w.client()})
		start := time.Now()
		_, err := r.Endpoints(t.Context(), false)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 20*time.Second, time.Since(start))

		r = router.New(router.Options{AppID: northApp, HTTPClient: w.client()})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = r.API(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded, "a caller in a hurry gets no guess")
	})
}

func TestCallersShareARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := false
		w := &web{answer: func(r *http.Request) (int, string, error) {
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return 0, "", r.Context().Err()
			}
			if fail {
				return 500, "", nil
			}
			return usual(r)
		}}
		r := router.New(router.Options{AppID: northApp, Server: "http://rtm.test", HTTPClient: w.client()})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := r.Endpoints(ctx, false)
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				_, err := r.Endpoints(t.Context(), false)
				require.NoError(t, err)
			})
		}
		impatient, cancel2 := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel2()
		_, err := r.Endpoints(impatient, false)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel() // whoever fetches leaves: another takes over
		wg.Wait()
		require.Len(t, w.take(), 2)

		fail = true
		for i := range 5 {
			wg.Go(func() {
				_, err := r.Endpoints(t.Context(), i == 0)
				require.Error(t, err)
			})
			synctest.Wait()
		}
		wg.Wait()
		require.Len(t, w.take(), 1, "a failure is shared by those who waited for it")
	})
}

func TestFreshDoesNotTrustARequestThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var mu sync.Mutex
		w := &web{answer: func(r *http.Request) (int, string, error) {
			mu.Lock()
			n++
			mine := n
			mu.Unlock()
			time.Sleep(time.Duration(4-mine) * time.Second) // the first answer comes last
			return 200, fmt.Sprintf(`{"server":"ws://%d/","ttl":1000}`, mine), nil
		}}
		r := router.New(router.Options{AppID: northApp, Server: "http://rtm.test", HTTPClient: w.client()})
		var wg sync.WaitGroup
		wg.Go(func() {
			endpoints, err := r.Endpoints(t.Context(), false)
			require.NoError(t, err)
			require.Equal(t, []string{"ws://1/"}, endpoints)
		})
		synctest.Wait()
		endpoints, err := r.Endpoints(t.Context(), true)
		require.NoError(t, err)
		require.Equal(t, []string{"ws://2/"}, endpoints)
		wg.Wait()
		endpoints, err = r.Endpoints(t.Context(), false)
		require.NoError(t, err)
		require.Equal(t, []string{"ws://2/"}, endpoints, "the old answer does not overwrite the new one")
	})
}
