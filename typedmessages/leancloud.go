package typedmessages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/leanrtm/realtime"
	"github.com/leanrtm/realtime/internal/retryafter"
)

// LeanCloudUploader stores files in the file storage of the app: it asks for a
// token, uploads to the provider that the token names (Qiniu, Tencent COS, or
// an S3-style PUT), and reports success or failure. do sends the requests:
// [realtime.Realtime.Do] or that of package admin.
//
// A part, or a whole body that can be read again, is tried up to three times
// when the provider answers with a server error or not at all, and once more
// with a new token when it refuses the token. A body that cannot be read again
// is sent once. Large files go to Qiniu in parts of a few MiB, so memory stays
// flat; only for a provider that must know the size before, a body of unknown
// size is first written to a temporary file.
//
// What the app's API refuses is a *realtime.Error; what the provider refuses says
// the provider's status and words.
func LeanCloudUploader(do func(req *http.Request) (*http.Response, error)) FileUploader {
	return &leanCloud{do: do}
}

type leanCloud struct {
	do func(req *http.Request) (*http.Response, error)
}

// fileToken is the answer to a request for an upload.
type fileToken struct {
	ObjectID  string `json:"objectId"`
	URL       string `json:"url"`
	Token     string `json:"token"`
	Bucket    string `json:"bucket"`
	Provider  string `json:"provider"`
	UploadURL string `json:"upload_url"`
	Key       string `json:"key"`
	MIMEType  string `json:"mime_type"`
}

// The providers a token may name.
const (
	providerQiniu  = "qiniu"
	providerQCloud = "qcloud"
	providerS3     = "s3"
)

const (
	maxAttempts  = 3
	retryDelay   = 500 * time.Millisecond // doubled by every attempt
	maxJSONReply = 1 << 20
)

func (l *leanCloud) Upload(ctx context.Context, u Upload) (Uploaded, error) {
	if l.do == nil {
		return Uploaded{}, fmt.Errorf("%w: the uploader has nothing to send requests with", realtime.ErrInvalidArgument)
	}
	for renewed := false; ; renewed = true {
		token, err := l.requestToken(ctx, u)
		if err != nil {
			return Uploaded{}, err
		}
		err = l.send(ctx, token, &u)
		l.report(ctx, token, err == nil)
		if err == nil {
			return Uploaded{ID: token.ObjectID, URL: token.URL}, nil
		}
		var refusal *providerError
		if renewed || !errors.As(err, &refusal) || !refusal.refusesToken() || rewind(u.Body) != nil {
			return Uploaded{}, err
		}
	}
}

// requestToken asks the app for a place to upload to.
func (l *leanCloud) requestToken(ctx context.Context, u Upload) (fileToken, error) {
	metadata := make(map[string]any, len(u.Metadata)+1)
	for key, value := range u.Metadata {
		metadata[key] = value
	}
	if u.Size >= 0 {
		metadata[keySize] = u.Size
	}
	mimeType := u.MIMEType
	if mimeType == "" {
		mimeType = "application/octet-stream"
	}
	var token fileToken
	err := l.call(ctx, "/1.1/fileTokens", map[string]any{
		"name": u.Name, "mime_type": mimeType, "metaData": metadata,
	}, &token)
	if err != nil {
		return token, fmt.Errorf("request an upload token: %w", err)
	}
	if token.UploadURL == "" || token.URL == "" || token.ObjectID == "" {
		return token, errors.New("request an upload token: the answer lacks objectId, url or upload_url")
	}
	if token.MIMEType == "" {
		token.MIMEType = mimeType
	}
	return token, nil
}

// report tells the app how the upload ended. A failure to tell is not one of
// the upload: the file is where its URL says.
func (l *leanCloud) report(ctx context.Context, token fileToken, stored bool) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = l.call(ctx, "/1.1/fileCallback", map[string]any{"token": token.Token, "result": stored}, nil)
}

// call sends a JSON request to the API of the app.
func (l *leanCloud) call(ctx context.Context, path string, body, result any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return retry(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("make request: %w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := l.do(req)
		if err != nil {
			return err
		}
		defer drain(res.Body)
		answer, err := io.ReadAll(io.LimitReader(res.Body, maxJSONReply))
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if res.StatusCode >= http.StatusBadRequest {
			return apiError(res, answer)
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(answer, result); err != nil {
			return fmt.Errorf("decode answer: %w", err)
		}
		return nil
	})
}

// apiError is the error of an answer of the app's API.
func apiError(res *http.Response, body []byte) error {
	var answer struct {
		Code  int    `json:"code"`
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &answer) // whatever it is, the status is known
	return &realtime.Error{
		Code: realtime.ErrorCode(answer.Code), Detail: answer.Error,
		HTTPStatus: res.StatusCode, RetryAfter: retryafter.Of(res),
	}
}

// send uploads the body to the provider of the token.
func (l *leanCloud) send(ctx context.Context, token fileToken, u *Upload) error {
	switch token.Provider {
	case providerQiniu:
		if u.Size < 0 || u.Size >= qiniuPartsFrom {
			return l.sendQiniuParts(ctx, token, u)
		}
		return l.sendForm(ctx, token, u, token.UploadURL, form{
			fields: [][2]string{{"token", token.Token}, {"key", token.Key}, {"name", u.Name}},
			file:   "file",
		})
	case providerQCloud:
		target := token.UploadURL + "?sign=" + queryEscape(token.Token)
		return l.sendForm(ctx, token, u, target, form{
			fields:        [][2]string{{"op", "upload"}},
			file:          "fileContent",
			authorization: token.Token,
		})
	case providerS3:
		return l.sendPut(ctx, token, u)
	}
	return fmt.Errorf("the file storage names an unknown provider %q", token.Provider)
}

// attempt runs one upload of the whole body, again if that can help.
func attempt(ctx context.Context, u *Upload, once func() error) error {
	return retry(ctx, func() error {
		err := once()
		if err != nil && temporary(err) {
			if rewindErr := rewind(u.Body); rewindErr != nil {
				return permanent{err}
			}
		}
		return err
	})
}

// rewind goes back to the first byte of a body.
func rewind(body io.Reader) error {
	seeker, ok := body.(io.Seeker)
	if !ok {
		return errSpent
	}
	if _, err := seeker.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("go back to the start: %w", err)
	}
	return nil
}

// providerError is an answer of the provider that is no success.
type providerError struct {
	provider string
	status   int
	text     string
	after    time.Duration // when it wants to be asked again; 0: it does not say
}

func (e *providerError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("the file provider %s answered %d", e.provider, e.status)
	}
	return fmt.Sprintf("the file provider %s answered %d: %s", e.provider, e.status, e.text)
}

// refusesToken reports that the token was wrong or too old.
func (e *providerError) refusesToken() bool {
	return e.status == http.StatusUnauthorized || e.status == http.StatusForbidden
}

// drain reads what is left of a small answer, so that the connection can be
// used again, and closes it.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxJSONReply)
	_ = body.Close()
}
