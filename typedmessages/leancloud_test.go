package typedmessages

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/memnet"
)

// provider is a file storage in process: the app's API and the provider that
// its tokens name. It keeps what was stored and can fail on demand.
type provider struct {
	URL    string
	client *http.Client
	kind   string
	// fail, if not nil, is asked before each request to the provider (not to the app's
	// API) and answers a status; 0: go on.
	fail func(r *http.Request, n int) int

	mu        sync.Mutex
	requests  int
	tokens    []map[string]any
	callbacks []bool
	stored    map[string][]byte // by key
	parts     map[int][]byte
	discard   bool // parts are counted and not kept
	size      int64
}

func newProvider(t *testing.T, kind string) *provider {
	p := &provider{kind: kind, stored: make(map[string][]byte), parts: make(map[int][]byte)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /1.1/fileTokens", p.token)
	mux.HandleFunc("POST /1.1/fileCallback", p.callback)
	mux.HandleFunc("POST /up", p.guard(p.form))
	mux.HandleFunc("PUT /up/{key}", p.guard(p.put))
	mux.HandleFunc("POST /up/buckets/{bucket}/objects/{key}/uploads", p.guard(p.begin))
	mux.HandleFunc("PUT /up/buckets/{bucket}/objects/{key}/uploads/{id}/{part}", p.guard(p.part))
	mux.HandleFunc("POST /up/buckets/{bucket}/objects/{key}/uploads/{id}", p.guard(p.finish))
	p.serve(t, mux)
	return p
}

// serve answers on a network in memory, so that the tests can run in virtual
// time.
func (p *provider) serve(t *testing.T, handler http.Handler) {
	network := memnet.New()
	listener, err := network.Listen(providerHost)
	require.NoError(t, err)
	transport := &http.Transport{DialContext: network.Dial}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() { // ends with server.Close below
		defer close(served)
		_ = server.Serve(listener)
	}()
	p.URL, p.client = "http://"+providerHost, &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
}

const providerHost = "files.example:80"

// do resolves relative addresses as the SDK does.
func (p *provider) do(req *http.Request) (*http.Response, error) {
	if !req.URL.IsAbs() {
		base, err := url.Parse(p.URL)
		if err != nil {
			return nil, err
		}
		req.URL = base.ResolveReference(req.URL)
	}
	return p.client.Do(req)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.tokens = append(p.tokens, body)
	key := fmt.Sprint("key", len(p.tokens))
	upload := p.URL + "/up"
	if p.kind == providerS3 {
		upload += "/" + key
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"objectId": "id-" + key, "url": p.URL + "/files/" + key, "token": "token-" + key, "bucket": "bkt",
		"provider": p.kind, "upload_url": upload, "key": key, "mime_type": body["mime_type"],
	})
}

func (p *provider) callback(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var body struct{ Result bool }
	_ = json.NewDecoder(r.Body).Decode(&body)
	p.callbacks = append(p.callbacks, body.Result)
	_, _ = w.Write([]byte("{}"))
}

func (p *provider) guard(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.requests++
		n, fail := p.requests, p.fail
		p.mu.Unlock()
		if fail != nil {
			if status := fail(r, n); status != 0 {
				_, _ = io.Copy(io.Discard, r.Body)
				http.Error(w, "out of order", status)
				return
			}
		}
		next(w, r)
	}
}

func (p *provider) keep(key string, data []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stored[key] = data
}

func (p *provider) form(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseMultipartForm(1 << 20); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key, part := r.FormValue("key"), "file"
	switch p.kind {
	case providerQiniu:
		if r.FormValue("token") != "token-"+key || r.FormValue("name") == "" {
			http.Error(w, "bad token", http.StatusUnauthorized)
			return
		}
	case providerQCloud:
		key, part = strings.TrimPrefix(r.URL.Query().Get("sign"), "token-"), "fileContent"
		if r.FormValue("op") != "upload" || r.Header.Get("Authorization") != "token-"+key {
			http.Error(w, "bad sign", http.StatusUnauthorized)
			return
		}
	}
	file, _, err := r.FormFile(part)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := io.ReadAll(file)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.keep(key, data)
	_, _ = w.Write([]byte("{}"))
}

func (p *provider) put(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength < 0 {
		http.Error(w, "length required", http.StatusLengthRequired)
		return
	}
	data, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Cache-Control") != cacheForever || r.Header.Get("Content-Type") == "" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	p.keep(r.PathValue("key"), data)
}

func (p *provider) begin(w http.ResponseWriter, r *http.Request) {
	key, err := base64.URLEncoding.DecodeString(r.PathValue("key"))
	if err != nil || r.Header.Get("Authorization") != "UpToken token-"+string(key) || r.PathValue("bucket") != "bkt" {
		http.Error(w, "bad token", http.StatusUnauthorized)
		return
	}
	_, _ = w.Write([]byte(`{"uploadId":"u1"}`))
}

func (p *provider) part(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var n int
	_, _ = fmt.Sscan(r.PathValue("part"), &n)
	p.size += int64(len(data))
	if !p.discard {
		p.parts[n] = data
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"etag": fmt.Sprint("etag", n)})
}

func (p *provider) finish(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Parts []qiniuPart
		FName string
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	key, _ := base64.URLEncoding.DecodeString(r.PathValue("key"))
	var whole []byte
	p.mu.Lock()
	for i, part := range body.Parts {
		if part.PartNumber != i+1 || part.ETag != fmt.Sprint("etag", i+1) {
			p.mu.Unlock()
			http.Error(w, "bad parts", http.StatusBadRequest)
			return
		}
		whole = append(whole, p.parts[i+1]...)
	}
	p.mu.Unlock()
	p.keep(string(key), whole)
	_, _ = w.Write([]byte("{}"))
}

func providers(t *testing.T, run func(t *testing.T, p *provider)) {
	for _, kind := range []string{providerQiniu, providerQCloud, providerS3} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { run(t, newProvider(t, kind)) })
		})
	}
}

func TestLeanCloudUploader(t *testing.T) {
	for _, kind := range []string{providerQiniu, providerQCloud, providerS3} {
		p := newProvider(t, kind)
		u := LeanCloudUploader(p.do)
		large := bytes.Repeat([]byte("0123456789abcdef"), 12<<16) // 12 MiB: three parts
		for name, f := range map[string]File{
			"small":           NewFile(`a "quoted" 猫.txt`, strings.NewReader("small")),
			"empty":           NewFile("empty", strings.NewReader("")),
			"unknown size":    NewFile("stream", iotest.DataErrReader(io.MultiReader(bytes.NewReader(large)))),
			"large, seekable": NewFile("large", bytes.NewReader(large)),
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				stored, err := f.Save(t.Context(), u)
				require.NoError(t, err)
				key := strings.TrimPrefix(stored.ID, "id-")
				require.Equal(t, p.URL+"/files/"+key, stored.URL)
				want := []byte("small")
				switch name {
				case "empty":
					want = nil
				case "small":
				default:
					want = large
				}
				require.True(t, bytes.Equal(want, p.stored[key]), "got %d bytes", len(p.stored[key]))
				require.EqualValues(t, len(want), stored.Size)
			})
		}
		require.NotContains(t, p.callbacks, false)
	}
}

func TestLeanCloudUploaderRetries(t *testing.T) {
	providers(t, func(t *testing.T, p *provider) {
		p.fail = func(_ *http.Request, n int) int {
			if n == 1 {
				return http.StatusInternalServerError
			}
			return 0
		}
		stored, err := NewFile("n", strings.NewReader("content")).Save(t.Context(), LeanCloudUploader(p.do))
		require.NoError(t, err)
		require.Equal(t, "content", string(p.stored[strings.TrimPrefix(stored.ID, "id-")]))
		require.Len(t, p.tokens, 1)
		require.Equal(t, []bool{true}, p.callbacks)
	})
}

func TestLeanCloudUploaderPartFails(t *testing.T) { synctest.Test(t, testPartFails) }

func testPartFails(t *testing.T) {
	p := newProvider(t, providerQiniu)
	failed := false
	p.fail = func(r *http.Request, _ int) int {
		if !failed && strings.HasSuffix(r.URL.Path, "/u1/2") {
			failed = true
			return http.StatusBadGateway
		}
		return 0
	}
	content := bytes.Repeat([]byte("x"), 10<<20)
	// The reader cannot go back, and need not: the part is still in memory.
	stored, err := NewFile("n", io.MultiReader(bytes.NewReader(content))).Save(t.Context(), LeanCloudUploader(p.do))
	require.NoError(t, err)
	require.True(t, failed)
	require.True(t, bytes.Equal(content, p.stored[strings.TrimPrefix(stored.ID, "id-")]))
}

func TestLeanCloudUploaderExpiredToken(t *testing.T) {
	providers(t, func(t *testing.T, p *provider) {
		p.fail = func(_ *http.Request, n int) int {
			if n == 1 {
				return http.StatusUnauthorized
			}
			return 0
		}
		_, err := NewFile("n", strings.NewReader("content")).Save(t.Context(), LeanCloudUploader(p.do))
		require.NoError(t, err)
		require.Len(t, p.tokens, 2)
		require.Equal(t, []bool{false, true}, p.callbacks)

		p.fail = func(*http.Request, int) int { return http.StatusForbidden }
		_, err = NewFile("n", strings.NewReader("content")).Save(t.Context(), LeanCloudUploader(p.do))
		require.ErrorContains(t, err, "403")
		require.Len(t, p.tokens, 4, "one more try, not for ever")
	})
}

func TestLeanCloudUploaderReaderFails(t *testing.T) {
	broken := errors.New("disk on fire")
	providers(t, func(t *testing.T, p *provider) {
		r := io.MultiReader(strings.NewReader(strings.Repeat("x", 3*headSize)), iotest.ErrReader(broken))
		_, err := NewFile("n", r).Save(t.Context(), LeanCloudUploader(p.do))
		require.ErrorIs(t, err, broken)
		require.Equal(t, []bool{false}, p.callbacks)
		require.Empty(t, p.stored)
	})
}

func TestLeanCloudUploaderCancelled(t *testing.T) {
	providers(t, func(t *testing.T, p *provider) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := io.MultiReader(strings.NewReader(strings.Repeat("x", 3*headSize)), readFunc(func([]byte) (int, error) {
			cancel()
			return 0, nil
		}))
		_, err := NewFile("n", r).Save(ctx, LeanCloudUploader(p.do))
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, p.stored)
	})
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestLeanCloudUploaderRefused(t *testing.T) {
	p := new(provider)
	p.serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"code":403,"error":"no uploads today"}`))
	}))
	_, err := NewFile("n", strings.NewReader("x")).Save(t.Context(), LeanCloudUploader(p.do))
	var refused *realtime.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusForbidden, refused.HTTPStatus)
	require.Equal(t, "no uploads today", refused.Detail)

	_, err = NewFile("n", strings.NewReader("x")).Save(t.Context(), LeanCloudUploader(nil))
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
}

// made is a reader of n bytes that are made as they are read.
type made struct{ left int64 }

func (m *made) Read(p []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), m.left))
	clear(p[:n])
	m.left -= int64(n)
	return n, nil
}

// A gigabyte goes through a few megabytes of memory.
func TestLeanCloudUploaderMemoryStaysFlat(t *testing.T) {
	size := int64(1 << 30)
	if raceEnabled {
		size = 1 << 28 // is twice the limit below, too
	}
	p := newProvider(t, providerQiniu)
	p.discard = true
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak uint64
	last := int64(0)
	f := NewFile("film", &made{left: size}, WithProgress(func(sent, total int64) {
		if total != -1 || sent < last {
			t.Errorf("progress %d of %d after %d", sent, total, last)
		}
		if last = sent; sent%(64<<20) == 0 {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse)
		}
	}))
	stored, err := f.Save(t.Context(), LeanCloudUploader(p.do))
	require.NoError(t, err)
	require.EqualValues(t, size, stored.Size)
	require.EqualValues(t, size, p.size)
	const limit = 128 << 20 // the fake provider's own copies of a part included
	require.Less(t, peak, before.HeapInuse+limit)
}
