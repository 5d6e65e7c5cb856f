package file_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leanrtm/realtime/server/internal/file"
	"github.com/leanrtm/realtime/server/internal/id"
	"github.com/leanrtm/realtime/server/internal/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	app  = "app one"
	base = "https://files.example"
)

// storage is a service behind a handler that takes the app key for given.
type storage struct {
	*file.Service
	handler http.Handler
}

func newStorage(t *testing.T, o file.Options) *storage {
	t.Helper()
	if o.Blobs == nil {
		o.Blobs = new(file.Memory)
	}
	o.Store, o.NewID = memory.New(), id.New().Conv
	t.Cleanup(func() { require.NoError(t, o.Store.Close()) })
	s := &storage{Service: file.New(o)}
	mux := http.NewServeMux()
	s.Mount(mux)
	mux.HandleFunc("POST /1.1/fileTokens", func(w http.ResponseWriter, r *http.Request) { s.ServeTokens(w, r, app, base) })
	mux.HandleFunc("POST /1.1/fileCallback", func(w http.ResponseWriter, r *http.Request) { s.ServeCallback(w, r, app) })
	mux.HandleFunc("POST /1.1/files", func(w http.ResponseWriter, r *http.Request) { s.ServeCreate(w, r, app, base) })
	mux.HandleFunc("GET /1.1/files/{id}", func(w http.ResponseWriter, r *http.Request) { s.ServeGet(w, r, app, base, r.PathValue("id")) })
	mux.HandleFunc("DELETE /1.1/files/{id}", func(w http.ResponseWriter, r *http.Request) { s.ServeDelete(w, r, app, r.PathValue("id")) })
	s.handler = mux
	return s
}

func (s *storage) do(t *testing.T, method, target string, body any, header ...string) (*http.Response, []byte) {
	t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case io.Reader:
		reader = b
	case string:
		reader = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		require.NoError(t, err)
		reader = bytes.NewReader(data)
	}
	req := httptest.NewRequestWithContext(t.Context(), method, target, reader)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, req)
	return w.Result(), w.Body.Bytes()
}

type token struct {
	ObjectID  string `json:"objectId"`
	URL       string `json:"url"`
	Token     string `json:"token"`
	Provider  string `json:"provider"`
	UploadURL string `json:"upload_url"`
	MIMEType  string `json:"mime_type"`
}

func (s *storage) token(t *testing.T, in map[string]any) token {
	t.Helper()
	res, body := s.do(t, "POST", "/1.1/fileTokens", in)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", body)
	var out token
	require.NoError(t, json.Unmarshal(body, &out))
	return out
}

func path(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.RequestURI()
}

func (s *storage) upload(t *testing.T, name, mimeType string, body any) token {
	t.Helper()
	granted := s.token(t, map[string]any{"name": name, "mime_type": mimeType})
	res, answer := s.do(t, "PUT", path(t, granted.UploadURL), body)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", answer)
	return granted
}

func TestUploadAndFetch(t *testing.T) {
	dir, err := file.OpenDir(t.TempDir() + "/made")
	require.NoError(t, err)
	defer func() { require.NoError(t, dir.Close()) }()
	for name, blobs := range map[string]file.Blobs{"memory": new(file.Memory), "directory": dir} {
		t.Run(name, func(t *testing.T) {
			s := newStorage(t, file.Options{Blobs: blobs})
			granted := s.token(t, map[string]any{
				"name": "猫 cat.png", "mime_type": "image/png", "metaData": map[string]any{"size": 10, "owner": "tom"},
			})
			require.Equal(t, "s3", granted.Provider)

			res, _ := s.do(t, "GET", path(t, granted.URL), nil)
			require.Equal(t, http.StatusNotFound, res.StatusCode, "nothing was uploaded yet")
			res, _ = s.do(t, "PUT", path(t, granted.UploadURL), "0123456789")
			require.Equal(t, http.StatusOK, res.StatusCode)
			res, _ = s.do(t, "POST", "/1.1/fileCallback", map[string]any{"token": granted.Token, "result": true})
			require.Equal(t, http.StatusOK, res.StatusCode)

			res, body := s.do(t, "GET", path(t, granted.URL), nil)
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, "0123456789", string(body))
			require.Equal(t, "image/png", res.Header.Get("Content-Type"))
			require.Contains(t, res.Header.Get("Content-Disposition"), "inline")
			require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))

			res, body = s.do(t, "GET", path(t, granted.URL), nil, "Range", "bytes=2-4")
			require.Equal(t, http.StatusPartialContent, res.StatusCode)
			require.Equal(t, "234", string(body))

			res, body = s.do(t, "GET", "/1.1/files/"+granted.ObjectID, nil)
			require.Equal(t, http.StatusOK, res.StatusCode)
			var got map[string]any
			require.NoError(t, json.Unmarshal(body, &got))
			require.Equal(t, granted.URL, got["url"])
			require.Equal(t, "猫 cat.png", got["name"])
			require.EqualValues(t, 10, got["size"])
			require.Equal(t, map[string]any{"size": 10.0, "owner": "tom"}, got["metaData"])

			res, _ = s.do(t, "DELETE", "/1.1/files/"+granted.ObjectID, nil)
			require.Equal(t, http.StatusOK, res.StatusCode)
			for _, target := range []string{path(t, granted.URL), "/1.1/files/" + granted.ObjectID} {
				res, _ = s.do(t, "GET", target, nil)
				require.Equal(t, http.StatusNotFound, res.StatusCode)
			}
		})
	}
}

func TestTokenServesOnce(t *testing.T) {
	s := newStorage(t, file.Options{})
	granted := s.upload(t, "n", "", "first")
	for name, target := range map[string]string{
		"again":       granted.UploadURL,
		"other token": strings.Replace(granted.UploadURL, granted.Token, strings.Repeat("0", len(granted.Token)), 1),
		"no token":    strings.Split(granted.UploadURL, "?")[0],
	} {
		res, _ := s.do(t, "PUT", path(t, target), "second")
		require.Equal(t, http.StatusForbidden, res.StatusCode, name)
	}
	_, body := s.do(t, "GET", path(t, granted.URL), nil)
	require.Equal(t, "first", string(body))

	// The token of one file does not write another.
	other := s.token(t, map[string]any{"name": "m"})
	res, _ := s.do(t, "PUT", strings.Replace(path(t, other.UploadURL), other.ObjectID, granted.ObjectID, 1), "stolen")
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStorage(t, file.Options{TokenTTL: time.Minute})
		granted := s.token(t, map[string]any{"name": "n"})
		time.Sleep(2 * time.Minute)
		res, _ := s.do(t, "PUT", path(t, granted.UploadURL), "late")
		require.Equal(t, http.StatusForbidden, res.StatusCode)
	})
}

func TestFailedUploadLeavesNothing(t *testing.T) {
	dirName := t.TempDir()
	dir, err := file.OpenDir(dirName)
	require.NoError(t, err)
	defer func() { require.NoError(t, dir.Close()) }()
	s := newStorage(t, file.Options{Blobs: dir, MaxSize: 100})
	granted := s.token(t, map[string]any{"name": "n"})

	res, _ := s.do(t, "PUT", path(t, granted.UploadURL), io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("cut"))))
	require.Equal(t, http.StatusInternalServerError, res.StatusCode)
	res, _ = s.do(t, "PUT", path(t, granted.UploadURL), io.MultiReader(strings.NewReader(strings.Repeat("x", 101)))) // no length told
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	res, _ = s.do(t, "PUT", path(t, granted.UploadURL), strings.Repeat("x", 101))
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	entries, err := os.ReadDir(dirName)
	require.NoError(t, err)
	require.Empty(t, entries)

	res, _ = s.do(t, "PUT", path(t, granted.UploadURL), strings.Repeat("x", 100))
	require.Equal(t, http.StatusOK, res.StatusCode, "a failed upload may be tried again")
	res, _ = s.do(t, "POST", "/1.1/fileCallback", map[string]any{"token": granted.Token, "result": false})
	require.Equal(t, http.StatusOK, res.StatusCode)
	res, _ = s.do(t, "GET", path(t, granted.URL), nil)
	require.Equal(t, http.StatusNotFound, res.StatusCode, "the client has discarded it")
	entries, err = os.ReadDir(dirName)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestNothingRuns(t *testing.T) {
	s := newStorage(t, file.Options{})
	for _, mimeType := range []string{"text/html", "image/svg+xml", "application/javascript", "text/xml", "", "nonsense", "text/html; charset=utf-8"} {
		granted := s.upload(t, "x.html", mimeType, "<script>alert(1)</script>")
		res, _ := s.do(t, "GET", path(t, granted.URL), nil)
		require.Contains(t, res.Header.Get("Content-Disposition"), "attachment", mimeType)
		require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "sandbox")
	}
}

func TestNamesAreNoPaths(t *testing.T) {
	s := newStorage(t, file.Options{})
	for _, name := range []string{"../../etc/passwd", "..", `..\..\x`, "a\r\nSet-Cookie: x", `q"uote`, "/", "?q=1#f", strings.Repeat("長", 200)} {
		granted := s.upload(t, name, "", "content")
		res, body := s.do(t, "GET", path(t, granted.URL), nil)
		require.Equal(t, http.StatusOK, res.StatusCode, "%q", granted.URL)
		require.Equal(t, "content", string(body))
		require.Empty(t, res.Header.Get("Set-Cookie"))
	}
	for _, target := range []string{"/files/app%20one/..%2f..%2fetc%2fpasswd/x", "/files/app%20one/%2e%2e/x", "/files/x/y/z", "/files/app%20one/" + strings.Repeat("a", 500) + "/x"} {
		res, _ := s.do(t, "GET", target, nil)
		require.NotEqual(t, http.StatusOK, res.StatusCode, target)
	}
	res, _ := s.do(t, "PUT", "/files/upload/app%20one/..%2fx?token=1", "x")
	require.Equal(t, http.StatusForbidden, res.StatusCode)
}

func TestExternalFile(t *testing.T) {
	s := newStorage(t, file.Options{})
	res, body := s.do(t, "POST", "/1.1/files", map[string]any{
		"name": "萌妹子", "url": "http://pic.example/cat.gif", "metaData": map[string]any{"__source": "external", "size": 0},
	})
	require.Equal(t, http.StatusCreated, res.StatusCode)
	var got map[string]any
	require.NoError(t, json.Unmarshal(body, &got))
	require.Equal(t, "http://pic.example/cat.gif", got["url"])
	res, _ = s.do(t, "GET", fmt.Sprint("/files/app%20one/", got["objectId"], "/x"), nil)
	require.Equal(t, http.StatusNotFound, res.StatusCode, "there are no bytes here")

	for _, address := range []string{"", "javascript:alert(1)", "file:///etc/passwd", "//x", "http://"} {
		res, _ = s.do(t, "POST", "/1.1/files", map[string]any{"name": "n", "url": address})
		require.Equal(t, http.StatusBadRequest, res.StatusCode, address)
	}
}

func TestBadRequests(t *testing.T) {
	s := newStorage(t, file.Options{})
	for _, body := range []string{"", "[]", "{", `{"name":5}`, `{}`, `{"name":"n","metaData":{"x":"` + strings.Repeat("x", 20<<10) + `"}}`, `{"name":"` + strings.Repeat("x", 70<<10) + `"}`} {
		res, _ := s.do(t, "POST", "/1.1/fileTokens", body)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "%.20s", body)
	}
	res, _ := s.do(t, "POST", "/1.1/fileCallback", map[string]any{"token": "unknown", "result": true})
	require.Equal(t, http.StatusForbidden, res.StatusCode)
	res, _ = s.do(t, "DELETE", "/1.1/files/unknown", nil)
	require.Equal(t, http.StatusNotFound, res.StatusCode)
}

func TestWaitingUploadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStorage(t, file.Options{})
		var err error
		for range 10_001 {
			_, _, err = s.Grant(app, "n", "", nil)
		}
		require.ErrorIs(t, err, file.ErrTooMany)
		_, _, err = s.Grant("another app", "n", "", nil)
		require.NoError(t, err)
		time.Sleep(2 * file.DefaultTokenTTL)
		_, _, err = s.Grant(app, "n", "", nil)
		require.NoError(t, err, "those that never began are forgotten")
	})
}

func TestCancelledUpload(t *testing.T) {
	s := newStorage(t, file.Options{})
	record, token, err := s.Grant(app, "n", "", nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Upload(ctx, record.ID, token, strings.NewReader("x")), context.Canceled)
	_, err = s.Get(t.Context(), app, record.ID)
	require.ErrorIs(t, err, file.ErrNotFound)
}
