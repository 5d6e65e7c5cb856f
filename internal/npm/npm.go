// Package npm installs what parts of this project need from the npm registry:
// the official JavaScript SDKs, which tests and an example run unmodified, and
// which are not kept in this repository.
//
// An installation is named after its lock file and stays in the user's cache
// directory, so that npm runs once per lock file. It is made under another name
// and renamed when it is complete: several processes may install at a time, and
// one that is interrupted leaves nothing that another would take for complete.
package npm

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Names of the files that say what to install.
const (
	manifest = "package.json"
	lockFile = "package-lock.json"
)

// complete is the name of the file that marks a complete installation.
const complete = "installed"

// grace is how long npm may take to end after it was told to.
const grace = 5 * time.Second

//go:embed sdk/package.json sdk/package-lock.json
var sdk embed.FS

// ErrMissing says that npm is not on this machine.
var ErrMissing = errors.New("npm is not installed")

// SDK returns the files to install the official JavaScript SDKs from.
func SDK() fs.FS {
	files, err := fs.Sub(sdk, "sdk")
	if err != nil {
		panic(err) // the name is written above
	}
	return files
}

// Directory returns where Install puts what the lock file in files asks for, and
// whether it is there. It does not run npm.
func Directory(files fs.FS) (dir string, installed bool, err error) {
	lock, err := fs.ReadFile(files, lockFile)
	if err != nil {
		return "", false, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", false, err
	}
	sum := sha256.Sum256(lock)
	dir = filepath.Join(cache, "leanrtm-npm", hex.EncodeToString(sum[:8]))
	_, err = os.Stat(filepath.Join(dir, complete))
	return dir, err == nil, nil
}

// Install makes sure that the packages which files asks for, with its
// package.json and package-lock.json, are installed, and returns the directory
// that has their node_modules. No script of a package is run. Install blocks
// while npm fetches the packages; without npm it fails with ErrMissing. It is
// safe for concurrent use, by several processes as well.
func Install(ctx context.Context, files fs.FS) (dir string, err error) {
	dir, installed, err := Directory(files)
	if err != nil || installed {
		return dir, err
	}
	program, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "install-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }() // gone already if it was renamed
	for _, name := range []string{manifest, lockFile} {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(work, name), data, 0o600); err != nil {
			return "", err
		}
	}
	if err := run(ctx, program, work); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(work, complete), nil, 0o600); err != nil {
		return "", err
	}
	if err := os.Rename(work, dir); err != nil {
		if _, there, again := Directory(files); again == nil && there {
			return dir, nil // another process was first
		}
		return "", err
	}
	return dir, nil
}

// run lets npm install in a directory.
func run(ctx context.Context, program, dir string) error {
	npm := exec.CommandContext(ctx, program, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = dir
	npm.WaitDelay = grace
	output, err := npm.CombinedOutput()
	if ctx.Err() != nil {
		return ctx.Err() // that npm was killed is what was asked for
	}
	if err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, output)
	}
	return nil
}
