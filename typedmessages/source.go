package typedmessages

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync/atomic"
)

// source is where the bytes of a file come from, and what became of them.
// Whoever holds the token owns the fields below it.
type source struct {
	open     func() (r io.Reader, closeSource func() error, err error)
	mimeType string
	metadata map[string]any
	progress func(sent, total int64)

	token  chan struct{}
	stored *File // after the upload
	spent  bool  // the reader was used up by a failed upload
	begun  bool
	start  int64 // where a seekable reader stood at first
}

func (s *source) save(ctx context.Context, f File, u FileUploader) (File, error) {
	select {
	case <-s.token:
	case <-ctx.Done():
		return f, fmt.Errorf("wait for the upload of %q: %w", f.Name, ctxError(ctx))
	}
	defer func() { s.token <- struct{}{} }()
	if s.stored == nil {
		stored, err := s.upload(ctx, f, u)
		if err != nil {
			return f, fmt.Errorf("upload file %q: %w", f.Name, err)
		}
		s.stored = &stored
	}
	out := *s.stored
	out.Metadata = maps.Clone(out.Metadata)
	return out, nil
}

// upload reads what the content says of itself, then stores it. The token is
// held.
func (s *source) upload(ctx context.Context, f File, u FileUploader) (File, error) {
	if ctx.Err() != nil {
		return f, ctxError(ctx)
	}
	if s.spent {
		return f, errSpent
	}
	r, closeSource, err := s.open()
	if err != nil {
		return f, err
	}
	if closeSource != nil {
		defer func() { _ = closeSource() }() // it was only read
	}
	body, size, found, err := s.inspect(r, closeSource == nil)
	if err != nil {
		return f, err
	}
	_, again := body.(io.Seeker)
	s.spent = !again
	f = describe(f, s, size, found)

	var sent atomic.Int64
	counted := &countingReader{r: body, n: &sent}
	request := Upload{
		Name: f.Name, MIMEType: f.MIMEType, Size: size, Body: counted,
		Metadata: f.metadata(), Progress: func(n int64) { s.report(n, size) },
	}
	if again {
		request.Body = &countingSeeker{countingReader: *counted, seeker: body.(io.Seeker)}
	}
	done, err := u.Upload(ctx, request)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w: %w", ctxError(ctx), err)
		}
		return f, err
	}
	if done.URL == "" {
		return f, errors.New("the uploader returned no URL")
	}
	f.ID, f.URL, f.Size = done.ID, done.URL, size
	if size < 0 {
		f.Size = sent.Load()
	}
	maps.Copy(f.Metadata, done.Metadata)
	f.source = nil // from here on it is a stored file
	f.Metadata = f.metadata()
	if f.Size == 0 {
		f.Metadata[keySize] = int64(0) // known to be empty
	}
	return f, nil
}

func (s *source) report(sent, total int64) {
	if s.progress != nil {
		s.progress(sent, total)
	}
}

// inspect returns the body from its first byte, its size, -1 if unknown, and
// what its content says. lasting tells that the reader outlives this upload.
func (s *source) inspect(r io.Reader, lasting bool) (io.Reader, int64, contentInfo, error) {
	seeker, ok := r.(io.ReadSeeker)
	if ok {
		size, err := s.measure(seeker, lasting)
		if err == nil {
			found := inspectSeeker(&section{r: seeker, base: s.base(lasting), size: size}, size)
			if _, err := seeker.Seek(s.base(lasting), io.SeekStart); err != nil {
				return nil, 0, contentInfo{}, fmt.Errorf("go back to the start: %w", err)
			}
			return &section{r: seeker, base: s.base(lasting), size: size}, size, found, nil
		}
		if s.begun {
			return nil, 0, contentInfo{}, err
		}
		// A pipe is a file that says it can seek, and cannot.
	}
	head := make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	size := int64(-1)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		size = int64(n)
	case err != nil:
		s.spent = true
		return nil, 0, contentInfo{}, fmt.Errorf("read the file: %w", err)
	default:
		if sized, ok := r.(interface{ Len() int }); ok {
			size = int64(n) + int64(sized.Len())
		}
	}
	found := inspectHead(head, size)
	if size == int64(n) {
		return bytes.NewReader(head), size, found, nil
	}
	return io.MultiReader(bytes.NewReader(head), r), size, found, nil
}

// measure returns how much there is from where the reader stood at first. A
// reader that outlives the upload is remembered at that place.
func (s *source) measure(r io.ReadSeeker, lasting bool) (int64, error) {
	if lasting && !s.begun {
		at, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return 0, fmt.Errorf("find the place in the file: %w", err)
		}
		s.start, s.begun = at, true
	}
	end, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		s.begun = false
		return 0, fmt.Errorf("find the end of the file: %w", err)
	}
	return max(end-s.base(lasting), 0), nil
}

func (s *source) base(lasting bool) int64 {
	if lasting {
		return s.start
	}
	return 0
}

// describe adds what is known of the content to what the user said of it.
func describe(f File, s *source, size int64, found contentInfo) File {
	f.Metadata = maps.Clone(s.metadata)
	if f.Metadata == nil {
		f.Metadata = make(map[string]any)
	}
	f.Size = max(size, 0)
	f.MIMEType, f.Format = found.mimeType, found.format
	if s.mimeType != "" {
		f.MIMEType = s.mimeType
	}
	f.Width, f.Height, f.Duration = found.width, found.height, found.duration
	return f
}

// section is the part of a reader from base on. Unlike io.SectionReader it
// needs no ReadAt.
type section struct {
	r          io.ReadSeeker
	base, size int64
}

func (s *section) Read(p []byte) (int, error) { return s.r.Read(p) }

func (s *section) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		offset += s.base
	}
	at, err := s.r.Seek(offset, whence)
	return at - s.base, err
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

type countingSeeker struct {
	countingReader
	seeker io.Seeker
}

func (c *countingSeeker) Seek(offset int64, whence int) (int64, error) {
	at, err := c.seeker.Seek(offset, whence)
	if err == nil {
		c.n.Store(at)
	}
	return at, err
}

// ctxError is why ctx ended: it matches the error of ctx and its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
