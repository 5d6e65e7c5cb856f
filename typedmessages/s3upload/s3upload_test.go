package s3upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/typedmessages"
	"github.com/leanrtm/realtime/typedmessages/s3upload"
)

func store(t *testing.T) (typedmessages.FileUploader, *httptest.Server) {
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("chat"))
	srv := httptest.NewTLSServer(gofakes3.New(backend).Server())
	t.Cleanup(srv.Close)
	u, err := s3upload.New(s3upload.Options{
		Endpoint: strings.TrimPrefix(srv.URL, "https://"), Bucket: "chat", Region: "us-east-1",
		AccessKey: "key", SecretKey: "secret", Prefix: "files/", Transport: srv.Client().Transport,
	})
	require.NoError(t, err)
	return u, srv
}

func fetch(t *testing.T, srv *httptest.Server, url string) []byte {
	res, err := srv.Client().Get(url)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 200, res.StatusCode, url)
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return data
}

func TestUpload(t *testing.T) {
	u, srv := store(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 12<<16)
	for name, c := range map[string]struct {
		file typedmessages.File
		want []byte
	}{
		"small":        {typedmessages.NewFile("猫 cat.TXT", strings.NewReader("small")), []byte("small")},
		"empty":        {typedmessages.NewFile("empty", strings.NewReader("")), nil},
		"in parts":     {typedmessages.NewFile("large.bin", bytes.NewReader(large)), large},
		"unknown size": {typedmessages.NewFile("stream", io.MultiReader(bytes.NewReader(large))), large},
	} {
		t.Run(name, func(t *testing.T) {
			stored, err := c.file.Save(t.Context(), u)
			require.NoError(t, err)
			require.Contains(t, stored.URL, srv.URL+"/chat/files/")
			require.EqualValues(t, len(c.want), stored.Size)
			require.True(t, bytes.Equal(c.want, fetch(t, srv, stored.URL)))
		})
	}
}

func TestUploadFails(t *testing.T) {
	u, srv := store(t)
	broken := errors.New("disk on fire")
	_, err := typedmessages.NewFile("n", io.MultiReader(strings.NewReader(strings.Repeat("x", 200<<10)), iotest.ErrReader(broken))).Save(t.Context(), u)
	require.ErrorIs(t, err, broken)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = typedmessages.NewFile("n", strings.NewReader("x")).Save(ctx, u)
	require.ErrorIs(t, err, context.Canceled)

	srv.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 1)
	defer cancel()
	_, err = typedmessages.NewFile("n", strings.NewReader("x")).Save(ctx, u)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNew(t *testing.T) {
	_, err := s3upload.New(s3upload.Options{Endpoint: "e", Bucket: "b", AccessKey: "a"})
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	o := s3upload.Options{Endpoint: "e", Bucket: "b", AccessKey: "AKEY", SecretKey: "SKEY"}
	require.NotContains(t, o.String()+o.GoString()+o.LogValue().String(), "KEY\"")
	o.PartSize = 1
	_, err = s3upload.New(o)
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
}
