package typedmessages

import (
	"context"
	"io"
)

// FileUploader stores files. Upload blocks until the file is stored or ctx
// ends, does not keep u.Body after it has returned, and is called on several
// goroutines at a time. An implementation may try again if u.Body is an
// io.Seeker; it must then seek to where the body stood.
type FileUploader interface {
	Upload(ctx context.Context, u Upload) (Uploaded, error)
}

// Upload is a file to be stored.
type Upload struct {
	Name     string // as the user named it: not safe as a path
	MIMEType string
	Size     int64 // bytes; -1: unknown
	Body     io.Reader
	Metadata map[string]any
	// Progress is to be called as bytes leave, with the sum so far; it starts
	// again from 0 when the upload does. Never nil when this package calls.
	Progress func(sent int64)
}

// Uploaded is a file that was stored. Metadata, if any, is added to that of
// the file.
type Uploaded struct {
	ID, URL  string
	Metadata map[string]any
}
