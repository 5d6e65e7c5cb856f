package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Dir keeps files in a directory, one under its key each. Safe for concurrent
// use, also by several processes.
type Dir struct{ root *os.Root }

// OpenDir returns the store in a directory, which is made when it is missing.
func OpenDir(path string) (*Dir, error) {
	const private = 0o700
	if err := os.MkdirAll(path, private); err != nil {
		return nil, fmt.Errorf("make directory of files: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open directory of files: %w", err)
	}
	return &Dir{root: root}, nil
}

// Close releases the directory.
func (d *Dir) Close() error { return d.root.Close() }

// Put implements Blobs. The bytes are complete and on the disk before they
// have their name.
func (d *Dir) Put(ctx context.Context, key string, r io.Reader) (size int64, err error) {
	part := key + ".part"
	f, err := d.root.Create(part)
	if err != nil {
		return 0, fmt.Errorf("create file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = d.root.Remove(part)
		}
	}()
	if size, err = io.Copy(f, reader{ctx, r}); err != nil {
		return 0, fmt.Errorf("receive file: %w", err)
	}
	if err = f.Sync(); err != nil {
		return 0, fmt.Errorf("write file: %w", err)
	}
	if err = f.Close(); err != nil {
		return 0, fmt.Errorf("write file: %w", err)
	}
	if err = d.root.Rename(part, key); err != nil {
		return 0, fmt.Errorf("name file: %w", err)
	}
	return size, nil
}

// Open implements Blobs.
func (d *Dir) Open(_ context.Context, key string) (io.ReadSeekCloser, error) {
	f, err := d.root.Open(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoBlob
	}
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	return f, nil
}

// Delete implements Blobs.
func (d *Dir) Delete(_ context.Context, key string) error {
	if err := d.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove file: %w", err)
	}
	return nil
}
