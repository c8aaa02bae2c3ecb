package serve

import (
	"io"
	"net/http"
	"time"
)

// PacedBody reads a request's body whose next bytes always have to come within
// Stall: a transfer takes as long as it takes, a silent sender does not hold it.
type PacedBody struct {
	body  io.Reader
	rc    *http.ResponseController
	stall time.Duration
}

// NewPacedBody paces the body of r. Done is called when it has been read.
func NewPacedBody(w http.ResponseWriter, r *http.Request, stall time.Duration) *PacedBody {
	return &PacedBody{body: r.Body, rc: http.NewResponseController(w), stall: stall}
}

func (b *PacedBody) Read(p []byte) (int, error) {
	_ = b.rc.SetReadDeadline(time.Now().Add(b.stall)) // of what is no connection: it does not hang either
	return b.body.Read(p)
}

// Done lifts the deadline.
func (b *PacedBody) Done() { _ = b.rc.SetReadDeadline(time.Time{}) }
