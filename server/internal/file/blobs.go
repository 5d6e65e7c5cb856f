package file

import (
	"context"
	"errors"
	"io"
)

// Blobs keeps the bytes of files. Keys have letters and digits only.
type Blobs interface {
	// Put stores what r holds and returns its size. On an error nothing is
	// kept. It ends early with ctx.
	Put(ctx context.Context, key string, r io.Reader) (size int64, err error)
	// Open returns the bytes, or an error that matches ErrNoBlob.
	Open(ctx context.Context, key string) (io.ReadSeekCloser, error)
	// Delete removes the bytes. It is no error if there are none.
	Delete(ctx context.Context, key string) error
}

// ErrNoBlob is a key under which nothing is stored.
var ErrNoBlob = errors.New("no such blob")

// reader is r, ended by ctx.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
