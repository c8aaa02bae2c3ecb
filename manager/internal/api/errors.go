package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"discordcloud/manager/internal/serve"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

type errorAnswer struct {
	Error errorRecord `json:"error"`
}

type errorRecord struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Request string `json:"request"` // by which the log is searched
}

// writeError answers an error that came before anything was sent, and logs what
// the answer does not say.
func (a *api) writeError(w http.ResponseWriter, r *http.Request, err error) {
	status := serve.StatusOf(err)
	a.logError(r, status, err)
	retryAfter(w, err)
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	_ = writeJSON(w, status, errorAnswer{errorRecord{ // two texts and an id always encode
		Code: cloud.CodeOf(err), Message: cloud.TextOf(err), Request: w.Header().Get(requestHeader),
	}})
}

func retryAfter(w http.ResponseWriter, err error) {
	if after, ok := errors.AsType[*retry.AfterError](err); ok {
		seconds := int64((after.Wait + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
	}
}

func (a *api) logError(r *http.Request, status int, err error) {
	log := a.log.With("req", requestID(r), "status", status)
	_, told := errors.AsType[*cloud.UserError](err)
	switch {
	case r.Context().Err() != nil || errors.Is(err, context.Canceled):
		log.DebugContext(r.Context(), "request ended by its sender")
	case status < http.StatusInternalServerError, told && status == http.StatusInsufficientStorage: // it is his quota
		// The text was made for the one who asked, of names that he gave.
		log.DebugContext(r.Context(), "request refused", "code", cloud.CodeOf(err))
	case status == http.StatusServiceUnavailable:
		log.WarnContext(r.Context(), "request failed", "err", err)
	default:
		log.ErrorContext(r.Context(), "request failed", "err", err)
	}
}
