package typedmessages

import (
	"bytes"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

const (
	// headSize is how much of a reader that cannot go back is looked at.
	headSize = 64 << 10
	// imageHeadSize bounds what is read of an image to find its size: a JPEG
	// may carry a thumbnail and a colour profile before it.
	imageHeadSize = 1 << 20
	// maxPixels on a side: a larger claim is not believed.
	maxPixels = 1 << 20
	// maxDuration is the longest that is believed.
	maxDuration = 1000 * time.Hour
)

// contentInfo is what a content says of itself. What could not be read is zero.
type contentInfo struct {
	mimeType, format string
	width, height    int
	duration         time.Duration
}

// inspectHead looks at the first bytes of a content of the given size, -1 if
// unknown.
func inspectHead(head []byte, size int64) contentInfo {
	return inspect(head, bytes.NewReader(head), size)
}

// inspectSeeker looks at a content that can be read anywhere. It leaves the
// reader wherever it is.
func inspectSeeker(r io.ReadSeeker, size int64) contentInfo {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return contentInfo{}
	}
	head := make([]byte, min(size, sniffSize))
	n, _ := io.ReadFull(r, head) // a broken reader is reported by the upload
	return inspect(head[:n], r, size)
}

// sniffSize is what finding the type takes.
const sniffSize = 4 << 10

func inspect(head []byte, r io.ReadSeeker, size int64) contentInfo {
	info := sniff(head)
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return info
	}
	switch info.format {
	case "png":
		info.imageSize(png.DecodeConfig, r)
	case "jpeg":
		info.imageSize(jpeg.DecodeConfig, r)
	case "gif":
		info.imageSize(gif.DecodeConfig, r)
	case "webp":
		info.imageSize(webp.DecodeConfig, r)
	case "bmp":
		info.imageSize(bmp.DecodeConfig, r)
	case "wav":
		info.setDuration(wavDuration(r, size))
	case "mp3":
		info.setDuration(mp3Duration(r, size))
	case "ogg":
		info.setDuration(oggDuration(r, size))
	case "mp4", "m4a", "mov":
		film, ok := readMP4(r, size)
		if !ok {
			break
		}
		info.setDuration(film.duration, film.duration > 0)
		if film.hasVideo {
			info.setSize(film.width, film.height)
		} else if film.hasAudio {
			info.mimeType, info.format = "audio/mp4", "m4a"
		}
	}
	return info
}

func (i *contentInfo) imageSize(decode func(io.Reader) (image.Config, error), r io.Reader) {
	if config, err := decode(io.LimitReader(r, imageHeadSize)); err == nil {
		i.setSize(config.Width, config.Height)
	}
}

func (i *contentInfo) setSize(width, height int) {
	if width > 0 && height > 0 && width <= maxPixels && height <= maxPixels {
		i.width, i.height = width, height
	}
}

func (i *contentInfo) setDuration(d time.Duration, ok bool) {
	if ok && d > 0 && d <= maxDuration {
		i.duration = d
	}
}

// shortName is the format of a type that http.DetectContentType finds.
func shortName(mimeType string) string {
	switch name, _, _ := strings.Cut(mimeType, ";"); name {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "video/webm", "video/avi",
		"video/mp4", "audio/aiff", "application/pdf", "application/zip":
		_, short, _ := strings.Cut(name, "/")
		return short
	case "audio/wave":
		return "wav"
	case "audio/mpeg":
		return "mp3"
	case "application/x-gzip":
		return "gz"
	case "text/plain":
		return "txt"
	}
	return ""
}

// sniff finds the type by the first bytes.
func sniff(head []byte) contentInfo {
	if info, ok := sniffMedia(head); ok {
		return info
	}
	mimeType := http.DetectContentType(head)
	return contentInfo{mimeType: mimeType, format: shortName(mimeType)}
}

// sniffMedia knows the recordings of phones, which http.DetectContentType
// does not tell apart or does not know.
func sniffMedia(head []byte) (contentInfo, bool) {
	at := func(offset int, magic string) bool {
		return len(head) >= offset+len(magic) && string(head[offset:offset+len(magic)]) == magic
	}
	switch {
	case at(4, "ftypM4A"), at(4, "ftypM4B"):
		return contentInfo{mimeType: "audio/mp4", format: "m4a"}, true
	case at(4, "ftypqt  "):
		return contentInfo{mimeType: "video/quicktime", format: "mov"}, true
	case at(4, "ftyp3g"):
		return contentInfo{mimeType: "video/3gpp", format: "mp4"}, true
	case at(4, "ftyphei"), at(4, "ftypmif1"):
		return contentInfo{mimeType: "image/heic", format: "heic"}, true
	case at(4, "ftypavif"):
		return contentInfo{mimeType: "image/avif", format: "avif"}, true
	case at(4, "ftyp"):
		return contentInfo{mimeType: "video/mp4", format: "mp4"}, true
	case at(0, "#!AMR"):
		return contentInfo{mimeType: "audio/amr", format: "amr"}, true
	case at(0, "OggS"):
		return contentInfo{mimeType: "audio/ogg", format: "ogg"}, true
	case at(0, "fLaC"):
		return contentInfo{mimeType: "audio/flac", format: "flac"}, true
	}
	if len(head) >= 4 {
		if _, ok := parseMP3Header(head); ok {
			return contentInfo{mimeType: "audio/mpeg", format: "mp3"}, true
		}
	}
	return contentInfo{}, false
}
