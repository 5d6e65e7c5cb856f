package rest

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/leanrtm/realtime/internal/wire"
	"github.com/leanrtm/realtime/server/internal/engine"
)

// maxBody bounds a request: the largest ones carry lists of members.
const maxBody = 1 << 20

// readJSON reads the body of a request. A longer one than maxBody is an error.
func readJSON(r *http.Request, to any) error {
	if r.ContentLength > maxBody {
		return &http.MaxBytesError{Limit: maxBody} // without reading it
	}
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	err := decoder.Decode(to)
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return err
	}
	if err != nil {
		return malformed("the body is not the expected JSON: " + err.Error())
	}
	return nil
}

// writeJSON answers with a JSON document. What goes wrong from here on is the
// peer's connection.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func writeError(w http.ResponseWriter, status, code int, text string) {
	writeJSON(w, status, map[string]any{"code": code, "error": text})
}

// writeRefusal answers with a refusal of the engine. The symbolic name of the
// code begins the text, because clients compare with it.
func writeRefusal(w http.ResponseWriter, status int, e *engine.Error) {
	text := e.Code.Name()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	body := map[string]any{"code": int(e.Code), "error": text}
	if e.AppCode != 0 {
		body["appCode"] = e.AppCode
	}
	if e.AppMsg != "" {
		body["appMsg"] = e.AppMsg
	}
	writeJSON(w, status, body)
}

// statusOf is the HTTP status that fits a code of the protocol.
func statusOf(code wire.Code) int {
	switch code {
	case wire.CodeConversationNotFound, wire.CodeMessageNotFound:
		return http.StatusNotFound
	case wire.CodeSignatureFailed, wire.CodeConversationSignatureFailed, wire.CodeBlacklistSignatureFailed,
		wire.CodeSessionTokenExpired:
		return http.StatusUnauthorized
	case wire.CodeFrameTooLong:
		return http.StatusRequestEntityTooLarge
	case wire.CodeMessageSentQuotaExceeded, wire.CodeConversationAPIQuotaExceeded:
		return http.StatusTooManyRequests
	case wire.CodeInternalError, wire.CodeConversationInternalError, wire.CodeSendMessageTimeout:
		return http.StatusInternalServerError
	case wire.CodeConversationMembershipRequired, wire.CodeConversationOperationUnauthorized,
		wire.CodeConversationLogRejected, wire.CodeConversationUpdateRejected, wire.CodeMessageOwnershipRequired:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}
