package typedmessages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanrtm/realtime"
)

func TestFileJSON(t *testing.T) {
	f := File{
		ID: "5ae9", URL: "https://f.example/a.png", Name: "a.png", Format: "png", MIMEType: "image/png",
		Size: 1234, Width: 30, Height: 20, Duration: 1500 * time.Millisecond,
		Metadata: map[string]any{"owner": "tom", "size": 9},
	}
	data, err := json.Marshal(NewImageMessage(f))
	require.NoError(t, err)
	require.JSONEq(t, `{"_lcfile":{"objId":"5ae9","url":"https://f.example/a.png","metaData":{
		"name":"a.png","format":"png","mime_type":"image/png","size":1234,"width":30,"height":20,"duration":1.5,"owner":"tom"}}}`, string(data))

	var back ImageMessage
	require.NoError(t, json.Unmarshal(data, &back))
	f.Metadata = back.File.Metadata
	require.Equal(t, f, back.File)
	require.Equal(t, "tom", back.File.Metadata["owner"])
}

func TestFileJSONForms(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		want File
	}{
		"only a URL":        {`{"url":"u"}`, File{URL: "u"}},
		"beside metaData":   {`{"url":"u","name":"n","size":7}`, File{URL: "u", Name: "n", Size: 7}},
		"metaData wins":     {`{"url":"u","name":"n","metaData":{"name":"m"}}`, File{URL: "u", Name: "m", Metadata: map[string]any{"name": "m"}}},
		"odd fields":        {`{"url":"u","objId":5,"metaData":{"size":"big","width":-1,"height":1e300,"duration":1e300,"x":[1]}}`, File{URL: "u", Metadata: map[string]any{"size": "big", "width": -1.0, "height": 1e300, "duration": 1e300, "x": []any{1.0}}}},
		"metaData is text":  {`{"url":"u","metaData":"?"}`, File{URL: "u"}},
		"URL is a number":   {`{"url":1,"metaData":{"name":"m"}}`, File{Name: "m", Metadata: map[string]any{"name": "m"}}},
		"text for a file":   {`"file"`, File{}},
		"null":              {`null`, File{}},
		"a list for a file": {`[1,2]`, File{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := File{Name: "left from before"}
			require.NoError(t, got.UnmarshalJSON([]byte(c.json)))
			require.Equal(t, c.want, got)
		})
	}
}

// A message with a broken file keeps its text.
func TestMessageWithBrokenFile(t *testing.T) {
	parser, err := realtime.NewMessageParser(Plugin())
	require.NoError(t, err)
	raw := `{"_lctype":-2,"_lcfile":{"url":5,"metaData":[]},"_lctext":"a caption","extra":1}`
	content, err := parser.Parse([]byte(raw), false)
	require.NoError(t, err)
	image, ok := content.(*ImageMessage)
	require.True(t, ok, "%T", content)
	require.Equal(t, "a caption", image.Text)
	require.Empty(t, image.File.URL)
}

// memory is an uploader that keeps what it gets.
type memory struct {
	mu      sync.Mutex
	uploads []Upload
	data    [][]byte
	err     error
}

func (m *memory) Upload(_ context.Context, u Upload) (Uploaded, error) {
	data, err := io.ReadAll(u.Body)
	u.Progress(int64(len(data)))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploads, m.data = append(m.uploads, u), append(m.data, data)
	if err == nil {
		err = m.err
	}
	if err != nil {
		return Uploaded{}, err
	}
	return Uploaded{ID: "id", URL: "https://f.example/id", Metadata: map[string]any{"stored": true}}, nil
}

func TestSave(t *testing.T) {
	data := samples(t)["png"].data
	path := filepath.Join(t.TempDir(), "lies-about-itself.txt")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	for name, f := range map[string]File{
		"seeker": NewFile("p", bytes.NewReader(data)),
		"reader": NewFile("p", iotest.OneByteReader(bytes.NewReader(data))),
		"path":   OpenFile(path),
	} {
		t.Run(name, func(t *testing.T) {
			var store memory
			stored, err := f.Save(t.Context(), &store)
			require.NoError(t, err)
			require.Equal(t, data, store.data[0])
			require.Equal(t, "image/png", store.uploads[0].MIMEType)
			require.Equal(t, int64(len(data)), store.uploads[0].Size)
			require.Equal(t, File{
				ID: "id", URL: "https://f.example/id", Name: f.Name, Format: "png", MIMEType: "image/png",
				Size: int64(len(data)), Width: 31, Height: 17, Metadata: stored.Metadata,
			}, stored)
			require.Equal(t, true, stored.Metadata["stored"])

			again, err := f.Save(t.Context(), &store)
			require.NoError(t, err)
			require.Equal(t, stored, again)
			require.Len(t, store.uploads, 1, "one upload serves all sends")
		})
	}
}

func TestSaveOnceForConcurrentSends(t *testing.T) {
	var store memory
	f := NewFile("n", strings.NewReader("content"))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			stored, err := f.Save(t.Context(), &store)
			if err != nil || stored.URL == "" {
				t.Errorf("%+v, %v", stored, err)
			}
		})
	}
	wg.Wait()
	require.Len(t, store.uploads, 1)
}

func TestSaveOptions(t *testing.T) {
	var store memory
	var progress [][2]int64
	f := NewFile("n", strings.NewReader("content"), WithMIMEType("application/x-game"),
		WithMetadata(map[string]any{"level": 3}),
		WithProgress(func(sent, total int64) { progress = append(progress, [2]int64{sent, total}) }))
	stored, err := f.Save(t.Context(), &store)
	require.NoError(t, err)
	require.Equal(t, "application/x-game", stored.MIMEType)
	require.Equal(t, 3, stored.Metadata["level"])
	require.Equal(t, [][2]int64{{7, 7}}, progress)
}

func TestSaveWithoutUpload(t *testing.T) {
	f := FileWithURL("n", "https://elsewhere.example/x")
	stored, err := f.Save(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, f, stored)

	_, err = File{Name: "nothing"}.Save(t.Context(), &memory{})
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	_, err = NewFile("n", nil).Save(t.Context(), &memory{})
	require.ErrorIs(t, err, realtime.ErrInvalidArgument)
	_, err = OpenFile(filepath.Join(t.TempDir(), "missing")).Save(t.Context(), &memory{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSaveAfterFailure(t *testing.T) {
	broken := errors.New("no space")

	// From the place where the reader stood, not from its beginning.
	seeker := strings.NewReader("skipped|content")
	_, err := seeker.Seek(8, io.SeekStart)
	require.NoError(t, err)
	f := NewFile("n", seeker)
	store := memory{err: broken}
	_, err = f.Save(t.Context(), &store)
	require.ErrorIs(t, err, broken)
	store.err = nil
	_, err = f.Save(t.Context(), &store)
	require.NoError(t, err)
	require.Equal(t, "content", string(store.data[1]))

	f = NewFile("n", io.MultiReader(strings.NewReader(strings.Repeat("x", 2*headSize))))
	store = memory{err: broken}
	_, err = f.Save(t.Context(), &store)
	require.ErrorIs(t, err, broken)
	store.err = nil
	_, err = f.Save(t.Context(), &store)
	require.ErrorIs(t, err, errSpent)
}

func TestSaveReaderFails(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, before := range map[string]int{"at once": 0, "half way": 3 * headSize} {
		t.Run(name, func(t *testing.T) {
			r := io.MultiReader(strings.NewReader(strings.Repeat("x", before)), iotest.ErrReader(broken))
			_, err := NewFile("n", r).Save(t.Context(), &memory{})
			require.ErrorIs(t, err, broken)
		})
	}
}

func TestSaveCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("user left")
	cancel(why)
	_, err := NewFile("n", strings.NewReader("x")).Save(ctx, &memory{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, why)
}

func TestDirUploader(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on demand")
	u := DirUploader(dir, "https://f.example/files/")
	for _, name := range []string{"猫.png", "../../etc/passwd", "", ".", strings.Repeat("n", 500), "a/b\\c\x00"} {
		stored, err := NewFile(name, strings.NewReader("bytes")).Save(t.Context(), u)
		require.NoError(t, err, name)
		base, ok := strings.CutPrefix(stored.URL, "https://f.example/files/")
		require.True(t, ok)
		require.NotContains(t, base, "/")
		data, err := os.ReadFile(filepath.Join(dir, base))
		require.NoError(t, err)
		require.Equal(t, "bytes", string(data))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 6)

	_, err = NewFile("n", io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrClosedPipe))).Save(t.Context(), u)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	entries, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 6, "half a file is not left behind")
}

func TestSummaries(t *testing.T) {
	require.Equal(t, "[图片] a.png", NewImageMessage(FileWithURL("a.png", "u")).Summary())
	require.Equal(t, "[语音]", NewAudioMessage(FileWithURL("", "u")).Summary())
	require.Equal(t, "[视频] v.mp4", NewVideoMessage(FileWithURL("v.mp4", "u")).Summary())
	require.Equal(t, "[文件] f", NewFileMessage(FileWithURL("f", "u")).Summary())
	require.Equal(t, "[位置]", NewLocationMessage(GeoPoint{}).Summary())
	place := NewLocationMessage(GeoPoint{})
	place.Text = "here"
	require.Equal(t, "[位置] here", place.Summary())
}
