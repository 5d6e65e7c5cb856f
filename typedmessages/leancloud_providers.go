package typedmessages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strings"

	"github.com/leanrtm/realtime/internal/retryafter"
)

// form is an upload as one multipart form.
type form struct {
	fields        [][2]string
	file          string // name of the part with the bytes
	authorization string
}

// sendForm uploads the body in one multipart form, as it is read.
func (l *leanCloud) sendForm(ctx context.Context, token fileToken, u *Upload, target string, f form) error {
	return attempt(ctx, u, func() error {
		reader, writer := io.Pipe()
		parts := multipart.NewWriter(writer)
		written := make(chan error, 1)
		go func() { // ends when everything was written, or when the reader is closed below
			err := writeForm(ctx, parts, f, token, u)
			written <- err
			_ = writer.CloseWithError(err)
		}()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, reader)
		if err == nil {
			req.Header.Set("Content-Type", parts.FormDataContentType())
			if f.authorization != "" {
				req.Header.Set("Authorization", f.authorization)
			}
			err = l.exchange(req, token.Provider, nil)
		}
		_ = reader.CloseWithError(errAnswered)
		if writeErr := <-written; writeErr != nil && !errors.Is(writeErr, errAnswered) {
			var reading readError
			if errors.As(writeErr, &reading) || err == nil {
				return writeErr
			}
		}
		return err
	})
}

// errAnswered ends a form whose reader has gone: the provider has answered.
var errAnswered = errors.New("realtime: the provider has answered")

func writeForm(ctx context.Context, parts *multipart.Writer, f form, token fileToken, u *Upload) error {
	for _, field := range f.fields {
		if err := parts.WriteField(field[0], field[1]); err != nil {
			return fmt.Errorf("write form: %w", err)
		}
	}
	header := make(textproto.MIMEHeader)
	header.Set("Content-Disposition", fmt.Sprintf(`form-data; name="%s"; filename="%s"`, f.file, escapeQuotes(u.Name)))
	header.Set("Content-Type", token.MIMEType)
	part, err := parts.CreatePart(header)
	if err != nil {
		return fmt.Errorf("write form: %w", err)
	}
	if _, err := io.Copy(part, &tagReads{reporting(ctx, *u)}); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if err := parts.Close(); err != nil {
		return fmt.Errorf("write form: %w", err)
	}
	return nil
}

// escapeQuotes makes a name safe within the quotes of a header.
func escapeQuotes(name string) string {
	return strings.NewReplacer("\\", "\\\\", `"`, "\\\"", "\r", "", "\n", "").Replace(name)
}

// tagReads marks the errors of the user's reader, so that they are told from
// those of the network.
type tagReads struct{ r io.Reader }

func (t *tagReads) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = readError{fmt.Errorf("read the file: %w", err)}
	}
	return n, err
}

// cacheForever is what the official SDKs ask for: a stored file never changes.
const cacheForever = "public, max-age=31536000"

// sendPut uploads the body as it is. The provider must know the size before.
func (l *leanCloud) sendPut(ctx context.Context, token fileToken, u *Upload) error {
	if u.Size < 0 {
		spooled, done, err := spool(ctx, u)
		if err != nil {
			return err
		}
		defer done()
		u = spooled
	}
	return attempt(ctx, u, func() error {
		// The transport closes a body that can be closed; this one belongs to the caller.
		body := io.NopCloser(&tagReads{reporting(ctx, *u)})
		if u.Size == 0 {
			body = http.NoBody
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, token.UploadURL, body)
		if err != nil {
			return fmt.Errorf("make request: %w", err)
		}
		req.ContentLength = u.Size
		req.Header.Set("Content-Type", token.MIMEType)
		req.Header.Set("Cache-Control", cacheForever)
		return l.exchange(req, token.Provider, nil)
	})
}

// spool writes a body of unknown size to a temporary file.
func spool(ctx context.Context, u *Upload) (*Upload, func(), error) {
	f, err := os.CreateTemp("", "upload-*")
	if err != nil {
		return nil, nil, fmt.Errorf("create temporary file: %w", err)
	}
	done := func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}
	silent := *u
	silent.Progress = nil
	size, err := io.Copy(f, &tagReads{reporting(ctx, silent)})
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("write temporary file: %w", err)
	}
	spooled := *u
	spooled.Body, spooled.Size = f, size
	return &spooled, done, nil
}

// exchange sends a request to the provider and reads its answer.
func (l *leanCloud) exchange(req *http.Request, provider string, result func(body io.Reader) error) error {
	res, err := l.do(req)
	if err != nil {
		return err
	}
	defer drain(res.Body)
	if res.StatusCode >= http.StatusMultipleChoices {
		const enough = 300
		text, _ := io.ReadAll(io.LimitReader(res.Body, enough)) // a help for the reader of the error only
		return &providerError{provider: provider, status: res.StatusCode, text: strings.TrimSpace(string(text)), after: retryafter.Of(res)}
	}
	if result == nil {
		return nil
	}
	return result(res.Body)
}
