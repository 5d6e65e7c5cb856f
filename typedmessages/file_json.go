package typedmessages

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"time"
)

// Keys of the file object and of its metaData.
const (
	keyID       = "objId"
	keyURL      = "url"
	keyMetadata = "metaData"
	keyName     = "name"
	keyFormat   = "format"
	keyMIMEType = "mime_type"
	keySize     = "size"
	keyWidth    = "width"
	keyHeight   = "height"
	keyDuration = "duration"
)

// MarshalJSON returns the form that the official SDKs read.
func (f File) MarshalJSON() ([]byte, error) {
	out := struct {
		ID       string         `json:"objId,omitempty"`
		URL      string         `json:"url"`
		Metadata map[string]any `json:"metaData,omitempty"`
	}{f.ID, f.URL, f.metadata()}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode file %q: %w", f.Name, err)
	}
	return data, nil
}

// metadata is Metadata with what the fields say.
func (f File) metadata() map[string]any {
	m := make(map[string]any, len(f.Metadata)+4)
	maps.Copy(m, f.Metadata)
	set := func(key string, known bool, value any) {
		if known {
			m[key] = value
		}
	}
	set(keyName, f.Name != "", f.Name)
	set(keyFormat, f.Format != "", f.Format)
	set(keyMIMEType, f.MIMEType != "", f.MIMEType)
	set(keySize, f.Size > 0, f.Size)
	set(keyWidth, f.Width > 0, f.Width)
	set(keyHeight, f.Height > 0, f.Height)
	set(keyDuration, f.Duration > 0, f.Duration.Seconds())
	return m
}

// UnmarshalJSON reads what can be read: a field of another type than expected
// is left out, since one odd field must not hide the file. It never fails on
// valid JSON.
func (f *File) UnmarshalJSON(data []byte) error {
	*f = File{}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return nil //nolint:nilerr // not an object: nothing can be read, the message keeps its text
	}
	read(fields, keyID, &f.ID)
	read(fields, keyURL, &f.URL)
	read(fields, keyMetadata, &f.Metadata)
	var meta map[string]json.RawMessage
	read(fields, keyMetadata, &meta)
	// Some senders put these beside metaData instead of into it.
	for _, from := range []map[string]json.RawMessage{fields, meta} {
		read(from, keyName, &f.Name)
		read(from, keyFormat, &f.Format)
		read(from, keyMIMEType, &f.MIMEType)
		readNumber(from, keySize, func(n float64) { f.Size = int64(n) })
		readNumber(from, keyWidth, func(n float64) { f.Width = int(n) })
		readNumber(from, keyHeight, func(n float64) { f.Height = int(n) })
		readNumber(from, keyDuration, func(n float64) { f.Duration = time.Duration(n * float64(time.Second)) })
	}
	return nil
}

func read[T any](fields map[string]json.RawMessage, key string, to *T) {
	var value T
	if raw, ok := fields[key]; ok && json.Unmarshal(raw, &value) == nil {
		*to = value
	}
}

// largestNumber is where a float64 stops being exact; no size of a file is
// larger, and the duration in nanoseconds of a larger one would not fit.
const largestNumber = 1 << 53

func readNumber(fields map[string]json.RawMessage, key string, to func(n float64)) {
	n := math.NaN()
	read(fields, key, &n)
	limit := float64(largestNumber)
	if key == keyDuration {
		limit = math.MaxInt64 / float64(time.Second) / 2
	}
	if n >= 0 && n <= limit {
		to(n)
	}
}
