package typedmessages

import (
	"strings"

	"github.com/leanrtm/realtime"
)

// The numbers of the message types, for history queries and the like.
const (
	TypeImage    = -2
	TypeAudio    = -3
	TypeVideo    = -4
	TypeLocation = -5
	TypeFile     = -6
)

// ImageMessage is an image with an optional caption and attributes.
type ImageMessage struct {
	realtime.TypedMessage
	File File `json:"_lcfile"`
}

// AudioMessage is a recording.
type AudioMessage struct {
	realtime.TypedMessage
	File File `json:"_lcfile"`
}

// VideoMessage is a film.
type VideoMessage struct {
	realtime.TypedMessage
	File File `json:"_lcfile"`
}

// FileMessage is a file of any kind.
type FileMessage struct {
	realtime.TypedMessage
	File File `json:"_lcfile"`
}

// LocationMessage is a place on earth.
type LocationMessage struct {
	realtime.TypedMessage
	Location GeoPoint `json:"_lcloc"`
}

// GeoPoint is a place in degrees: latitude from -90 to 90, longitude from -180
// to 180.
type GeoPoint struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// NewImageMessage returns an image message.
func NewImageMessage(f File) *ImageMessage { return &ImageMessage{File: f} }

// NewAudioMessage returns an audio message.
func NewAudioMessage(f File) *AudioMessage { return &AudioMessage{File: f} }

// NewVideoMessage returns a video message.
func NewVideoMessage(f File) *VideoMessage { return &VideoMessage{File: f} }

// NewFileMessage returns a file message.
func NewFileMessage(f File) *FileMessage { return &FileMessage{File: f} }

// NewLocationMessage returns a location message.
func NewLocationMessage(p GeoPoint) *LocationMessage { return &LocationMessage{Location: p} }

// Type is [TypeImage].
func (*ImageMessage) Type() int { return TypeImage }

// Type is [TypeAudio].
func (*AudioMessage) Type() int { return TypeAudio }

// Type is [TypeVideo].
func (*VideoMessage) Type() int { return TypeVideo }

// Type is [TypeFile].
func (*FileMessage) Type() int { return TypeFile }

// Type is [TypeLocation].
func (*LocationMessage) Type() int { return TypeLocation }

// Summary is what a list of conversations would show, in the words of the
// official SDKs.
func (m *ImageMessage) Summary() string { return summary("图片", m.File.Name) }

// Summary is what a list of conversations would show.
func (m *AudioMessage) Summary() string { return summary("语音", m.File.Name) }

// Summary is what a list of conversations would show.
func (m *VideoMessage) Summary() string { return summary("视频", m.File.Name) }

// Summary is what a list of conversations would show.
func (m *FileMessage) Summary() string { return summary("文件", m.File.Name) }

// Summary is what a list of conversations would show.
func (m *LocationMessage) Summary() string { return summary("位置", m.Text) }

func summary(kind, text string) string { return strings.TrimSpace("[" + kind + "] " + text) }
