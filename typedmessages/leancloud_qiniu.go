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
	"strconv"
	"strings"
)

const (
	// qiniuPartsFrom is the size from which the official SDKs upload in parts.
	qiniuPartsFrom = 64 << 20
	// qiniuPartSize is what is held in memory, so that a part can be repeated.
	qiniuPartSize = 4 << 20
)

// qiniuPart is one uploaded part.
type qiniuPart struct {
	PartNumber int    `json:"partNumber"`
	ETag       string `json:"etag"`
}

// sendQiniuParts uploads the body in parts, each repeated by itself.
func (l *leanCloud) sendQiniuParts(ctx context.Context, token fileToken, u *Upload) error {
	base := strings.TrimSuffix(token.UploadURL, "/") + "/buckets/" + token.Bucket + "/objects/" +
		base64.URLEncoding.EncodeToString([]byte(token.Key)) + "/uploads"
	var begun struct {
		UploadID string `json:"uploadId"`
	}
	if err := l.qiniu(ctx, token, http.MethodPost, base, "application/json", nil, &begun); err != nil {
		return fmt.Errorf("begin upload in parts: %w", err)
	}
	target := base + "/" + begun.UploadID
	parts, err := l.sendParts(ctx, token, u, target)
	if err != nil {
		return err
	}
	done, err := json.Marshal(map[string]any{"parts": parts, "fname": u.Name, "mimeType": token.MIMEType})
	if err != nil {
		return fmt.Errorf("encode list of parts: %w", err)
	}
	if err := l.qiniu(ctx, token, http.MethodPost, target, "application/json", done, nil); err != nil {
		return fmt.Errorf("finish upload in parts: %w", err)
	}
	return nil
}

func (l *leanCloud) sendParts(ctx context.Context, token fileToken, u *Upload, target string) ([]qiniuPart, error) {
	buffer := make([]byte, qiniuPartSize)
	body := &tagReads{reporting(ctx, Upload{Body: u.Body})}
	var parts []qiniuPart
	for sent := int64(0); ; {
		n, err := io.ReadFull(body, buffer)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return nil, err
		}
		if n > 0 || len(parts) == 0 {
			part := qiniuPart{PartNumber: len(parts) + 1}
			err := l.qiniu(ctx, token, http.MethodPut, target+"/"+strconv.Itoa(part.PartNumber), "application/octet-stream", buffer[:n], &part)
			if err != nil {
				return nil, fmt.Errorf("upload part %d: %w", part.PartNumber, err)
			}
			parts = append(parts, part)
			sent += int64(n)
			if u.Progress != nil {
				u.Progress(sent)
			}
		}
		if last {
			return parts, nil
		}
	}
}

// qiniu sends one request of an upload in parts, again if that can help.
func (l *leanCloud) qiniu(ctx context.Context, token fileToken, method, target, contentType string, body []byte, result any) error {
	return retry(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("make request: %w", err)
		}
		req.Header.Set("Authorization", "UpToken "+token.Token)
		req.Header.Set("Content-Type", contentType)
		return l.exchange(req, token.Provider, func(answer io.Reader) error {
			if result == nil {
				return nil
			}
			if err := json.NewDecoder(io.LimitReader(answer, maxJSONReply)).Decode(result); err != nil {
				return fmt.Errorf("decode answer of %s: %w", token.Provider, err)
			}
			return nil
		})
	})
}
