package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/packet"
)

const (
	// partsAtOnce is how many parts of a file are under way, as of the page.
	partsAtOnce = 3
	// postTries is how often a part is posted.
	postTries = 6
)

// Upload stores data under a name in a folder, over what is there, and returns
// when the manager has acknowledged it. With an error nothing is known: it may
// be stored all the same.
func (c *Client) Upload(ctx context.Context, folder, name string, data Content) error {
	r, err := c.Begin(ctx, folder, name, data.Size, packet.ConflictOverwrite)
	if err != nil {
		return err
	}
	if err := c.Send(ctx, r, data, Missing(r, data)); err != nil {
		return err
	}
	_, err = c.Outcome(ctx, r)
	return err
}

// Rejected is an upload that the manager did not accept, or that has failed.
type Rejected string

func (r Rejected) Error() string { return "rejected: " + string(r) }

// Begin asks for an upload. conflict says what is to be done about a name that is
// taken.
func (c *Client) Begin(ctx context.Context, folder, name string, size int64, conflict string) (packet.UploadResponse, error) {
	return c.accepted(ctx, packet.UploadRequest{Path: folder, Name: name, Size: size, Conflict: conflict})
}

// Resume asks to go on with an upload.
func (c *Client) Resume(ctx context.Context, id string) (packet.UploadResponse, error) {
	select {
	case <-c.outcome(id): // of before
	default:
	}
	return c.accepted(ctx, packet.UploadResume{UploadID: id})
}

// Pending are the user's uploads that have not ended.
func (c *Client) Pending(ctx context.Context) (ids []string, err error) {
	reply, err := c.call(ctx, packet.UploadsRequest{})
	if err != nil {
		return nil, fmt.Errorf("uploads: %w", err)
	}
	all, ok := reply.(packet.Uploads)
	if !ok {
		return nil, fmt.Errorf("uploads: the answer is a %s", reply.PacketID())
	}
	for _, u := range all.Uploads {
		ids = append(ids, u.UploadID)
	}
	return ids, nil
}

// Abort gives an upload up.
func (c *Client) Abort(ctx context.Context, id string) error {
	reply, err := c.call(ctx, packet.UploadAbortRequest{UploadID: id})
	if err != nil {
		return fmt.Errorf("abort: %w", err)
	}
	if said, ok := reply.(packet.Boolean); !ok || !said.Success {
		return fmt.Errorf("abort: %s", said.Message)
	}
	return nil
}

func (c *Client) accepted(ctx context.Context, p packet.Packet) (packet.UploadResponse, error) {
	reply, err := c.call(ctx, p)
	if err != nil {
		return packet.UploadResponse{}, fmt.Errorf("request: %w", err)
	}
	r, ok := reply.(packet.UploadResponse)
	if !ok || !r.Accepted {
		return r, fmt.Errorf("request: %w", Rejected(r.RejectionReason))
	}
	return r, nil
}

// Outcome waits for the end of an upload, and gives the name that it is stored
// under, "" for the one that was asked for.
func (c *Client) Outcome(ctx context.Context, r packet.UploadResponse) (name string, err error) {
	select {
	case info := <-c.outcome(r.UploadID):
		c.mu.Lock()
		delete(c.outcomes, r.UploadID)
		c.mu.Unlock()
		if !info.Success {
			return "", fmt.Errorf("outcome: %w", Rejected(info.Reason))
		}
		return info.RenameTarget, nil
	case <-c.ended:
		return "", errors.New("outcome: the socket has ended")
	case <-ctx.Done():
		return "", fmt.Errorf("outcome: %w", context.Cause(ctx))
	}
}

// Missing are the parts of an upload that are not stored yet.
func Missing(r packet.UploadResponse, data Content) (missing []int64) {
	for part := range (data.Size + r.ChunkSize - 1) / r.ChunkSize {
		if !slices.ContainsFunc(r.Confirmed, func(done packet.Range) bool { return done[0] <= part && part <= done[1] }) {
			missing = append(missing, part)
		}
	}
	return missing
}

// Send posts parts, as many at once as the page does. Without a socket it does not
// go on: the upload has to be resumed.
func (c *Client) Send(ctx context.Context, r packet.UploadResponse, data Content, parts []int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := c.ended
	group, ctx := errgroup.WithContext(ctx)
	go func() {
		select {
		case <-ended:
			cancel(errors.New("the socket has ended"))
		case <-ctx.Done():
		}
	}()
	group.SetLimit(partsAtOnce)
	for _, part := range parts {
		group.Go(func() error {
			for try := 1; ; try++ {
				err := c.post(ctx, r, data, part)
				if err == nil || try == postTries || !again(err) || ctx.Err() != nil {
					return err
				}
				select {
				case <-ctx.Done():
				case <-time.After(time.Duration(try) * 200 * time.Millisecond):
				}
			}
		})
	}
	return group.Wait()
}

// again tells whether a part is worth another post: whatever the service could
// not do, it may be able to do later.
func again(err error) bool {
	refused, ok := errors.AsType[*StatusError](err)
	return !ok || refused.Status >= 500 || refused.Status == http.StatusRequestTimeout
}

func (c *Client) post(ctx context.Context, r packet.UploadResponse, data Content, part int64) error {
	from := part * r.ChunkSize
	fields := [][2]string{{"id", r.UploadID}, {"chunk", strconv.FormatInt(part, 10)}}
	answer, err := Post(ctx, c.HTTP, r.UploadAddress, "", fields, "file", []io.Reader{data.Reader(from, min(r.ChunkSize, data.Size-from))}, min(r.ChunkSize, data.Size-from))
	if err != nil {
		return fmt.Errorf("part %d: %w", part, err)
	}
	if string(answer) != strconv.FormatInt(part, 10) {
		return fmt.Errorf("part %d: the answer is %q", part, answer)
	}
	return nil
}

// Post posts a form of fields and one file of each reader, all of the same size,
// streamed, and gives the answer's body. field names the file; if it has a %d,
// that becomes the file's number.
func Post(ctx context.Context, client *http.Client, address, authorization string, fields [][2]string, field string, files []io.Reader, size int64) ([]byte, error) {
	var frame bytes.Buffer
	form := multipart.NewWriter(&frame)
	for _, f := range fields {
		if err := form.WriteField(f[0], f[1]); err != nil {
			return nil, err
		}
	}
	var body []io.Reader
	length := int64(0)
	cut := func() {
		length += int64(frame.Len())
		body = append(body, bytes.NewReader(bytes.Clone(frame.Bytes())))
		frame.Reset()
	}
	for i, file := range files {
		name := field
		if strings.Contains(field, "%d") {
			name = fmt.Sprintf(field, i)
		}
		if _, err := form.CreateFormFile(name, "blob"); err != nil {
			return nil, err
		}
		cut()
		body = append(body, file)
		length += size
	}
	if err := form.Close(); err != nil {
		return nil, err
	}
	cut()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, address, io.MultiReader(body...))
	if err != nil {
		return nil, err
	}
	q.ContentLength = length
	q.Header.Set("Content-Type", form.FormDataContentType())
	if authorization != "" {
		q.Header.Set("Authorization", authorization)
	}
	answer, err := client.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, &StatusError{answer.StatusCode, string(text)}
	}
	return text, nil
}
