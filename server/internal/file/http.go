package file

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// The paths below which files are uploaded and served. They are part of the
// URLs that messages carry and so are not changed lightly.
const (
	UploadPrefix = "/files/upload/" // {app}/{id}?token=…
	ServePrefix  = "/files/"        // {app}/{id}/{name}
)

// What the tokens name as the provider: bytes go in one PUT.
const (
	provider = "s3"
	bucket   = "files"
)

const maxRequest = 64 << 10

// Mount adds the endpoints that need no app key: the upload, which its token
// authorizes, and the files themselves.
func (s *Service) Mount(mux *http.ServeMux) {
	mux.HandleFunc("PUT "+UploadPrefix+"{app}/{id}", s.serveUpload)
	mux.HandleFunc("OPTIONS "+UploadPrefix+"{app}/{id}", allowUpload)
	mux.HandleFunc("GET "+ServePrefix+"{app}/{id}/{name}", s.serveFile)
}

// fileURL is where a stored file is found, seen from base, the URL by which
// the client reaches the server.
func fileURL(base, app string, r Record) string {
	if r.External {
		return r.URL
	}
	return base + ServePrefix + url.PathEscape(app) + "/" + r.ID + "/" + url.PathEscape(servedName(r.Name))
}

// servedName is a name without what a path could mean by it.
func servedName(name string) string {
	if at := strings.LastIndexAny(name, `/\`); at >= 0 {
		name = name[at+1:]
	}
	if name == "" || name == "." || name == ".." {
		return "file"
	}
	return name
}

// object is a file as the storage API tells it.
type object struct {
	ObjectID  string         `json:"objectId"`
	Name      string         `json:"name"`
	URL       string         `json:"url"`
	MIMEType  string         `json:"mime_type,omitempty"`
	Metadata  map[string]any `json:"metaData"`
	Bucket    string         `json:"bucket,omitempty"`
	Provider  string         `json:"provider,omitempty"`
	Size      int64          `json:"size"`
	CreatedAt string         `json:"createdAt"`
	UpdatedAt string         `json:"updatedAt"`
}

func describe(base, app string, r Record) object {
	const isoMillis = "2006-01-02T15:04:05.000Z"
	created := r.Created.UTC().Format(isoMillis)
	o := object{
		ObjectID: r.ID, Name: r.Name, URL: fileURL(base, app, r), MIMEType: r.MIMEType, Metadata: r.Metadata,
		Size: r.Size, CreatedAt: created, UpdatedAt: created,
	}
	if o.Metadata == nil {
		o.Metadata = map[string]any{}
	}
	if !r.External {
		o.Bucket, o.Provider = bucket, provider
	}
	return o
}

// ServeTokens answers POST fileTokens for an authenticated app. base is the URL
// by which the client reaches the server, without a slash at the end.
func (s *Service) ServeTokens(w http.ResponseWriter, r *http.Request, app, base string) {
	var in struct {
		Name     string         `json:"name"`
		MIMEType string         `json:"mime_type"`
		Metadata map[string]any `json:"metaData"`
	}
	if !decode(w, r, &in) {
		return
	}
	if in.MIMEType == "" {
		in.MIMEType = mime.TypeByExtension(extension(in.Name))
	}
	record, token, err := s.Grant(app, in.Name, in.MIMEType, in.Metadata)
	if err != nil {
		fail(w, err)
		return
	}
	o := describe(base, app, record)
	reply(w, http.StatusOK, struct {
		object
		Token     string `json:"token"`
		UploadURL string `json:"upload_url"`
		Key       string `json:"key"`
	}{o, token, base + UploadPrefix + url.PathEscape(app) + "/" + record.ID + "?token=" + token, record.ID})
}

// extension of a name, as the mime package wants it.
func extension(name string) string {
	if at := strings.LastIndexByte(name, '.'); at >= 0 {
		return strings.ToLower(name[at:])
	}
	return ""
}

// ServeCallback answers POST fileCallback for an authenticated app.
func (s *Service) ServeCallback(w http.ResponseWriter, r *http.Request, app string) {
	var in struct {
		Token  string `json:"token"`
		Result bool   `json:"result"`
	}
	if !decode(w, r, &in) {
		return
	}
	if err := s.Finish(r.Context(), app, in.Token, in.Result); err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, struct{}{})
}

// ServeCreate answers POST files, the record of an external file, for an
// authenticated app.
func (s *Service) ServeCreate(w http.ResponseWriter, r *http.Request, app, base string) {
	var in struct {
		Name     string         `json:"name"`
		URL      string         `json:"url"`
		MIMEType string         `json:"mime_type"`
		Metadata map[string]any `json:"metaData"`
	}
	if !decode(w, r, &in) {
		return
	}
	record, err := s.CreateExternal(r.Context(), app, in.Name, in.URL, in.MIMEType, in.Metadata)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusCreated, describe(base, app, record))
}

// ServeGet answers GET of one file's record for an authenticated app.
func (s *Service) ServeGet(w http.ResponseWriter, r *http.Request, app, base, id string) {
	record, err := s.Get(r.Context(), app, id)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, describe(base, app, record))
}

// ServeDelete answers DELETE of a file for an authenticated app.
func (s *Service) ServeDelete(w http.ResponseWriter, r *http.Request, app, id string) {
	if err := s.Delete(r.Context(), app, id); err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, struct{}{})
}

// serveUpload takes the bytes of a file.
func (s *Service) serveUpload(w http.ResponseWriter, r *http.Request) {
	allowOrigin(w)
	id := r.PathValue("id")
	if !safeID(id) {
		fail(w, ErrToken)
		return
	}
	if s.o.MaxSize >= 0 && r.ContentLength > s.o.MaxSize {
		fail(w, ErrTooLarge)
		return
	}
	if err := s.Upload(r.Context(), id, r.URL.Query().Get("token"), r.Body); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// allowUpload answers a browser that asks before it uploads.
func allowUpload(w http.ResponseWriter, r *http.Request) {
	allowOrigin(w)
	w.Header().Set("Access-Control-Allow-Methods", "PUT")
	w.Header().Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
	w.WriteHeader(http.StatusNoContent)
}

func allowOrigin(w http.ResponseWriter) { w.Header().Set("Access-Control-Allow-Origin", "*") }

// serveFile serves a stored file.
func (s *Service) serveFile(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !safeID(id) {
		fail(w, ErrNotFound)
		return
	}
	record, err := s.Get(r.Context(), r.PathValue("app"), id)
	if err == nil && record.External {
		err = ErrNotFound
	}
	if err != nil {
		fail(w, err)
		return
	}
	content, err := s.o.Blobs.Open(r.Context(), id)
	if err != nil {
		fail(w, err)
		return
	}
	defer func() { _ = content.Close() }() // only read
	setSafeHeaders(w.Header(), record)
	http.ServeContent(w, r, "", record.Created, content)
}

// setSafeHeaders sees to it that no browser runs what a user has uploaded.
func setSafeHeaders(h http.Header, r Record) {
	mediaType, disposition := "application/octet-stream", "attachment"
	if parsed, _, err := mime.ParseMediaType(r.MIMEType); err == nil {
		mediaType = parsed
		if shownInPlace(parsed) {
			disposition = "inline"
		}
	}
	h.Set("Content-Type", mediaType)
	if d := mime.FormatMediaType(disposition, map[string]string{"filename": servedName(r.Name)}); d != "" {
		disposition = d
	}
	h.Set("Content-Disposition", disposition)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+r.ID+`"`)
}

// shownInPlace are the types that browsers show and never execute. SVG is not
// among them: it may carry scripts.
func shownInPlace(mediaType string) bool {
	switch mediaType {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif", "image/heic":
		return true
	}
	return strings.HasPrefix(mediaType, "audio/") || strings.HasPrefix(mediaType, "video/")
}

func decode(w http.ResponseWriter, r *http.Request, to any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(to); err != nil {
		fail(w, ErrBadRecord)
		return false
	}
	return true
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the client is gone
}

// The codes of the storage API.
const (
	codeNotFound  = 101
	codeMalformed = 107
	codeInternal  = 1
)

// fail answers with the error. What went wrong inside is not told.
func fail(w http.ResponseWriter, err error) {
	status, code, text := http.StatusInternalServerError, codeInternal, "internal error"
	tell := func(s, c int, e error) { status, code, text = s, c, e.Error() }
	var tooLong *http.MaxBytesError
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNoBlob):
		tell(http.StatusNotFound, codeNotFound, ErrNotFound)
	case errors.Is(err, ErrToken):
		tell(http.StatusForbidden, http.StatusForbidden, ErrToken)
	case errors.Is(err, ErrTooLarge), errors.As(err, &tooLong):
		tell(http.StatusRequestEntityTooLarge, http.StatusRequestEntityTooLarge, ErrTooLarge)
	case errors.Is(err, ErrTooMany):
		tell(http.StatusTooManyRequests, http.StatusTooManyRequests, ErrTooMany)
	case errors.Is(err, ErrBadRecord):
		tell(http.StatusBadRequest, codeMalformed, err)
	}
	reply(w, status, map[string]any{"code": code, "error": text})
}
