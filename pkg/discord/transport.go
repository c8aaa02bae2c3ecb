package discord

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/bwmarrin/discordgo"

	"discordcloud/pkg/cloud"
)

// refusalMost is how much of the body of a refusal is read.
const refusalMost = 64 << 10

// exchange is what the transport saw of one request. discordgo does not hand on
// enough of it: a 429 with a page of HTML, for one, is a JSON error to it.
type exchange struct {
	status int // 0 while no answer came
	header http.Header
	body   []byte // of a refusal
	watch  *watchdog
}

type exchangeKey struct{}

func withExchange(ctx context.Context, ex *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, ex)
}

// apiTransport sends discordgo's requests to the configured API, notes the
// answers in their exchange, and gives discordgo only what it needs: the body
// of a success, and no headers that would make its own limiter wait.
type apiTransport struct {
	base *url.URL
	most int64
	next http.RoundTripper
}

func (t *apiTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ex, ok := req.Context().Value(exchangeKey{}).(*exchange)
	rest, isAPI := strings.CutPrefix(req.URL.String(), discordgo.EndpointAPI)
	if !ok || !isAPI {
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper must; nothing was read
		}
		return nil, fmt.Errorf("%w: a request that is not ours", cloud.ErrDenied)
	}
	to, err := url.Parse(t.base.String() + "/" + rest)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.URL, out.Host = to, ""
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	ex.watch.expect(ex.watch.stall)
	ex.status, ex.header = resp.StatusCode, resp.Header
	resp.Header = http.Header{}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		// What could be read of the reason is enough.
		ex.body, _ = io.ReadAll(io.LimitReader(resp.Body, refusalMost))
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(strings.NewReader("{}"))
		return resp, nil
	}
	if resp.ContentLength > t.most {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w: %d bytes", errAnswerTooLarge, resp.ContentLength)
	}
	resp.Body = &cappedBody{ReadCloser: resp.Body, left: t.most, watch: ex.watch}
	return resp, nil
}

var errAnswerTooLarge = fmt.Errorf("%w: discord's answer is too large", cloud.ErrUnavailable)

// cappedBody fails when more than left bytes come, and tells of progress.
type cappedBody struct {
	io.ReadCloser
	left  int64
	watch *watchdog
}

func (b *cappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.watch.progress(n)
	if b.left -= int64(n); b.left < 0 {
		return 0, errAnswerTooLarge
	}
	return n, err
}

// send makes one request, without limits and repeats. Exactly one of the error
// and ex.status 2xx is good: a status of 0 tells that no answer came.
func (c *Client) send(ctx context.Context, req *request) (*exchange, []byte, error) {
	wctx, watch := watch(ctx, c.opt.Stall, c.opt.AnswerTimeout)
	defer watch.stop()
	ex := &exchange{watch: watch}
	lane := c.lanes.take()
	defer c.lanes.give(lane)

	options := []discordgo.RequestOption{
		discordgo.WithContext(withExchange(wctx, ex)),
		discordgo.WithRetryOnRatelimit(false),
		discordgo.WithRestRetries(0),
	}
	contentType := "application/json"
	data := req.encoded
	var body *opened
	if req.form != nil {
		contentType, data = req.form.contentType(), []byte{}
		body = &opened{form: req.form, watch: watch}
		options = append(options, func(cfg *discordgo.RequestConfig) {
			cfg.Request.ContentLength = req.form.size()
			cfg.Request.GetBody = body.open
			cfg.Request.Body, _ = body.open() // never fails
		})
	} else {
		watch.expect(c.opt.AnswerTimeout)
	}
	got, err := c.session.RequestRaw(req.method, discordgo.EndpointAPI+req.path, contentType, data, lane, 0, options...)
	if body != nil {
		// The transport may read on after an early answer. The caller's bytes are
		// the caller's again when this returns.
		if short := body.close(); short != nil && ex.status == 0 {
			return ex, nil, short
		}
	}
	switch {
	case ex.status >= 200 && ex.status <= 299 && err == nil:
		return ex, bytes.TrimSpace(got), nil
	case ex.status >= 200 && ex.status <= 299:
		return ex, nil, watch.err(ctx, err)
	case ex.status != 0:
		return ex, nil, nil
	case err == nil:
		return ex, nil, errors.New("discordgo: no answer and no error")
	default:
		return ex, nil, watch.err(ctx, err)
	}
}
