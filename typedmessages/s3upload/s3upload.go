// Package s3upload stores the files of messages in any S3-compatible object
// store: Amazon S3, MinIO, Cloudflare R2, Ceph, the S3 gateways of Qiniu and
// Tencent COS, and so on. It is a module of its own, so that programs without
// it do not carry its dependencies.
//
//	uploader, err := s3upload.New(s3upload.Options{
//		Endpoint: "s3.example.com", Bucket: "chat", AccessKey: "…", SecretKey: "…",
//		BaseURL: "https://files.example.com",
//	})
//	plugin := typedmessages.Plugin(typedmessages.WithUploader(uploader))
package s3upload

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/typedmessages"
)

// Options say where files are stored. Endpoint, Bucket and the two keys are
// required.
type Options struct {
	Endpoint  string // host, or host:port, without a scheme
	Bucket    string // must exist
	Region    string // "": asked from the store
	AccessKey string
	SecretKey string
	Insecure  bool // plain HTTP

	Prefix    string // put before every key, such as "chat/"
	BaseURL   string // what file URLs begin with; "": the endpoint and the bucket
	PartSize  uint64 // bytes of a part of a large file, held in memory; 0: 5 MiB, the smallest allowed
	Transport http.RoundTripper
}

// String hides the keys.
func (o Options) String() string {
	return fmt.Sprintf("s3upload.Options{Endpoint:%q Bucket:%q Prefix:%q}", o.Endpoint, o.Bucket, o.Prefix)
}

// GoString hides the keys.
func (o Options) GoString() string { return o.String() }

// LogValue hides the keys.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

const smallestPart = 5 << 20

// New returns an uploader. It does no I/O. Mistakes in the options match
// realtime.ErrInvalidArgument.
func New(o Options) (typedmessages.FileUploader, error) {
	if o.Endpoint == "" || o.Bucket == "" || o.AccessKey == "" || o.SecretKey == "" {
		return nil, fmt.Errorf("%w: Endpoint, Bucket, AccessKey and SecretKey are required", realtime.ErrInvalidArgument)
	}
	if o.PartSize == 0 {
		o.PartSize = smallestPart
	}
	if o.PartSize < smallestPart {
		return nil, fmt.Errorf("%w: PartSize %d is below 5 MiB", realtime.ErrInvalidArgument, o.PartSize)
	}
	client, err := minio.New(o.Endpoint, &minio.Options{
		Creds:     credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""),
		Secure:    !o.Insecure,
		Region:    o.Region,
		Transport: o.Transport,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", realtime.ErrInvalidArgument, err)
	}
	if o.BaseURL == "" {
		o.BaseURL = client.EndpointURL().JoinPath(o.Bucket).String()
	}
	return &uploader{client: client, o: o}, nil
}

type uploader struct {
	client *minio.Client
	o      Options
}

// Upload stores one file under a key with a random part, so that no file
// replaces another. A part that fails is sent again.
func (u *uploader) Upload(ctx context.Context, f typedmessages.Upload) (typedmessages.Uploaded, error) {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id := hex.EncodeToString(random[:])
	key := u.o.Prefix + id + strings.ToLower(safeExtension(f.Name))

	body := f.Body
	reading := &recorder{r: body}
	if _, ok := body.(io.Seeker); !ok || f.Size < 0 {
		body = reading
	}
	_, err := u.client.PutObject(ctx, u.o.Bucket, key, body, f.Size, minio.PutObjectOptions{
		ContentType:  f.MIMEType,
		PartSize:     u.o.PartSize,
		CacheControl: "public, max-age=31536000",
		Progress:     &progress{report: f.Progress},
	})
	switch {
	case err == nil:
		return typedmessages.Uploaded{ID: id, URL: strings.TrimSuffix(u.o.BaseURL, "/") + "/" + escape(key)}, nil
	case ctx.Err() != nil:
		return typedmessages.Uploaded{}, fmt.Errorf("store %q: %w", f.Name, context.Cause(ctx))
	case reading.err != nil:
		return typedmessages.Uploaded{}, fmt.Errorf("read %q: %w", f.Name, reading.err)
	}
	return typedmessages.Uploaded{}, fmt.Errorf("store %q: %w", f.Name, err)
}

// escape makes a key part of a URL, slashes kept.
func escape(key string) string { return (&url.URL{Path: key}).EscapedPath() }

const maxExtension = 10

// safeExtension keeps the extension of a name if it is an ordinary one.
func safeExtension(name string) string {
	ext := path.Ext(name)
	plain := func(r rune) bool { return r < '0' || r > 'z' || (r > '9' && r < 'A') || (r > 'Z' && r < 'a') }
	if len(ext) < 2 || len(ext) > maxExtension || strings.ContainsFunc(ext[1:], plain) {
		return ""
	}
	return ext
}

// recorder remembers the error of the user's reader, which the library wraps
// in its own words.
type recorder struct {
	r   io.Reader
	err error
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// progress is read from as bytes leave.
type progress struct {
	sent   int64
	report func(sent int64)
}

func (p *progress) Read(b []byte) (int, error) {
	p.sent += int64(len(b))
	if p.report != nil {
		p.report(p.sent)
	}
	return len(b), nil
}
