package typedmessages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/leanrtm/realtime"
)

// File is a plain value: what a message says of its file. A literal with a URL
// is a file that is already stored somewhere; it is never uploaded. Its JSON is
// that of the official SDKs.
//
// The zero times and numbers mean unknown. Copies of a File made by [NewFile]
// or [OpenFile] share its source.
type File struct {
	ID   string // of a file in the app's file storage; "" for others
	URL  string
	Name string

	Format   string // short name of the type, such as "png"
	MIMEType string
	Size     int64 // bytes
	Width    int   // pixels
	Height   int   // pixels
	Duration time.Duration

	// Metadata is all of metaData, with what the fields above say and with keys
	// this package does not know. In a File to be sent, fields win over it.
	Metadata map[string]any

	source *source
}

// FileOption changes a File that is made for uploading.
type FileOption interface{ apply(s *source) }

type fileOption func(s *source)

func (o fileOption) apply(s *source) { o(s) }

// WithProgress has fn called as bytes are handed to the uploader: how many so
// far, and how many in all, -1 if that is unknown. It runs on the goroutine of
// the upload and must not block. An upload that is tried again starts from 0.
func WithProgress(fn func(sent, total int64)) FileOption {
	return fileOption(func(s *source) { s.progress = fn })
}

// WithMIMEType names the type instead of having it read from the content.
func WithMIMEType(mimeType string) FileOption {
	return fileOption(func(s *source) { s.mimeType = mimeType })
}

// WithMetadata adds keys to the metaData of the file.
func WithMetadata(m map[string]any) FileOption {
	m = maps.Clone(m)
	return fileOption(func(s *source) { s.metadata = m })
}

// NewFile returns a file of what r holds. It is uploaded by the first Send
// that carries it, once. The upload can be repeated, and the send after a
// failure, if r is an io.ReadSeeker: then it is read from where it stands now.
// The caller closes r, after Send.
func NewFile(name string, r io.Reader, opts ...FileOption) File {
	return newFile(name, func() (io.Reader, func() error, error) {
		if r == nil {
			return nil, nil, fmt.Errorf("%w: file %q has no reader", realtime.ErrInvalidArgument, name)
		}
		return r, nil, nil
	}, opts)
}

// OpenFile returns the file at path, which Send opens, reads and closes. A path
// that cannot be opened is an error of Send.
func OpenFile(path string, opts ...FileOption) File {
	return newFile(filepath.Base(path), func() (io.Reader, func() error, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, fmt.Errorf("open file to upload: %w", err)
		}
		return f, f.Close, nil
	}, opts)
}

func newFile(name string, open func() (io.Reader, func() error, error), opts []FileOption) File {
	s := &source{open: open, token: make(chan struct{}, 1)}
	s.token <- struct{}{}
	for _, o := range opts {
		o.apply(s)
	}
	return File{Name: name, source: s}
}

// FileWithURL returns a file that is stored at url. It is never uploaded.
func FileWithURL(name, url string) File { return File{Name: name, URL: url} }

// Save uploads the file now and returns it as it was stored. A file that needs
// no upload is returned as it is. It blocks until the upload is done or ctx
// ends. The errors are those of the reader and of the uploader. Safe for
// concurrent use: one upload serves all.
func (f File) Save(ctx context.Context, u FileUploader) (File, error) {
	if f.source == nil {
		if f.URL == "" {
			return f, fmt.Errorf("%w: file %q has neither content nor a URL", realtime.ErrInvalidArgument, f.Name)
		}
		return f, nil
	}
	if u == nil {
		return f, fmt.Errorf("%w: no uploader for file %q", realtime.ErrInvalidArgument, f.Name)
	}
	return f.source.save(ctx, f, u)
}

// errSpent is why a reader that cannot go back is not read twice.
var errSpent = errors.New("realtime: the reader was used up by an upload that failed")
