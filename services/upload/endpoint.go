package upload

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

// Handler is the HTTP endpoint for parts. It looks at no path and no query, so
// it may be mounted anywhere. It sets the read deadline of connections itself;
// a server's ReadTimeout and WriteTimeout should be 0.
//
//	OPTIONS  200
//	POST     multipart/form-data with id, chunk and file, in any order, and last
//	         ("1") with the part that ends a file of unknown size
//	         200  the chunk's index, as text: it is stored
//	         400  no such upload or chunk, or not the bytes it has
//	         408  the client is too slow
//	         409  the chunk is stored with other bytes
//	         500  not a form that can be read, or not stored
//	         507  the store is full
//	         503  too much to do, or the manager is gone: again later
//	other    404
//
// Errors are {"error":"text"}.
func (s *Service) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "*")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	switch r.Method {
	case http.MethodOptions:
		h.Set("Access-Control-Max-Age", "7200")
	case http.MethodPost:
		index, err := s.post(w, r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(strconv.AppendInt(nil, index, 10)) // a client that left sends the part again
	default:
		answerError(w, http.StatusNotFound, "parts are sent by POST")
	}
}

// post takes one part and gives its index.
func (s *Service) post(w http.ResponseWriter, r *http.Request) (int64, error) {
	// The part is stored even if its client leaves: it need not be sent again
	// then. What ends the work is the end of the upload.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	if err := s.requests.enter(ctx, s.cfg.Queue); err != nil {
		return 0, err
	}
	defer s.requests.leave()
	f := &form{s: s, request: request{cancel: cancel}, part: -1}
	defer f.close()
	body := newBody(w, r, s.cfg.Block)
	if err := f.read(ctx, r, body); err != nil {
		if !body.drain(max(s.largest(), 10<<20) + overhead) {
			w.Header().Set("Connection", "close")
		}
		return 0, err
	}
	body.done()

	p := part{index: f.part, plain: f.plain(), leaves: f.leaves, last: f.last && f.t.size < 0}
	sum := chunk.Root(p.leaves)
	waiting, stop := joined(ctx, r.Context())
	mine, err := f.t.claim(waiting, p.index, sum)
	stop()
	if err != nil || !mine {
		return p.index, err
	}
	err = s.put(ctx, f.t, p)
	f.t.settle(p.index, sum, err == nil, s.cfg.Now())
	return p.index, err
}

// joined is ctx that ends with other, too.
func joined(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() { stop(); cancel(nil) }
}

// refuse answers an error. The only place that turns errors into statuses.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusInternalServerError, cloud.TextOf(err)
	log := s.log.DebugContext
	switch {
	case errors.Is(err, errGone), errors.Is(err, context.Canceled):
		status = http.StatusBadRequest // nobody reads it
	case errors.Is(err, errForm):
		text = "the body cannot be read as a form of id, chunk and file"
	case errors.Is(err, errStore) && errors.Is(err, cloud.ErrFull):
		status = http.StatusInsufficientStorage
		log = s.log.WarnContext
	case errors.Is(err, errStore):
		log = s.log.WarnContext
		if _, told := errors.AsType[*cloud.UserError](err); !told {
			text = "the chunk could not be stored"
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		status, text = http.StatusRequestTimeout, "the body came too slowly"
	case errors.Is(err, cloud.ErrExists):
		status = http.StatusConflict
	case errors.Is(err, cloud.ErrInvalid), errors.Is(err, cloud.ErrNotFound), errors.Is(err, cloud.ErrTooLarge):
		status = http.StatusBadRequest
	case errors.Is(err, cloud.ErrUnavailable), errors.Is(err, cloud.ErrShutdown):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	default:
		log = s.log.ErrorContext
	}
	log(r.Context(), "part refused", "status", status, "err", err)
	answerError(w, status, text)
}

func answerError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // the client may have left
}
