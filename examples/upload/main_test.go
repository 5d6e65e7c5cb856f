package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUpload(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, nil))
	require.Contains(t, out.String(), "Jerry got a picture of 240 × 240 pixels.")
	require.Contains(t, out.String(), "square.png from Tom: image/png")
	require.Contains(t, out.String(), "Jerry fetched all")
}

func TestUploadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	require.NoError(t, os.WriteFile(path, []byte("not a picture"), 0o600))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, []string{path}))
	require.Contains(t, out.String(), "Jerry got notes.txt from Tom: text/plain")
	require.Contains(t, out.String(), "all 13 bytes")
	require.NotContains(t, out.String(), "picture")
	out.Reset()
	path = filepath.Join(t.TempDir(), "drawn.png")
	require.NoError(t, os.WriteFile(path, draw(), 0o600))
	require.NoError(t, run(t.Context(), &out, []string{path}))
	require.Contains(t, out.String(), "240 × 240 pixels")

	require.ErrorIs(t, run(t.Context(), &out, []string{path + ".missing"}), os.ErrNotExist)
}
