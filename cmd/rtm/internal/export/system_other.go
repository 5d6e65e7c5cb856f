//go:build !unix

package export

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const lockFile = ".lock"

// lock keeps other processes out of a directory. A process that was killed
// leaves the file of the lock behind; the error then says which.
func lock(dir string) (unlock func() error, err error) {
	name := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("export: %w; if that is not so, remove %s", ErrBusy, name)
	}
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return func() error { return errors.Join(f.Close(), os.Remove(name)) }, nil
}

// syncDir does nothing: this system has no such thing, a rename is enough.
func syncDir(string) error { return nil }
