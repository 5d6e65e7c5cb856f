package typedmessages

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// DirUploader stores files in a directory, for tests and tools. The URL of a
// file is baseURL followed by its name there, which begins with a random id
// and has no other characters than letters, digits, dots, dashes and
// underscores. The directory is made when it is missing. Safe for concurrent
// use.
func DirUploader(dir, baseURL string) FileUploader {
	return &dirUploader{dir: dir, baseURL: strings.TrimSuffix(baseURL, "/")}
}

type dirUploader struct{ dir, baseURL string }

func (d *dirUploader) Upload(ctx context.Context, u Upload) (Uploaded, error) {
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return Uploaded{}, fmt.Errorf("make directory: %w", err)
	}
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails
	id := hex.EncodeToString(random[:])
	name := id + "-" + safeName(u.Name)
	if err := writeFile(ctx, filepath.Join(d.dir, name), u); err != nil {
		return Uploaded{}, err
	}
	return Uploaded{ID: id, URL: d.baseURL + "/" + url.PathEscape(name)}, nil
}

// writeFile writes under another name first: a file that is there is whole.
func writeFile(ctx context.Context, path string, u Upload) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".upload-*")
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := io.Copy(f, reporting(ctx, u)); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("name file: %w", err)
	}
	return nil
}

const maxSafeName = 100

// safeName keeps the characters of a name that mean nothing to a file system.
func safeName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_.", r):
			return r
		}
		return '_'
	}, name)
	if len(name) > maxSafeName {
		name = name[len(name)-maxSafeName:]
	}
	if name == "" {
		return "file"
	}
	return name
}

// reporting is the body of u, ended by ctx, that tells its progress.
func reporting(ctx context.Context, u Upload) io.Reader {
	return &progressReader{ctx: ctx, r: u.Body, report: u.Progress}
}

type progressReader struct {
	ctx    context.Context
	r      io.Reader
	sent   int64
	report func(sent int64)
}

func (p *progressReader) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, ctxError(p.ctx)
	}
	n, err := p.r.Read(b)
	p.sent += int64(n)
	if p.report != nil && (n > 0 || err == io.EOF && p.sent == 0) {
		p.report(p.sent)
	}
	return n, err
}
